// The memory that the arithmetic works in.

#ifndef RATM_TF_CUSTOM_OPS_CPU_SCRATCH_H_
#define RATM_TF_CUSTOM_OPS_CPU_SCRATCH_H_

#include <string.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "custom_ops/axis.h"

namespace ratm {

// Hands memory out as from a stack: first what the thread keeps from call to
// call, as a small glimpse is read in less time than an allocation takes, then
// blocks that end with this object. A thread has one of these at a time.
//
// No member is inline: see simd.cc.
class Scratch {
 public:
  // What a thread keeps, once for all types and ops.
  static constexpr int64_t kKeptBytes = 4 << 20;
  static constexpr int64_t kAlignment = 64;

  // Makes a block of so many bytes, aligned, or returns null if it cannot.
  using Allocate = std::function<std::shared_ptr<char>(int64_t bytes)>;

  explicit Scratch(Allocate allocate, int64_t kept_bytes = kKeptBytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Goes on to a block with room for so many bytes. Throws std::bad_alloc.
  void BeginBlock(int64_t bytes);

  // What is handed out next. To put an old value back is to take back all that
  // was handed out since.
  struct Top {
    int64_t block;
    char* next;
    char* end;
  } top;

 private:
  struct Block {
    std::shared_ptr<char> data;
    int64_t size;
  };

  Allocate allocate_;
  std::vector<Block> blocks_;
};

namespace {

// Memory for so many numbers, of any content.
template <typename A>
inline A* New(Scratch* scratch, int64_t size) {
  constexpr uintptr_t kMask = Scratch::kAlignment - 1;
  // More than any machine has, and its bytes do not overflow.
  const int64_t bytes = Min(size, int64_t{1} << 56) * sizeof(A);
  const auto padding = [&] {
    return -reinterpret_cast<uintptr_t>(scratch->top.next) & kMask;
  };
  if (scratch->top.end - scratch->top.next <
      bytes + static_cast<int64_t>(padding())) {
    scratch->BeginBlock(bytes);
  }
  char* const data = scratch->top.next + padding();
  scratch->top.next = data + bytes;
  return reinterpret_cast<A*>(data);
}

// And zeros.
template <typename A>
inline A* NewZeroed(Scratch* scratch, int64_t size) {
  A* const data = New<A>(scratch, size);
  if (size > 0) memset(static_cast<void*>(data), 0, size * sizeof(A));
  return data;
}

}  // namespace
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_SCRATCH_H_
