// Checks the CUDA kernels against the reference, twice for the same bits, then
// times them. It needs nothing of TensorFlow. From the root of the repository,
// the first two on one line:
//
//   nvcc -std=c++17 -O3 -arch=native -I. -o /tmp/device_test
//       custom_ops/cuda/launch.cu custom_ops/tests/device_test.cu
//   /tmp/device_test           # The last line is JSON.
//   compute-sanitizer /tmp/device_test --quick    # No timings.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "custom_ops/cuda/launch.h"
#include "custom_ops/tests/cases.h"

namespace {

using cases::Agree;
using cases::Case;
using ratm::ComputeType;
using ratm::GlimpseShape;
using ratm::GlimpseType;

void Require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(2);
}

#define RATM_REQUIRE(CALL) Require(CALL, #CALL)

template <typename T>
class DeviceArray {
 public:
  // The bytes are NaN to whoever reads what nobody wrote.
  explicit DeviceArray(size_t size) : size_(size) {
    RATM_REQUIRE(cudaMalloc(&data_, std::max<size_t>(size, 1) * sizeof(T)));
    RATM_REQUIRE(cudaMemset(data_, 0xff, size * sizeof(T)));
  }
  explicit DeviceArray(const std::vector<T>& host) : DeviceArray(host.size()) {
    RATM_REQUIRE(cudaMemcpy(data_, host.data(), size_ * sizeof(T),
                            cudaMemcpyHostToDevice));
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }

  std::vector<T> ToHost() const {
    std::vector<T> host(size_);
    RATM_REQUIRE(cudaMemcpy(host.data(), data_, size_ * sizeof(T),
                            cudaMemcpyDeviceToHost));
    return host;
  }

 private:
  size_t size_;
  T* data_ = nullptr;
};

template <typename T>
struct Results {
  std::vector<GlimpseType<T>> glimpses;
  std::vector<ComputeType<T>> window_grad;
  std::vector<T> images_grad;

