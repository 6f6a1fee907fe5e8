// How the CPU's work is done: by which instructions, and by how many threads.

#ifndef RATM_TF_CUSTOM_OPS_CPU_WORK_H_
#define RATM_TF_CUSTOM_OPS_CPU_WORK_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/cpu/instruction_set.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/util/work_sharder.h"

namespace ratm {

// Work shorter than this is done at once: waking threads costs more.
constexpr double kMinParallelNanoseconds = 300e3;

// The instruction set to use; what the environment asks for cannot be.
struct Choice {
  InstructionSet set;
  absl::Status status;
};

inline const Choice& Chosen() {
  static const Choice& choice = *[] {
    const char* const most = std::getenv(kMaxInstructionSet);
    auto* const choice = new Choice{InstructionSet::kGeneric, absl::OkStatus()};
    if (!FindInstructionSet(most, &choice->set)) {
      choice->status = absl::InvalidArgumentError(
          absl::StrCat("the environment variable ", kMaxInstructionSet,
                       " must be generic, avx2 or avx512, got ", most));
    }
    return choice;
  }();
  return choice;
}

#if defined(__x86_64__)
#define RATM_CHOSEN(FUNCTION)                                  \
  (Chosen().set == InstructionSet::kAvx512 ? &avx512::FUNCTION \
   : Chosen().set == InstructionSet::kAvx2 ? &avx2::FUNCTION   \
                                           : &generic::FUNCTION)
#else
#define RATM_CHOSEN(FUNCTION) (&generic::FUNCTION)
#endif

// A block of memory that the context allocates, or null.
inline std::shared_ptr<char> Allocate(tensorflow::OpKernelContext* context,
                                      int64_t bytes) {
  const auto tensor = std::make_shared<tensorflow::Tensor>();
  const bool allocated =
      context
          ->allocate_temp(tensorflow::DT_UINT8,
                          tensorflow::TensorShape({bytes}), tensor.get())
          .ok();
  return {tensor, allocated ? static_cast<char*>(tensor->data()) : nullptr};
}

// Calls work(begin, end, scratch) over all units. They do not know of each
// other, so the results are the same however they are shared out.
template <typename Work>
void ForUnits(tensorflow::OpKernelContext* context, int64_t units,
              double unit_cost, const Work& work) {
  std::atomic<bool> exhausted = false;
  const auto work_or_fail = [&](int64_t begin, int64_t end) {
    try {
      Scratch scratch([&](int64_t bytes) { return Allocate(context, bytes); });
      work(begin, end, &scratch);
    } catch (const std::bad_alloc&) {
      exhausted = true;
    }
  };
  if (units * unit_cost < kMinParallelNanoseconds) {
    work_or_fail(0, units);
  } else {
    const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(threads.num_threads, threads.workers, units,
                      static_cast<int64_t>(unit_cost), work_or_fail);
  }
  OP_REQUIRES(context, !exhausted,
              absl::ResourceExhaustedError(
                  "there is no memory to work in: windows that see fewer "
                  "pixels, or smaller glimpses, need less"));
}

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_WORK_H_
