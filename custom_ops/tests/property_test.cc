// Tries the CPU's arithmetic on the cases of cases.h and on random ones, for
// every type and for every instruction set that the processor has:
//
// - results agree with the reference;
// - they have the same bits unit by unit, from any address and for a window
//   alone, and whatever stands in the pixels that no Gaussian sees;
// - where memory ends, std::bad_alloc comes out, and nothing is lost.
//
// test_property.py builds and runs it. Its arguments are the number of random
// cases and their seed.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/instruction_set.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/tests/cases.h"
#include "custom_ops/tests/reference.h"

namespace {

using cases::Case;
using ratm::BFloat16;
using ratm::CeilDiv;
using ratm::ComputeType;
using ratm::GlimpseShape;
using ratm::GlimpseType;
using ratm::Half;
using ratm::kWindowSize;
using ratm::Scratch;
using reference::Numbers;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The arithmetic for an instruction set.
template <typename T>
struct Arithmetic {
  const char* name;
  decltype(&ratm::generic::Glimpse<T>) glimpse;
  decltype(&ratm::generic::GradWindow<T>) grad_window;
  decltype(&ratm::generic::GradImages<T>) grad_images;
};

template <typename T>
std::vector<Arithmetic<T>> InstructionSets() {
  std::vector<Arithmetic<T>> sets;
  const auto add = [&](const char* name, auto glimpse, auto grad_window,
                       auto grad_images) {
    sets.push_back({name, glimpse, grad_window, grad_images});
  };
#define RATM_ADD(SET)                                                      \
  if constexpr (std::is_same_v<T, uint8_t>) {                              \
    add(#SET, &ratm::SET::Glimpse<T>, &ratm::SET::GradWindow<T>, nullptr); \
  } else {                                                                 \
    add(#SET, &ratm::SET::Glimpse<T>, &ratm::SET::GradWindow<T>,           \
        &ratm::SET::GradImages<T>);                                        \
  }
#if defined(RATM_SIMD)
  RATM_ADD(RATM_SIMD)
#else
  RATM_ADD(generic)
#if defined(__x86_64__)
  using ratm::InstructionSet;
  if (ratm::ProcessorHas(InstructionSet::kAvx2)) {
    RATM_ADD(avx2)
  }
  if (ratm::ProcessorHas(InstructionSet::kAvx512)) {
    RATM_ADD(avx512)
  }
#endif
#endif
  return sets;
}

double ToDouble(double x) { return x; }
double ToDouble(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}
double ToDouble(Half x) {
  const int exponent = x.bits >> 10 & 0x1f;
  const int mantissa = x.bits & 0x3ff;
  const double magnitude = exponent == 0x1f ? (mantissa ? kNan : HUGE_VAL)
                           : exponent
                               ? std::ldexp(1024 + mantissa, exponent - 25)
                               : std::ldexp(mantissa, -24);
  return x.bits & 0x8000 ? -magnitude : magnitude;
}

template <typename T>
Numbers ToDoubles(const std::vector<T>& numbers) {
  Numbers result;
  for (const T& x : numbers) result.push_back(ToDouble(x));
  return result;
}

// A number near to x, which is in [-1, 1].
void Convert(double x, double* y) { *y = x; }
void Convert(double x, float* y) { *y = static_cast<float>(x); }
void Convert(double x, uint8_t* y) {
  *y = static_cast<uint8_t>(std::fabs(x) * 255);
}
void Convert(double x, BFloat16* y) {
  const float number =
      static_cast<float>(std::isnan(x) ? x : std::trunc(x * 128) / 128);
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  y->bits = bits >> 16;
}
void Convert(double x, Half* y) {
  const int number = std::isnan(x) ? 0 : static_cast<int>(x * 1024);
  int exponent = 0;
  const double mantissa = std::frexp(std::abs(number) / 1024.0, &exponent);
  y->bits = std::isnan(x) ? 0x7e00
            : number == 0 ? 0
                          : (number < 0) << 15 | (exponent + 14) << 10 |
                                static_cast<int>((2 * mantissa - 1) * 1024);
}

template <typename T>
struct Arguments {
  std::vector<T> images;
  std::vector<ComputeType<T>> windows;
  std::vector<GlimpseType<T>> grad;

  Arguments(const Case& test, std::mt19937& random) {
    const GlimpseShape& s = test.shape;
    std::uniform_real_distribution<double> uniform(0, 1);
    images.resize(s.batch * s.height * s.width * s.channels);
    for (T& x : images) Convert(uniform(random), &x);
    grad.resize(s.batch * s.count * s.rows * s.columns * s.channels);
    for (auto& x : grad) Convert(1.25 * uniform(random) - 0.25, &x);
    for (int64_t k = 0; k < s.batch * s.count; ++k) {
      for (double x : test.windows[k % test.windows.size()]) {
        windows.push_back(static_cast<ComputeType<T>>(x));
      }
    }
  }
};

template <typename T>
struct Results {
  std::vector<GlimpseType<T>> glimpses;
  std::vector<ComputeType<T>> window_grad;
  std::vector<T> images_grad;
};

// Memory of which every block has its own bounds, and whose numbers are NaN
// until they are written.
Scratch::Allocate Blocks(int64_t count) {
  return [count](int64_t bytes) mutable -> std::shared_ptr<char> {
    if (count-- <= 0) return nullptr;
    constexpr std::align_val_t kAlignment{Scratch::kAlignment};
    char* const data = static_cast<char*>(::operator new(bytes, kAlignment));
    std::memset(data, 0xff, bytes);
    return {data, [](char* x) {
              ::operator delete(x, std::align_val_t{Scratch::kAlignment});
            }};
  };
}

// Calls f(begin, end, scratch) over units, so many at a time.
template <typename F>
void ForUnits(int64_t units, int64_t step, const Scratch::Allocate& allocate,
              F f) {
  for (int64_t begin = 0; begin < units; begin += step) {
    Scratch scratch(allocate, allocate ? 0 : Scratch::kKeptBytes);
    f(begin, std::min(begin + step, units), &scratch);
  }
}

template <typename T>
Results<T> Run(const Arithmetic<T>& run, const GlimpseShape& s, const T* images,
               const ComputeType<T>* windows, const GlimpseType<T>* grad,
               int64_t step, const Scratch::Allocate& allocate) {
  const int64_t count = s.batch * s.count;
  const int64_t blocks = CeilDiv(s.rows, ratm::kGlimpseRows);
  Results<T> r;
  r.glimpses.resize(count * s.rows * s.columns * s.channels);
  ForUnits(count * blocks, step, allocate, [&](auto... units) {
    run.glimpse(s, images, windows, r.glimpses.data(), units...);
  });
  Numbers sums(count * blocks * kWindowSize);
  ForUnits(count * blocks, step, allocate, [&](auto... units) {
    run.grad_window(s, images, windows, grad, sums.data(), units...);
  });
  r.window_grad.resize(count * kWindowSize);
  for (size_t i = 0; i < r.window_grad.size(); ++i) {
    double total = 0;
    for (int64_t block = 0; block < blocks; ++block) {
      total += sums[(i / kWindowSize * blocks + block) * kWindowSize +
                    i % kWindowSize];
    }
    r.window_grad[i] = static_cast<ComputeType<T>>(total);
  }
  if constexpr (!std::is_same_v<T, uint8_t>) {
    r.images_grad.resize(s.batch * s.height * s.width * s.channels);
    const int64_t tiles = CeilDiv(s.height, ratm::kImageTileRows) *
                          CeilDiv(s.width, ratm::ImageTilePixels(s));
    ForUnits(s.batch * tiles, step, allocate, [&](auto... units) {
      run.grad_images(s, windows, grad, r.images_grad.data(), units...);
    });
  }
  return r;
}

template <typename T>
bool SameBits(const std::string& name, const T* a, const T* b, size_t size) {
  const bool same = size == 0 || std::memcmp(a, b, size * sizeof(T)) == 0;
  if (!same) std::printf("FAILED %s: other bits\n", name.c_str());
  return same;
}

template <typename T>
bool SameBits(const std::string& name, const Results<T>& a,
              const Results<T>& b) {
  const auto same = [&](const auto& x, const auto& y, const char* what) {
    return SameBits(name + what, x.data(), y.data(), x.size());
  };
  return same(a.glimpses, b.glimpses, ", glimpses") &
         same(a.window_grad, b.window_grad, ", window gradient") &
         same(a.images_grad, b.images_grad, ", image gradient");
}

// For each pixel of an axis, whether none of its Gaussians comes near.
std::vector<bool> Unseen(const ratm::Axis& axis, double least) {
  const reference::Bank bank(axis.center, axis.raw_sigma, axis.stride,
                             axis.size, axis.length);
  std::vector<bool> unseen(axis.length, true);
  for (int64_t i = 0; i < axis.size; ++i) {
    const double* weights = &bank.weight[i * axis.length];
    const double peak = *std::max_element(weights, weights + axis.length);
    for (int64_t a = 0; a < axis.length; ++a) {
      if (weights[a] > least * peak) unseen[a] = false;
    }
  }
  return unseen;
}

// Puts NaN into the pixels that no window of their image sees.
template <typename T>
void Spoil(const GlimpseShape& s, Arguments<T>* arguments) {
  const double least = std::is_same_v<T, double> ? 1e-18 : 1e-8;
  for (int64_t b = 0; b < s.batch; ++b) {
    std::vector<bool> unseen(s.height * s.width, true);
    for (int64_t k = 0; k < s.count; ++k) {
      const auto* w = &arguments->windows[(b * s.count + k) * kWindowSize];
      if (!ratm::IsFinite(w)) continue;
      const std::vector<bool> x = Unseen(ratm::XAxis(s, w), least);
      const std::vector<bool> y = Unseen(ratm::YAxis(s, w), least);
      for (int64_t i = 0; i < s.height * s.width; ++i) {
        if (!x[i % s.width] && !y[i / s.width]) unseen[i] = false;
      }
    }
    T* image = &arguments->images[b * s.height * s.width * s.channels];
    for (int64_t i = 0; i < s.height * s.width * s.channels; ++i) {
      if (unseen[i / s.channels]) Convert(kNan, image + i);
    }
  }
}

// Says whether numbers differ by at most `tolerance` of the largest, or by
// `allowed`.
bool Agree(const std::string& name, Numbers actual, const Numbers& expected,
           double tolerance, double allowed, bool only_finite = false) {
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::fabs(actual[i] - expected[i]) <= allowed) actual[i] = expected[i];
  }
  return cases::Agree(name, actual, expected, tolerance, only_finite);
}

