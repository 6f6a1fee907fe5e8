// Banks of Gaussian filters as a block of threads builds them, with only the
// taps that matter.
//
// Plain C++, so that it also runs, and is tested, where there is no GPU.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_FILTERS_H_
#define RATM_TF_CUSTOM_OPS_CUDA_FILTERS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/axis.h"

#if defined(__CUDACC__)
#define RATM_DEVICE __device__
#else
#define RATM_DEVICE
#endif

namespace ratm {
namespace blocks {

constexpr int kThreads = 128;
// The threads that sum up one filter.
constexpr int kLanes = 4;

// One row of a filter bank.
template <typename A>
struct Filter : Excess<A> {
  Range taps;
  int64_t nearest;  // The pixel nearest to mu.
  A scale;
  A normaliser;
  A mean_t;
  A mean_q;
  A by_mu;
  A by_sigma;

  RATM_DEVICE A t(int64_t a) const { return static_cast<A>(a - nearest); }
  RATM_DEVICE A Exponential(A q) const { return exp(q * scale); }
  RATM_DEVICE A Weight(A t) const {
    return Exponential(this->q(t)) * normaliser;
  }
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

// Finds the taps, and puts the filter in terms of the pixel nearest to mu.
template <typename A>
RATM_DEVICE Filter<A> Locate(const Axis& axis, int64_t i) {
  const double sigma = axis.sigma();
  const Taps taps =
      FindTaps(axis.mu(axis.step(i)), Precision<A>::kDerivativeReach * sigma,
               axis.length - 1);
  Filter<A> filter;
  static_cast<Excess<A>&>(filter) = Excess<A>(taps.offset);
  filter.taps = taps.range();
  filter.nearest = static_cast<int64_t>(taps.nearest);
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

#endif  // RATM_TF_CUSTOM_OPS_CUDA_FILTERS_H_
