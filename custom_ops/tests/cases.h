// What the kernels are tested on, and how closely they must agree with the
// reference.

#ifndef RATM_TF_CUSTOM_OPS_TESTS_CASES_H_
#define RATM_TF_CUSTOM_OPS_TESTS_CASES_H_

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "custom_ops/glimpse.h"
#include "custom_ops/tests/reference.h"

namespace cases {

using ratm::GlimpseShape;
using Window = std::array<double, ratm::kWindowSize>;

struct Case {
  std::string name;
  GlimpseShape shape;
  std::vector<Window> windows;  // Repeated as often as need be.
  bool extreme = false;         // Gradients need only be finite.
  double slack = 1;             // Of the tolerance for window gradients.
};

inline std::vector<Case> Cases() {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // Center, sigma and stride, each x and y, as in the ops.
  std::vector<Case> cases = {
      {"balls", {3, 1, 20, 20, 1, 5, 5}, {{9.3, 8.1, 1, 1.2, 2.5, 2}}},
      {"three channels, three windows",
       {2, 3, 33, 50, 3, 28, 20},
       {{25.3, 16.1, 1, 1.2, 1.5, 1}, {4.2, 30, 0.7, 3, 0.4, 1.3}}},
      {"digits", {2, 2, 100, 100, 1, 28, 28}, {{50.2, 47.7, 1.5, 0.75, 3, 2}}},
      {"all pixels in memory",
       {1, 4, 60, 70, 1, 20, 28},
       {{34.5, 30.2, 1.1, 1.5, -2.1, 2.4},
        {20, 50, 0.9, 2, 1.5, -2},
        {68, -3, 1, 1, 2, 2},
        {30, 20, 0.8, 0.7, 0.4, -0.3}}},
      {"all pixels in memory, aligned",
       {2, 3, 60, 72, 1, 20, 28},
       {{34.5, 30.2, 1.1, 1.5, -2.1, 2.4},
        {70, -3, 1, 1, 2, 2},
        {20, 55, 0.2, 4, 1, -3}}},
      {"in several tiles",
       {1, 2, 80, 70, 1, 40, 36},
       {{35, 40, 0.8, 0.9, 1.2, -1.1}, {30, 35, 1.1, 1, 2, 2}}},
      {"five channels", {1, 2, 21, 34, 5, 9, 11}, {{17, 11, 2, 1, 3, 2}}},
      {"many channels", {1, 1, 6, 7, 70, 9, 3}, {{3.2, 2.9, 1, 1, 2, 0.5}}},
      {"more channels than a tile",
       {1, 1, 5, 200, 33, 3, 40},
       {{100, 2, 2, 1, 4, 1}}},
      {"one channel in a tile",
       {1, 1, 9, 16, 1025, 3, 4},
       {{8.3, 4, 1, 1.1, 2, 2}}},
      {"wide", {1, 2, 3, 700, 1, 2, 70}, {{350.4, 1, 3, 1, 9, 1}}},
      {"tall", {1, 2, 700, 3, 1, 70, 2}, {{1, 350.4, 1, 3, 1, 9}}},
      {"one pixel", {2, 2, 1, 1, 2, 3, 4}, {{0.3, -2, 1, 1, 1, 1}}},
      {"one pixel to one", {1, 1, 1, 1, 1, 1, 1}, {{0, 0, 0, 0, 0, 0}}},
      {"one number a glimpse", {2, 2, 13, 17, 2, 1, 1}, {{7, 5, 2, 3, 9, 9}}},
      {"off the image",
       {1, 6, 20, 30, 2, 6, 7},
       {{-40, 10, 3, 2, 1, 1},
        {80, -30, 9, 9, 1, 2},
        {-3, 22, 1, 0.5, 0.5, 1},
        {15, 1e4, 5, 5, 1, 1},
        {-1e6, -1e6, 1e3, 2, 1, 1}}},
      {"far off a wide image",
       {1, 2, 90, 400, 1, 3, 5},
       {{-1500, 50, 120, 3, 9, 1}, {200, 700, 3, 90, -4, -30}}},
      {"negative stride",
       {1, 3, 90, 80, 3, 20, 40},
       {{40, 45, 1, 1, -2, -3}, {2, 80, 2, 3, -1.5, 4}, {70, 3, 1, 1, 3, -1}}},
      {"no stride", {1, 2, 20, 30, 1, 9, 8}, {{12.4, 9.6, 2, 1, 0, 0}}},
      {"sparse",
       {1, 2, 300, 400, 1, 9, 40},
       {{200, 150, 0.6, 0.5, 9.7, 33}, {200, 150, 0.5, 0.8, 60, -50}}},
      {"as in HD",
       {1, 1, 350, 360, 3, 64, 64},
       {{179.5, 174.5, 2.5, 2.5, 5, 5}}},
      {"huge sigma",
       {1, 3, 150, 500, 3, 10, 12},
       {{250, 75, 400, 300, 2, 2},
        {250, 75, 60, 1e6, 2, 2},
        {20, 75, 90, 2, -30, 2}}},
      {"sharp",
       {1, 4, 9, 11, 1, 4, 5},
       {{4.2, 3.9, 0, 0, 1, 1},
        {4.2, 3.9, -1, 1e-9, 1, 1},
        {5, 4, 0.1, 0.2, 1.25, 1}}},
      {"half-pixel ties",
       {1, 1, 9, 9, 1, 3, 3},
       {{3.5, 4.5, 0.02, 0.05, 1, 1}}},
      // Between these pixels the derivative at the floor is not zero.
      {"floor of sigma",
       {1, 1, 9, 9, 1, 1, 1},
       {{4.5 - 1e-13, 3.5 + 2e-13, 0, 1e-7, 1, 1}}},
      {"near ties",
       {1, 2, 5, 3000, 1, 2, 30},
       {{2000.5, 2.1, 0.01, 0.06, 0.000123, 1.1}}},
      {"not finite",
       {1, 8, 20, 30, 2, 5, 6},
       {{kNan, 5, 1, 1, 1, 1},
        {15, 10, 1, 1, 2, 2},
        {5, kInfinity, 1, 1, 1, 1},
        {5, 5, -kInfinity, 1, 1, 1},
        {5, 5, 1, kNan, 1, 1},
        {5, 5, 1, 1, kInfinity, 1},
        {5, 5, 1, 1, 1, -kInfinity}}},
      {"no windows", {2, 0, 5, 6, 1, 3, 4}, {}},
  };
  Case extreme = {"extreme", {1, 12, 20, 30, 1, 5, 6}, {}, true};
  for (int i = 0; i < 2 * ratm::kWindowSize; ++i) {
    Window window = {10, 8, 1, 1, 1, 1};
    window[i / 2] = i % 2 ? -1e30 : 1e30;
    extreme.windows.push_back(window);
  }
  cases.push_back(extreme);
  // Tiles of the image that none of the first windows sees, or all of them.
  Case crowd = {"crowd", {1, 300, 140, 30, 1, 2, 3}, {}};
  for (int i = 0; i < 300; ++i) {
    crowd.windows.push_back({5.0 + i % 20, i < 270 ? 20.0 : 120.0, 1, 1, 2, 1});
  }
  cases.push_back(crowd);
  // Anything goes: small and large strides, sigmas and distances, at random.
  std::mt19937 random(1);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const auto any = [&](int64_t most) {
    return static_cast<int64_t>(std::pow(most, uniform(0, 1)));
  };
  for (int i = 0; i < 60; ++i) {
    Case test = {"random " + std::to_string(i), {}, {}, false, 2};
    test.shape = {1, any(3), any(150), any(150), any(5), any(50), any(50)};
    for (int k = 0; k < test.shape.count; ++k) {
      Window window;
      for (int axis : {0, 1}) {
        const double length = axis == 0 ? test.shape.width : test.shape.height;
        window[ratm::kCenterX + axis] = uniform(-0.5, 1.5) * length;
        window[ratm::kSigmaX + axis] = std::pow(10, uniform(-1, 1.5));
        window[ratm::kStrideX + axis] =
            std::pow(10, uniform(-1, 1.5)) * (uniform(0, 1) < 0.7 ? 1 : -1);
      }
      test.windows.push_back(window);
    }
    cases.push_back(test);
  }
  return cases;
}

// The arguments of a case, as numbers of type T holds them.
template <typename T>
struct Arguments {
  std::vector<T> images;
  std::vector<ratm::ComputeType<T>> windows;
  std::vector<ratm::GlimpseType<T>> grad;

