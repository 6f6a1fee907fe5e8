#include "custom_ops/cpu/scratch.h"

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace ratm {
namespace {

constexpr std::align_val_t kAlignment{Scratch::kAlignment};

struct Free {
  void operator()(char* data) const { ::operator delete(data, kAlignment); }
};

// Pages of it that nobody writes to are only promised.
char* Kept() {
  static thread_local const std::unique_ptr<char, Free> kept(static_cast<char*>(
      ::operator new(Scratch::kKeptBytes, kAlignment, std::nothrow)));
  return kept.get();
}

}  // namespace

Scratch::Scratch(Allocate allocate, int64_t kept_bytes)
    : top{-1, nullptr, nullptr}, allocate_(std::move(allocate)) {
  char* const kept = kept_bytes > 0 ? Kept() : nullptr;
  if (kept != nullptr) top = {-1, kept, kept + kept_bytes};
}

Scratch::~Scratch() = default;

void Scratch::BeginBlock(int64_t bytes) {
  ++top.block;
  if (top.block == static_cast<int64_t>(blocks_.size()) ||
      blocks_[top.block].size < bytes) {
    // Those from here on hold nothing.
    blocks_.resize(top.block);
    blocks_.push_back({allocate_(bytes), bytes});
    if (blocks_.back().data == nullptr) throw std::bad_alloc();
  }
  char* const data = blocks_[top.block].data.get();
  top.next = data;
  top.end = data + blocks_[top.block].size;
}

}  // namespace ratm
