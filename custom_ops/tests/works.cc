// What each op would launch, for simulate.py, which runs it without a GPU.

#include "custom_ops/cuda/works.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <typeinfo>

#include "custom_ops/types.h"

namespace {

using ratm::ComputeType;
using ratm::GlimpseShape;
using ratm::GlimpseType;

// The type of a kernel's work, the bytes of its parameter, the units, the
// threads of each, and the bytes of their shared memory. Without a type, memory
// to be cleared: so many bytes.
using Callback = void (*)(const char* type, const void* parameter,
                          int64_t bytes, int64_t units, int64_t threads,
                          int64_t shared_bytes);

struct Launch {
  Callback callback;

  template <typename Work>
  void operator()(const Work& work) const {
    callback(typeid(Work).name(), &work, sizeof(work), work.units(),
             Work::kThreads, sizeof(typename Work::Shared));
  }
  void Zero(void* to, int64_t bytes) const { callback("", to, bytes, 0, 0, 0); }
};

// Addresses of arrays on the device, which is not there.
struct Arrays {
  void* images;
  void* windows;
  void* grad;
  void* scratch;
  void* result;
};

template <typename T>
void Do(const char* op, const GlimpseShape& shape, const Arrays& arrays,
        const Launch& launch) {
  using A = ComputeType<T>;
  const auto* images = static_cast<const T*>(arrays.images);
  const auto* windows = static_cast<const A*>(arrays.windows);
  const auto* grad = static_cast<const GlimpseType<T>*>(arrays.grad);
  if (!std::strcmp(op, "glimpse")) {
    ratm::DoGlimpse(shape, images, windows,
                    static_cast<GlimpseType<T>*>(arrays.result), launch);
  } else if (!std::strcmp(op, "grad_window")) {
    ratm::DoGradWindow(shape, images, windows, grad,
                       static_cast<double*>(arrays.scratch),
                       static_cast<A*>(arrays.result), launch);
  } else if constexpr (!std::is_same_v<T, uint8_t>) {
    ratm::DoGradImages(shape, windows, grad, static_cast<T*>(arrays.result),
                       launch);
  }
}

}  // namespace

extern "C" int64_t GradWindowSums(const GlimpseShape& shape) {
  return ratm::GradWindowSums(shape);
}

extern "C" void Do(const char* op, const char* type, const GlimpseShape& shape,
                   const Arrays& arrays, Callback callback) {
#define RATM_DO(_, __, T) \
  if (!std::strcmp(type, #T)) Do<T>(op, shape, arrays, Launch{callback});
  RATM_TYPES(RATM_DO, RATM_DO)
}