// Says whether gradients differ by at most `tolerance` of the largest, or by a
// fraction of that of what they would be if all pixels and gradients of
// glimpses worked together: to drop taps and to round shows where they cancel.
template <typename T>
bool AgreeOnWindows(const std::string& name, const GlimpseShape& s,
                    const Arguments<T>& arguments, double brightest,
                    Numbers actual, const Numbers& expected, double tolerance,
                    bool only_finite) {
  const Numbers grad = ToDoubles(arguments.grad);
  const int64_t size = s.rows * s.columns * s.channels;
  for (size_t i = 0; i < actual.size(); ++i) {
    const auto* window = &arguments.windows[i / kWindowSize * kWindowSize];
    const int number = i % kWindowSize;
    const bool is_y = number % 2;
    const ratm::Axis axis =
        is_y ? ratm::YAxis(s, window) : ratm::XAxis(s, window);
    double together = 0, most = 0;
    for (int64_t j = 0; j < size; ++j) {
      const int64_t at =
          is_y ? j / s.channels / s.columns : j / s.channels % s.columns;
      const double one =
          std::fabs(grad[i / kWindowSize * size + j] *
                    (number >= ratm::kStrideX ? axis.step(at) : 1));
      together += one;
      most = std::max(most, one);
    }
    // The gradient of a sharp Gaussian between two pixels has itself a gradient
    // of up to 0.1 / sigma^4, by the place of the Gaussian, which is rounded.
    const double rounding =
        std::numeric_limits<double>::epsilon() * (is_y ? s.height : s.width);
    const double allowed =
        brightest * (0.2 * tolerance * together / axis.sigma() +
                     0.1 * rounding * most / std::pow(axis.sigma(), 4));
    if (std::fabs(actual[i] - expected[i]) <= allowed) actual[i] = expected[i];
  }
  return cases::Agree(name, actual, expected, tolerance, only_finite);
}