  Results(const Case& test, const cases::Arguments<T>& arguments) {
    const GlimpseShape& shape = test.shape;
    const DeviceArray<T> images(arguments.images);
    const DeviceArray<ComputeType<T>> windows(arguments.windows);
    const DeviceArray<GlimpseType<T>> grad(arguments.grad);

    const DeviceArray<GlimpseType<T>> glimpses_out(arguments.grad.size());
    RATM_REQUIRE(ratm::LaunchGlimpse(shape, images.data(), windows.data(),
                                     glimpses_out.data(), nullptr));
    glimpses = glimpses_out.ToHost();

    const DeviceArray<char> scratch(ratm::GradWindowScratchBytes(shape));
    const DeviceArray<ComputeType<T>> window_grad_out(arguments.windows.size());
    RATM_REQUIRE(ratm::LaunchGradWindow(shape, images.data(), windows.data(),
                                        grad.data(), scratch.data(),
                                        window_grad_out.data(), nullptr));
    window_grad = window_grad_out.ToHost();

    if constexpr (!std::is_same_v<T, uint8_t>) {
      const DeviceArray<T> images_grad_out(arguments.images.size());
      RATM_REQUIRE(ratm::LaunchGradImages(shape, windows.data(), grad.data(),
                                          images_grad_out.data(), nullptr));
      images_grad = images_grad_out.ToHost();
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
  const Results<T> results(test, arguments);
  const Results<T> again(test, arguments);
  const reference::Result expected = cases::Expected(test, arguments);
  bool passed = Agree(name + ", glimpses", results.glimpses, expected.glimpses,
                      for_glimpses);
  passed &= Agree(name + ", window gradient", results.window_grad,
                  expected.window_grad, for_window * test.slack, test.extreme);
  if constexpr (!std::is_same_v<T, uint8_t>) {
    passed &= Agree(name + ", image gradient", results.images_grad,
                    expected.images_grad, for_images, test.extreme);
  }
  if (!SameBits(results.glimpses, again.glimpses) ||
      !SameBits(results.window_grad, again.window_grad) ||
      !SameBits(results.images_grad, again.images_grad)) {
    std::printf("FAILED %s: the bits differ from run to run\n", name.c_str());
    passed = false;
  }
  return passed;
}

// Times launches one by one, each with nothing of use in the L2 cache.
class Timer {
 public:
  Timer() : cache_(256 << 20) {
    RATM_REQUIRE(cudaEventCreate(&start_));
    RATM_REQUIRE(cudaEventCreate(&stop_));
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }

  // Returns the median of some runs, after a first one, in microseconds.
  template <typename F>
  double Median(F launch) {
    constexpr int kRuns = 21;
    std::vector<double> times;
    for (int run = 0; run <= kRuns; ++run) {
      RATM_REQUIRE(cudaMemsetAsync(cache_.data(), 0, 256 << 20));
      RATM_REQUIRE(cudaEventRecord(start_));
      RATM_REQUIRE(launch());
      RATM_REQUIRE(cudaEventRecord(stop_));
      RATM_REQUIRE(cudaEventSynchronize(stop_));
      float milliseconds;
      RATM_REQUIRE(cudaEventElapsedTime(&milliseconds, start_, stop_));
      if (run > 0) times.push_back(1e3 * milliseconds);
    }
    std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
    return times[kRuns / 2];
  }

 private:
  DeviceArray<char> cache_;
  cudaEvent_t start_;
  cudaEvent_t stop_;
};

// Bytes a microsecond, read or written, of a long copy.
double Bandwidth(Timer* timer) {
  constexpr size_t kBytes = 1 << 30;
  const DeviceArray<char> from(kBytes), to(kBytes);
  return 2 * kBytes / timer->Median([&] {
    return cudaMemcpyAsync(to.data(), from.data(), kBytes,
                           cudaMemcpyDeviceToDevice);
  });
}

struct Benchmark {
  const char* name;
  GlimpseShape shape;
  double sigma[2];   // From, to.
  double stride[2];  // From, to.
};

// The pixels that a window sees on one axis, when it sees them all alike.
double Seen(double center, double sigma, double stride, int64_t size,
            int64_t length) {
  const double reach = 0.5 * (size - 1) * std::fabs(stride) + 6 * sigma;
  const double begin = std::ceil(std::max(center - reach, 0.0));
  const double end = std::floor(std::min<double>(center + reach, length - 1));
  return std::max(end - begin + 1, 1.0);
}

// Prints a line for each op; returns the same as JSON objects.
std::string Time(const Benchmark& benchmark, double bandwidth, Timer* timer) {
  const GlimpseShape& s = benchmark.shape;
  std::mt19937 random(1);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  std::vector<float> host_windows;
  double seen = 0;
  for (int64_t k = 0; k < s.batch * s.count; ++k) {
    const double w[ratm::kWindowSize] = {
        uniform(0.3, 0.7) * s.width,
        uniform(0.3, 0.7) * s.height,
        uniform(benchmark.sigma[0], benchmark.sigma[1]),
        uniform(benchmark.sigma[0], benchmark.sigma[1]),
        uniform(benchmark.stride[0], benchmark.stride[1]),
        uniform(benchmark.stride[0], benchmark.stride[1])};
    host_windows.insert(host_windows.end(), w, w + ratm::kWindowSize);
    seen += Seen(w[ratm::kCenterX], w[ratm::kSigmaX], w[ratm::kStrideX],
                 s.columns, s.width) *
            Seen(w[ratm::kCenterY], w[ratm::kSigmaY], w[ratm::kStrideY], s.rows,
                 s.height);
  }
  const size_t image_numbers = s.batch * s.height * s.width * s.channels;
  const size_t glimpse_numbers =
      s.batch * s.count * s.rows * s.columns * s.channels;
  const DeviceArray<float> images(image_numbers), images_grad(image_numbers);
  const DeviceArray<float> glimpses(glimpse_numbers), windows(host_windows);
  const DeviceArray<float> window_grad(host_windows.size());
  const DeviceArray<char> sums(ratm::GradWindowScratchBytes(s));
  RATM_REQUIRE(cudaMemset(images.data(), 0x3c, image_numbers * sizeof(float)));

  std::string json;
  const auto report = [&](const char* op, double numbers, auto launch) {
    const double time = timer->Median(launch);
    const double bound = numbers * sizeof(float) / bandwidth;
    std::printf("%-4s %6lld  %-16s %10.1f %10.1f %8.2f\n", benchmark.name,
                static_cast<long long>(s.batch), op, time, bound, time / bound);
    char line[256];
    std::snprintf(line, sizeof(line),
                  "%s{\"case\": \"%s\", \"batch\": %lld, \"op\": \"%s\", "
                  "\"microseconds\": %.2f, \"bound_microseconds\": %.2f}",
                  json.empty() ? "" : ", ", benchmark.name,
                  static_cast<long long>(s.batch), op, time, bound);
    json += line;
  };
  report("glimpse", seen * s.channels + glimpse_numbers, [&] {
    return ratm::LaunchGlimpse(s, images.data(), windows.data(),
                               glimpses.data(), nullptr);
  });
  report("window gradient", seen * s.channels + glimpse_numbers, [&] {
    return ratm::LaunchGradWindow(s, images.data(), windows.data(),
                                  glimpses.data(), sums.data(),
                                  window_grad.data(), nullptr);
  });
  report("image gradient", image_numbers + glimpse_numbers, [&] {
    return ratm::LaunchGradImages(s, windows.data(), glimpses.data(),
                                  images_grad.data(), nullptr);
  });
  return json;
}

void TimeAll() {
  cudaDeviceProp device;
  RATM_REQUIRE(cudaGetDeviceProperties(&device, 0));
  Timer timer;
  const double bandwidth = Bandwidth(&timer);
  std::printf("%s, copies at %.0f GB/s\n", device.name, bandwidth / 1e3);
  std::printf(
      "case  batch  op               microseconds      bound    ratio\n");
  std::string json;
  for (const int64_t batch : {32, 1024}) {
    json += Time({"B", {batch, 1, 100, 100, 1, 28, 28}, {0.75, 1.5}, {1.5, 3}},
                 bandwidth, &timer) +
            ", ";
  }
  for (const int64_t batch : {1, 32}) {
    json += Time({"D", {batch, 1, 1080, 1920, 3, 64, 64}, {2.5, 2.5}, {5, 5}},
                 bandwidth, &timer) +
            (batch == 1 ? ", " : "");
  }
  std::printf(
      "{\"device\": \"%s\", \"copy_gigabytes_per_second\": %.1f, "
      "\"timings\": [%s]}\n",
      device.name, bandwidth / 1e3, json.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  bool passed = true;
  for (const Case& test : cases::Cases()) {
    passed &= Check<uint8_t>("uint8", test, 1e-6, 0, 3e-6);
    passed &= Check<__nv_bfloat16>("bfloat16", test, 4e-3, 4e-3, 3e-6);
    passed &= Check<__half>("half", test, 5e-4, 5e-4, 3e-6);
    passed &= Check<float>("float", test, 1e-6, 2e-6, 3e-6);
    passed &= Check<double>("double", test, 1e-12, 1e-12, 1e-12);
  }
  std::puts(passed ? "passed" : "failed");
  if (passed && !quick) TimeAll();
  return passed ? 0 : 1;
}