  explicit Arguments(const Case& test) {
    const GlimpseShape& s = test.shape;
    std::mt19937 random(1);
    std::uniform_real_distribution<double> uniform(0, 1);
    const double scale = std::is_same_v<T, uint8_t> ? 255 : 1;
    images.resize(s.batch * s.height * s.width * s.channels);
    for (T& x : images) {
      x = static_cast<T>(static_cast<float>(scale * uniform(random)));
    }
    grad.resize(s.batch * s.count * s.rows * s.columns * s.channels);
    // Mostly of one sign, so that errors of that sign do not cancel.
    for (auto& x : grad) {
      x = static_cast<ratm::GlimpseType<T>>(
          static_cast<float>(1.25 * uniform(random) - 0.25));
    }
    for (int64_t k = 0; k < s.batch * s.count; ++k) {
      for (double x : test.windows[k % test.windows.size()]) {
        windows.push_back(static_cast<ratm::ComputeType<T>>(x));
      }
    }
  }
};

template <typename T>
std::vector<double> ToDouble(const std::vector<T>& numbers) {
  std::vector<double> result;
  for (const T& x : numbers) {
    result.push_back(static_cast<ratm::ComputeType<T>>(x));
  }
  return result;
}

template <typename T>
reference::Result Expected(const Case& test, const Arguments<T>& arguments) {
  return reference::Compute(test.shape, ToDouble(arguments.images),
                            ToDouble(arguments.windows),
                            ToDouble(arguments.grad));
}

// Says whether numbers differ by at most `tolerance` of the largest, NaN from
// nothing but NaN; without an expectation, whether they are finite.
template <typename T>
bool Agree(const std::string& name, const std::vector<T>& actual,
           const std::vector<double>& expected, double tolerance,
           bool only_finite = false) {
  double scale = 0, error = 0;
  bool nan = false;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double x = static_cast<ratm::ComputeType<T>>(actual[i]);
    nan |= only_finite ? !std::isfinite(x)
                       : std::isnan(x) != std::isnan(expected[i]);
    if (std::isnan(expected[i])) continue;
    scale = std::fmax(scale, std::fabs(expected[i]));
    error = std::fmax(error, std::fabs(x - expected[i]));
  }
  const bool agree = !nan && actual.size() == expected.size() &&
                     (only_finite || error <= tolerance * scale + 1e-30);
  if (!agree) {
    std::printf("FAILED %s: error %.3g of %.3g allowed%s\n", name.c_str(),
                error, tolerance * scale, nan ? ", NaN or infinity" : "");
  }
  return agree;
}

}  // namespace cases

#endif  // RATM_TF_CUSTOM_OPS_TESTS_CASES_H_