// Tolerances are of the largest number.
template <typename T>
bool Check(const char* type, const Case& test, std::mt19937& random,
           double for_glimpses, double for_images, double for_window) {
  const GlimpseShape& s = test.shape;
  Arguments<T> arguments(test, random);
  const reference::Result expected = reference::Compute(
      s, ToDoubles(arguments.images), ToDoubles(arguments.windows),
      ToDoubles(arguments.grad));
  // The image gradient if all gradients of glimpses worked together: to drop
  // taps and to round shows where they cancel.
  Numbers magnitudes = ToDoubles(arguments.grad);
  for (double& number : magnitudes) number = std::fabs(number);
  double together = 0;
  for (double number :
       reference::Compute(s, ToDoubles(arguments.images),
                          ToDoubles(arguments.windows), magnitudes)
           .images_grad) {
    if (std::isfinite(number)) together = std::max(together, number);
  }
  const Numbers numbers = ToDoubles(arguments.images);
  const double brightest = *std::max_element(numbers.begin(), numbers.end());
  bool passed = true;
  for (const Arithmetic<T>& arithmetic : InstructionSets<T>()) {
    const std::string name =
        std::string(arithmetic.name) + ", " + type + ", " + test.name;
    const auto run = [&](const T* images, int64_t step,
                         const Scratch::Allocate& allocate) {
      return Run(arithmetic, s, images, arguments.windows.data(),
                 arguments.grad.data(), step, allocate);
    };
    const T* const images = arguments.images.data();
    const Results<T> results = run(images, 1 << 30, nullptr);
    // Taps that are dropped show beside a dark pixel.
    passed &=
        Agree(name + ", glimpses", ToDoubles(results.glimpses),
              expected.glimpses, for_glimpses, 0.5 * for_glimpses * brightest);
    passed &= AgreeOnWindows(name + ", window gradient", s, arguments,
                             brightest, ToDoubles(results.window_grad),
                             expected.window_grad, for_window, test.extreme);
    if constexpr (!std::is_same_v<T, uint8_t>) {
      // To round to a subnormal number.
      const double subnormal = std::is_same_v<T, Half> ? 0x1.1p-25 : 0;
      passed &= Agree(name + ", image gradient", ToDoubles(results.images_grad),
                      expected.images_grad, for_images,
                      std::max(subnormal, for_images * together), test.extreme);
    }

    passed &= SameBits(name + ", unit by unit", results,
                       run(images, 1, Blocks(1 << 30)));
    std::vector<T> moved(1 + random() % 16);
    const size_t by = moved.size();
    moved.insert(moved.end(), arguments.images.begin(), arguments.images.end());
    passed &= SameBits(name + ", moved", results,
                       run(moved.data() + by, 1 << 30, Blocks(1 << 30)));

    const int64_t count = s.batch * s.count;
    const int64_t k = count > 0 ? random() % count : 0;
    const int64_t glimpse_size = s.rows * s.columns * s.channels;
    GlimpseShape of_one = s;
    of_one.batch = of_one.count = count > 0;
    const int64_t image = count > 0 ? k / s.count : 0;
    const Results<T> alone = Run(
        arithmetic, of_one, images + image * s.height * s.width * s.channels,
        arguments.windows.data() + k * kWindowSize,
        arguments.grad.data() + k * glimpse_size, 1 << 30, nullptr);
    passed &= SameBits(name + ", a window alone", alone.glimpses.data(),
                       results.glimpses.data() + k * glimpse_size,
                       alone.glimpses.size());
    passed &= SameBits(name + ", a window alone", alone.window_grad.data(),
                       results.window_grad.data() + k * kWindowSize,
                       alone.window_grad.size());

    try {
      run(images, 1 << 30, Blocks(random() % 12));
    } catch (const std::bad_alloc&) {
    }

    if constexpr (!std::is_same_v<T, uint8_t>) {
      Arguments<T> spoilt = arguments;
      Spoil(s, &spoilt);
      passed &= SameBits(name + ", spoilt pixels", results,
                         run(spoilt.images.data(), 1 << 30, nullptr));
    }
  }
  return passed;
}

