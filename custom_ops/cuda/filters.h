// Gaussian filters as a block of threads builds them, with only the taps that
// matter. It is plain C++, so that it also runs, and is tested, where there is
// no GPU.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_FILTERS_H_
#define RATM_TF_CUSTOM_OPS_CUDA_FILTERS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/axis.h"

#if defined(__CUDACC__)
#define RATM_DEVICE __device__
#define RATM_PRAGMA(X) _Pragma(#X)
#define RATM_UNROLL(N) RATM_PRAGMA(unroll N)
#else
#define RATM_DEVICE
#define RATM_UNROLL(N)
#endif

namespace ratm {
namespace blocks {

// Pixels and Gaussians. No axis has more than kMaxSide of them.
using Range = RangeOf<int>;

constexpr int kWarp = 32;
// The threads that sum up one filter.
constexpr int kLanes = 4;

RATM_DEVICE inline double Exp2(double x) { return exp2(x); }

// Of a float that is no less than -126: one instruction, and few wrong bits.
RATM_DEVICE inline float Exp2(float x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return exp2f(x);
#endif
}

// One row of a filter bank.
template <typename A>
struct alignas(16) Filter : Excess<A> {
  Range taps;
  int nearest;  // The pixel nearest to mu.
  A scale;
  A normaliser;
  A mean_t;
  A mean_q;
  A by_mu;
  A by_sigma;

  // Finds the taps, and puts the filter in terms of the pixel nearest to mu.
  RATM_DEVICE void Locate(const Axis& axis, double sigmas, int i) {
    const double sigma = axis.sigma();
    const Taps found =
        FindTaps(axis.mu(axis.step(i)), sigmas * sigma, axis.length - 1);
    static_cast<Excess<A>&>(*this) = Excess<A>(found.offset);
    taps = found.template range<int>();
    nearest = static_cast<int>(found.nearest);
    const A by_one = 1 / static_cast<A>(sigma);
    by_mu = by_one * by_one;
    by_sigma = by_mu * by_one;
    scale = static_cast<A>(-0.5 * kLog2E) * by_mu;
    normaliser = 1;
  }

  RATM_DEVICE A t(int a) const { return static_cast<A>(a - nearest); }

  // Before it is normalised.
  RATM_DEVICE A Exponential(A q) const { return Exp2(q * scale); }

  // Writes the weight of pixel a, which is nearest + t, and, of three filters,
  // its derivatives by mu and sigma. A pixel that is not among the taps weighs
  // nothing.
  template <int kFilters>
  RATM_DEVICE void Weigh(int a, A t, A (&weights)[kFilters]) const {
    const A q = this->q(t);
    weights[0] = taps.contains(a) ? Exponential(q) * normaliser : A{0};
    if constexpr (kFilters == 3) {
      weights[1] = weights[0] * (t - mean_t) * by_mu;
      weights[2] = weights[0] * (q - mean_q) * by_sigma;
    }
  }
};

// Partial sums over the taps of a filter: of the exponentials and, for the
// derivatives, of their products with t and q. In double, as what rounding
// left of the centred moments would weigh the mean level of the image.
template <int kMoments>
using Moments = double[kLanes][kMoments];

// Normalises the filters [0, size), which are located.
template <int kMoments, typename Block, typename A>
RATM_DEVICE void Normalise(const Block& block, int size, Filter<A>* filters,
                           Moments<kMoments>* moments) {
  constexpr int kThreads = Block::kThreads;
  block.Phase([&](int thread) {
    for (int item = thread; item < size * kLanes; item += kThreads) {
      const Filter<A>& filter = filters[item / kLanes];
      const int lane = item % kLanes;
      double sums[kMoments] = {};
      for (int a = filter.taps.begin + lane; a < filter.taps.end; a += kLanes) {
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
    for (int i = thread; i < size; i += kThreads) {
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
  int size;
  bool reversed;

  RATM_DEVICE Range taps(int place) const {
    return filters[reversed ? size - 1 - place : place].taps;
  }

  RATM_DEVICE Range support() const { return support(0, size); }

  // The pixels that filters [begin, end) see, and what lies between.
  RATM_DEVICE Range support(int begin, int end) const {
    const Range a = filters[begin].taps, b = filters[end - 1].taps;
    return {Min(a.begin, b.begin), Max(a.end, b.end)};
  }

  // The first place whose taps end after a pixel, or `size`.
  RATM_DEVICE int FirstAfter(int pixel) const {
    int begin = 0;
    for (int end = size; begin < end;) {
      const int middle = (begin + end) / 2;
      if (taps(middle).end > pixel) {
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

#endif  // RATM_TF_CUSTOM_OPS_CUDA_FILTERS_H_
