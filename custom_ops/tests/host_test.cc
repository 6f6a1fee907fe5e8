// Runs the blocks of the CUDA kernels on the host, a thread at a time between
// barriers, first to last and last to first, as a race would tell these apart.
// test_host.py builds and runs it.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/works.h"
#include "custom_ops/tests/cases.h"

namespace {

using cases::Agree;
using cases::Case;
using ratm::ComputeType;
using ratm::GlimpseType;

template <int threads>
struct HostBlock {
  static constexpr int kThreads = threads;

  bool backwards;

  template <typename F>
  void Phase(F f) const {
    for (int i = 0; i < kThreads; ++i) f(backwards ? kThreads - 1 - i : i);
  }

  template <typename Value>
  struct PerThread {
    Value values[kThreads];
    Value& operator[](int thread) { return values[thread]; }
  };
};

struct Launch {
  bool backwards;

  template <typename Work>
  void operator()(const Work& work) const {
    using Shared = typename Work::Shared;
    static_assert(std::is_trivially_copyable_v<Shared>);
    static_assert(sizeof(Shared) <= 64 << 10);
    for (int64_t unit = 0; unit < work.units(); ++unit) {
      const auto shared = std::make_unique<Shared>();
      // Bytes that are NaN to whoever reads what nobody wrote.
      std::memset(static_cast<void*>(shared.get()), 0xff, sizeof(Shared));
      work(HostBlock<Work::kThreads>{backwards}, unit, *shared);
    }
  }

  void Zero(void* to, int64_t bytes) const { std::memset(to, 0, bytes); }
};

template <typename T>
struct Results {
  std::vector<GlimpseType<T>> glimpses;
  std::vector<ComputeType<T>> window_grad;
  std::vector<T> images_grad;

  Results(const Case& test, const cases::Arguments<T>& arguments,
          bool backwards)
      : glimpses(arguments.grad.size()),
        window_grad(arguments.windows.size()),
        images_grad(arguments.images.size()) {
    const T* images = arguments.images.data();
    const auto* windows = arguments.windows.data();
    const auto* grad = arguments.grad.data();
    Launch launch = {backwards};
    ratm::DoGlimpse(test.shape, images, windows, glimpses.data(), launch);
    std::vector<double> sums(ratm::GradWindowSums(test.shape), 1e300);
    ratm::DoGradWindow(test.shape, images, windows, grad, sums.data(),
                       window_grad.data(), launch);
    if constexpr (!std::is_same_v<T, uint8_t>) {
      ratm::DoGradImages(test.shape, windows, grad, images_grad.data(), launch);
    }
  }
};

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.empty() ||
         std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Tolerances are of the largest number.
template <typename T>
bool Check(const char* type, const Case& test, double for_glimpses,
           double for_images, double for_window) {
  const std::string name = std::string(type) + ", " + test.name;
  const cases::Arguments<T> arguments(test);
  const Results<T> results(test, arguments, false);
  const Results<T> backwards(test, arguments, true);
  const reference::Result expected = cases::Expected(test, arguments);
  bool passed = Agree(name + ", glimpses", results.glimpses, expected.glimpses,
                      for_glimpses);
  passed &= Agree(name + ", window gradient", results.window_grad,
                  expected.window_grad, for_window * test.slack, test.extreme);
  if constexpr (!std::is_same_v<T, uint8_t>) {
    passed &= Agree(name + ", image gradient", results.images_grad,
                    expected.images_grad, for_images, test.extreme);
  }
  if (!SameBits(results.glimpses, backwards.glimpses) ||
      !SameBits(results.window_grad, backwards.window_grad) ||
      !SameBits(results.images_grad, backwards.images_grad)) {
    std::printf("FAILED %s: the order of threads matters\n", name.c_str());
    passed = false;
  }
  return passed;
}

}  // namespace

int main() {
  bool passed = true;
  for (const Case& test : cases::Cases()) {
    passed &= Check<uint8_t>("uint8", test, 1e-6, 0, 3e-6);
    passed &= Check<float>("float", test, 1e-6, 2e-6, 3e-6);
    passed &= Check<double>("double", test, 1e-12, 1e-12, 1e-12);
  }
  std::puts(passed ? "passed" : "failed");
  return passed ? 0 : 1;
}
