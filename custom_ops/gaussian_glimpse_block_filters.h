// Banks of Gaussian filters as a block of threads builds them, with only the
// taps that matter.
//
// Plain C++, so that it also runs, and is tested, where there is no GPU.

#ifndef RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_BLOCK_FILTERS_H_
#define RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_BLOCK_FILTERS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/gaussian_glimpse.h"

#if defined(__CUDACC__)
#define RATM_DEVICE __device__
#define RATM_HOST_DEVICE __host__ __device__
#else
#define RATM_DEVICE
#define RATM_HOST_DEVICE
#endif

namespace ratm {
namespace blocks {

constexpr int kThreads = 128;
// The threads that sum up one filter.
constexpr int kLanes = 4;

template <typename A>
struct Precision;

template <>
struct Precision<float> {
  // Taps further from mu than so many sigmas weigh less than the rounding.
  static constexpr double kReach = 6;
  static constexpr double kMaxOffset = 1e30;
};

template <>
struct Precision<double> {
  static constexpr double kReach = 9;
  static constexpr double kMaxOffset = 1e100;
};

RATM_HOST_DEVICE constexpr int64_t CeilDiv(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

template <typename T>
RATM_HOST_DEVICE constexpr T Min(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
RATM_HOST_DEVICE constexpr T Max(T a, T b) {
  return a < b ? b : a;
}

RATM_DEVICE inline double Clip(double x, double low, double high) {
  return Min(Max(x, low), high);
}

// The pixels [begin, end), or the filters.
struct Range {
  int64_t begin;
  int64_t end;

  RATM_DEVICE int64_t size() const { return end - begin; }
  RATM_DEVICE bool contains(int64_t i) const { return begin <= i && i < end; }
  RATM_DEVICE Range operator&(Range other) const {
    return {Max(begin, other.begin), Min(end, other.end)};
  }
  RATM_DEVICE bool overlaps(Range other) const {
    return begin < other.end && other.begin < end;
  }
};

// One axis of a window.
struct Axis {
  double center;
  double sigma;
  double stride;
  int64_t size;    // Gaussians.
  int64_t length;  // Pixels.
};

template <typename A>
RATM_DEVICE Axis XAxis(const GlimpseShape& shape, const A* window) {
  return {window[kCenterX], window[kSigmaX], window[kStrideX], shape.columns,
          shape.width};
}

template <typename A>
RATM_DEVICE Axis YAxis(const GlimpseShape& shape, const A* window) {
  return {window[kCenterY], window[kSigmaY], window[kStrideY], shape.rows,
          shape.height};
}

template <typename A>
RATM_DEVICE bool IsFinite(const A* window) {
  A product = 0;  // Stays zero unless a factor is NaN or infinite.
  for (int i = 0; i < kWindowSize; ++i) product *= window[i];
  return product == 0;
}

// One row of a filter bank. With t = a - nearest, the exponent less its largest
// value is -q / (2 sigma^2), q = t (t + 2 (nearest - mu)). The second term
// comes as the sum of two numbers, as t may cancel the first.
template <typename A>
struct Filter {
  Range taps;
  int64_t nearest;  // The pixel nearest to mu.
  A high;
  A low;
  A scale;
  A normaliser;
  A mean_t;
  A mean_q;
  A by_mu;
  A by_sigma;

  RATM_DEVICE A t(int64_t a) const { return static_cast<A>(a - nearest); }
  RATM_DEVICE A q(A t) const { return t * ((t + high) + low); }
  RATM_DEVICE A Exponential(A q) const { return exp(q * scale); }
  RATM_DEVICE A Weight(A t) const { return Exponential(q(t)) * normaliser; }
};

// The weight of a tap, and its derivatives by mu and sigma.
template <typename A>
struct Weights {
  A weight;
  A by_mu;
  A by_sigma;

  RATM_DEVICE Weights(const Filter<A>& filter, A t) {
    const A q = filter.q(t);
    weight = filter.Exponential(q) * filter.normaliser;
    by_mu = weight * (t - filter.mean_t) * filter.by_mu;
    by_sigma = weight * (q - filter.mean_q) * filter.by_sigma;
  }
};

// Finds the taps whose weight is above exp(-kReach^2 / 2) times that of the
// pixel nearest to mu, and puts the filter in terms of that pixel.
template <typename A>
RATM_DEVICE Filter<A> Locate(const Axis& axis, int64_t i) {
  const double sigma = Clip(axis.sigma, kMinSigma, 1e100);
  const double step = i - 0.5 * (axis.size - 1);
  const double mu = Clip(axis.center + step * axis.stride, -1e100, 1e100);
  const double last = axis.length - 1;
  const double nearest = nearbyint(Clip(mu, 0, last));
  const double offset = nearest - mu;
  const double distance = fabs(offset);
  const double reach = Precision<A>::kReach * sigma;
  // mu - radius and mu + radius, from the nearest pixel, uncancelled.
  const double radius = sqrt(distance * distance + reach * reach);
  const double outer = radius + distance;
  const double inner = reach * (reach / outer);
  const double below = offset < 0 ? inner : outer;
  const double above = offset < 0 ? outer : inner;
  const double twice =
      Clip(2 * offset, -Precision<A>::kMaxOffset, Precision<A>::kMaxOffset);
  Filter<A> filter;
  filter.taps.begin =
      static_cast<int64_t>(nearest - floor(Min(below, nearest)));
  filter.taps.end =
      static_cast<int64_t>(nearest + floor(Min(above, last - nearest))) + 1;
  filter.nearest = static_cast<int64_t>(nearest);
  filter.high = static_cast<A>(twice);
  filter.low = static_cast<A>(twice - filter.high);
  filter.scale = static_cast<A>(-0.5 / (sigma * sigma));
  filter.by_mu = static_cast<A>(1 / (sigma * sigma));
  filter.by_sigma = static_cast<A>(1 / (sigma * sigma * sigma));
  return filter;
}

// Partial sums over the taps of a filter: of the exponentials and, for the
// derivatives, of their products with t and q. In double, as what rounding
// left of the centred moments would weigh the mean level of the image.
template <int kMoments>
using Moments = double[kLanes][kMoments];

// Fills filters[0, size), filter i being what locate(i) finds, normalised.
template <int kMoments, typename Block, typename A, typename F>
RATM_DEVICE void BuildFilters(const Block& block, int64_t size, F locate,
                              Filter<A>* filters, Moments<kMoments>* moments) {
  block.Phase([&](int thread) {
    for (int64_t i = thread; i < size; i += kThreads) filters[i] = locate(i);
  });
  block.Phase([&](int thread) {
    for (int64_t item = thread; item < size * kLanes; item += kThreads) {
      const Filter<A>& filter = filters[item / kLanes];
      const int64_t lane = item % kLanes;
      double sums[kMoments] = {};
      for (int64_t a = filter.taps.begin + lane; a < filter.taps.end;
           a += kLanes) {
        const A t = filter.t(a);
        const A q = filter.q(t);
        const double weight = filter.Exponential(q);
        sums[0] += weight;
        if constexpr (kMoments > 1) {
          sums[1] += weight * t;
          sums[2] += weight * q;
        }
      }
      for (int j = 0; j < kMoments; ++j) {
        moments[item / kLanes][lane][j] = sums[j];
      }
    }
  });
  block.Phase([&](int thread) {
    for (int64_t i = thread; i < size; i += kThreads) {
      double sums[kMoments] = {};
      for (int lane = 0; lane < kLanes; ++lane) {
        for (int j = 0; j < kMoments; ++j) sums[j] += moments[i][lane][j];
      }
      filters[i].normaliser = static_cast<A>(1 / sums[0]);
      if constexpr (kMoments > 1) {
        filters[i].mean_t = static_cast<A>(sums[1] / sums[0]);
        filters[i].mean_q = static_cast<A>(sums[2] / sums[0]);
      }
    }
  });
}

// The filters of one axis, from the leftmost (or topmost) mu on. Both ends of
// their taps grow with mu.
template <typename A>
struct Bank {
  const Filter<A>* filters;
  int64_t size;
  bool reversed;

  RATM_DEVICE Range taps(int64_t place) const {
    return filters[reversed ? size - 1 - place : place].taps;
  }

  RATM_DEVICE Range support() const {
    return {taps(0).begin, taps(size - 1).end};
  }

  // The next pixels from `begin` on that filters see, at most max_size of them
  // and, if there are more, up to a gap wider than max_gap; none at the end.
  RATM_DEVICE Range NextRun(int64_t begin, int64_t max_size,
                            int64_t max_gap) const {
    const Range rest = {Max(begin, support().begin), support().end};
    if (rest.size() <= max_size) return rest;
    Range run = {0, 0};
    for (int64_t place = 0; place < size; ++place) {
      const Range seen = taps(place);
      if (seen.end <= begin) continue;
      if (run.size() == 0) {
        run = {Max(seen.begin, begin), seen.end};
      } else if (seen.begin - run.end > max_gap) {
        break;
      }
      run.end = Max(run.end, seen.end);
    }
    run.end = Min(run.end, run.begin + max_size);
    return run;
  }

  // The filters whose taps overlap these pixels.
  RATM_DEVICE Range Seeing(Range pixels) const {
    const int64_t begin =
        FirstPlace([&](Range seen) { return seen.end > pixels.begin; });
    const int64_t end =
        Max(begin,
            FirstPlace([&](Range seen) { return seen.begin >= pixels.end; }));
    return reversed ? Range{size - end, size - begin} : Range{begin, end};
  }

 private:
  // The first place where a condition that stays true holds.
  template <typename F>
  RATM_DEVICE int64_t FirstPlace(F holds) const {
    int64_t begin = 0, end = size;
    while (begin < end) {
      const int64_t middle = (begin + end) / 2;
      if (holds(taps(middle))) {
        end = middle;
      } else {
        begin = middle + 1;
      }
    }
    return begin;
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_BLOCK_FILTERS_H_