bool CheckAllTypes(const Case& test, std::mt19937& random) {
  return Check<uint8_t>("uint8", test, random, 1e-6, 0, 5e-6) &
         Check<BFloat16>("bfloat16", test, random, 4e-3, 4e-3, 5e-6) &
         Check<Half>("half", test, random, 5e-4, 5e-4, 5e-6) &
         Check<float>("float", test, random, 1e-6, 2e-6, 5e-6) &
         Check<double>("double", test, random, 1e-12, 1e-12, 1e-12);
}

Case RandomCase(int number, std::mt19937& random) {
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  // Mostly small.
  const auto size = [&](double most) {
    return static_cast<int64_t>(std::exp(uniform(0, std::log(most + 1))));
  };
  GlimpseShape s = {size(3), size(3),  size(70), size(70),
                    size(6), size(40), size(40)};
  const int kind = random() % 8;
  if (kind == 7) {  // An axis of many taps.
    s = {1, 1, size(4), size(6000), 1, size(3), size(6)};
    if (random() % 2) std::swap(s.height, s.width);
  }
  Case test = {"random " + std::to_string(number), s, {}};
  for (int64_t k = 0; k < s.batch * s.count; ++k) {
    cases::Window window;
    for (int axis = 0; axis < 2; ++axis) {
      const double length = axis ? s.height : s.width;
      double center = uniform(0, length - 1);
      double sigma = uniform(0.5, 3);
      double stride = uniform(-3, 3);
      switch (kind) {
        case 1:  // Sharp.
          sigma = uniform(-0.1, 0.4);
          break;
        case 2:  // Off the image, some of it.
          center = uniform(-3 * length, 4 * length);
          sigma = uniform(0.3, 9);
          break;
        case 3:  // Sparse.
          sigma = uniform(0.2, 1);
          stride = uniform(-length, length);
          break;
        case 4:  // On pixels and between them.
          center = std::nearbyint(2 * center) / 2;
          stride = std::nearbyint(stride);
          break;
        case 5:  // Wide.
          sigma = std::exp(uniform(0, 14));
          break;
        case 6:
          stride = 0;
          break;
        case 7:
          sigma = length * uniform(0.05, 2);
          break;
      }
      window[ratm::kCenterX + axis] = center;
      window[ratm::kSigmaX + axis] = sigma;
      window[ratm::kStrideX + axis] = stride;
    }
    if (random() % 16 == 0) window[random() % kWindowSize] = kNan;
    test.windows.push_back(window);
  }
  return test;
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 20000;
  std::mt19937 random(argc > 2 ? std::atoi(argv[2]) : 1);
  bool passed = true;
  for (const Case& test : cases::Cases()) passed &= CheckAllTypes(test, random);
  const std::clock_t start = std::clock();
  for (int i = 0; i < count; ++i) {
    passed &= CheckAllTypes(RandomCase(i, random), random);
  }
  const double seconds =
      static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("%d random cases, %.3g seconds per thousand: %s\n", count,
              seconds / count * 1000, passed ? "passed" : "failed");
  return passed ? 0 : 1;
}
