// One axis of a window, and the pixels that its Gaussians see: one text for the
// CPU and for CUDA.
//
// All of it is in an unnamed namespace, as objects that are compiled for
// different instruction sets include it: see cpu/simd.cc.

#ifndef RATM_TF_CUSTOM_OPS_AXIS_H_
#define RATM_TF_CUSTOM_OPS_AXIS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/glimpse.h"

#if defined(__CUDACC__)
#define RATM_HOST_DEVICE __host__ __device__
#else
#define RATM_HOST_DEVICE
#endif

namespace ratm {
namespace {

template <typename T>
RATM_HOST_DEVICE constexpr T Min(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
RATM_HOST_DEVICE constexpr T Max(T a, T b) {
  return a < b ? b : a;
}

constexpr double kLog2E = 1.4426950408889634;

RATM_HOST_DEVICE inline double Clip(double x, double low, double high) {
  return Min(Max(x, low), high);
}

template <typename T, typename U>
RATM_HOST_DEVICE constexpr auto CeilDiv(T a, U b) {
  return (a + b - 1) / b;
}

template <typename T, typename U>
RATM_HOST_DEVICE constexpr auto RoundUp(T a, U b) {
  return CeilDiv(a, b) * b;
}

template <typename A>
struct Precision;

template <>
struct Precision<float> {
  // Taps further from mu than so many sigmas weigh less than the rounding; and
  // in the derivatives, whose tails are heavier.
  static constexpr double kReach = 5.5;
  static constexpr double kDerivativeReach = 6;
  static constexpr double kMaxOffset = 1e30;
};

template <>
struct Precision<double> {
  static constexpr double kReach = 9;
  static constexpr double kDerivativeReach = 9;
  static constexpr double kMaxOffset = 1e100;
};

// The pixels [begin, end), or the Gaussians.
template <typename Index>
struct RangeOf {
  Index begin;
  Index end;

  RATM_HOST_DEVICE Index size() const { return end - begin; }
  RATM_HOST_DEVICE bool contains(Index i) const {
    return begin <= i && i < end;
  }
  RATM_HOST_DEVICE bool overlaps(RangeOf other) const {
    return begin < other.end && other.begin < end;
  }
  RATM_HOST_DEVICE RangeOf operator&(RangeOf other) const {
    return {Max(begin, other.begin), Min(end, other.end)};
  }
};

using Range = RangeOf<int64_t>;

// One axis of a window.
struct Axis {
  double center;
  double raw_sigma;
  double stride;
  int64_t size;    // Gaussians.
  int64_t length;  // Pixels.

  RATM_HOST_DEVICE double sigma() const {
    return Clip(raw_sigma, kMinSigma, 1e100);
  }
  // The floor of sigma is flat.
  RATM_HOST_DEVICE bool sigma_is_floor() const { return raw_sigma < kMinSigma; }
  // Where Gaussian i sits, in strides from the centre.
  RATM_HOST_DEVICE double step(int64_t i) const { return i - 0.5 * (size - 1); }
  // And in pixels.
  RATM_HOST_DEVICE double mu(double step) const {
    return Clip(center + step * stride, -1e100, 1e100);
  }
};

template <typename Shape, typename A>
RATM_HOST_DEVICE Axis XAxis(const Shape& shape, const A* window) {
  return {window[kCenterX], window[kSigmaX], window[kStrideX], shape.columns,
          shape.width};
}

template <typename Shape, typename A>
RATM_HOST_DEVICE Axis YAxis(const Shape& shape, const A* window) {
  return {window[kCenterY], window[kSigmaY], window[kStrideY], shape.rows,
          shape.height};
}

template <typename A>
RATM_HOST_DEVICE bool IsFinite(const A* window) {
  A product = 0;  // Stays zero unless a factor is NaN or infinite.
  for (int i = 0; i < kWindowSize; ++i) product *= window[i];
  return product == 0;
}

// The pixels that a Gaussian sees. They come as doubles because compilers make
// vectors of these, but not of conversions to int64_t.
struct Taps {
  double nearest;  // The pixel nearest to mu,
  double offset;   // that pixel less mu,
  double below;    // and how many taps lie before it
  double above;    // and after it.

  template <typename Index>
  RATM_HOST_DEVICE RangeOf<Index> range() const {
    return {static_cast<Index>(nearest - below),
            static_cast<Index>(nearest + above) + 1};
  }
};

// Finds the taps whose weight is above exp(-(reach / sigma)^2 / 2) times that
// of the pixel nearest to mu; `last` is the last pixel.
RATM_HOST_DEVICE inline Taps FindTaps(double mu, double reach, double last) {
  const double nearest = nearbyint(Clip(mu, 0, last));
  const double offset = nearest - mu;
  const double distance = fabs(offset);
  // mu - radius and mu + radius, from the nearest pixel, uncancelled.
  const double radius = sqrt(distance * distance + reach * reach);
  const double outer = radius + distance;
  const double inner = reach * (reach / outer);
  return {nearest, offset, floor(Min(offset < 0 ? inner : outer, nearest)),
          floor(Min(offset < 0 ? outer : inner, last - nearest))};
}

// The same where mu lies in the image, without square roots: `radius` is
// sqrt(reach^2 + 1/4), which takes in the tap after the last one at most.
RATM_HOST_DEVICE inline Taps FindTapsInside(double mu, double reach,
                                            double radius, double last) {
  const double nearest = nearbyint(mu);
  const double offset = nearest - mu;
  const double below = floor(Min(radius + offset, nearest));
  const double above = floor(Min(radius - offset, last - nearest));
  const double most = reach * reach;
  return {nearest, offset,
          below * (below - 2 * offset) > most ? below - 1 : below,
          above * (above + 2 * offset) > most ? above - 1 : above};
}

// The pixels that Gaussians [first, end) of an axis see, and maybe one more at
// either end.
template <typename Index>
RATM_HOST_DEVICE RangeOf<Index> Support(const Axis& axis, double reach,
                                        Index first, Index end) {
  const double last = axis.length - 1;
  const double a = Clip(axis.mu(axis.step(first)), 0, last);
  const double b = Clip(axis.mu(axis.step(end - 1)), 0, last);
  // A tap lies within sqrt(reach^2 + 1 / 4) of a mu in the image.
  return {static_cast<Index>(Max(Min(a, b) - reach - 0.5, 0.0)),
          static_cast<Index>(Min(Max(a, b) + reach + 0.5, last)) + 1};
}

// The Gaussians of an axis that see some of these pixels, and maybe a few more.
template <typename Index>
RATM_HOST_DEVICE RangeOf<Index> Seeing(const Axis& axis, double reach,
                                       RangeOf<Index> pixels) {
  double low = pixels.begin - reach - 0.5;
  double high = pixels.end - 1 + reach + 0.5;
  // Those off the image see what the ones at its edge see, or less.
  if (low <= 0) low = -HUGE_VAL;
  if (high >= axis.length - 1) high = HUGE_VAL;
  if (axis.stride == 0) {
    const bool all = low <= axis.center && axis.center <= high;
    return {0, all ? static_cast<Index>(axis.size) : 0};
  }
  const double a = (low - axis.center) / axis.stride - axis.step(0);
  const double b = (high - axis.center) / axis.stride - axis.step(0);
  const double size = axis.size;
  return {static_cast<Index>(Clip(Min(a, b) + 0.99, 0, size)),
          static_cast<Index>(Clip(Max(a, b) + 1.01, 0, size))};
}

// The exponents of a Gaussian at the pixels near to mu. With t = a - nearest,
// that of pixel a less the largest is -q / (2 sigma^2), where
// q = t (t + 2 (nearest - mu)). The second term comes as the sum of two
// numbers, as t may cancel the first.
template <typename A>
struct Excess {
  A high;
  A low;

  Excess() = default;
  RATM_HOST_DEVICE explicit Excess(double offset) {
    const double twice =
        Clip(2 * offset, -Precision<A>::kMaxOffset, Precision<A>::kMaxOffset);
    high = static_cast<A>(twice);
    low = static_cast<A>(twice - high);
  }

  // A number, or a vector of them.
  template <typename V>
  RATM_HOST_DEVICE V q(V t) const {
    return t * ((t + high) + low);
  }
};

}  // namespace
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_AXIS_H_
