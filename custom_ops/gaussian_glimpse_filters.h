// Banks of Gaussian filters, with only the taps that matter.
//
// Private to gaussian_glimpse_simd.cc, which is compiled once for each
// instruction set: see there why all of it is in unnamed namespaces.

#ifndef RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_FILTERS_H_
#define RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_FILTERS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/gaussian_glimpse_simd.h"
#include "custom_ops/gaussian_glimpse_vector.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

// The pixels [begin, end).
struct Range {
  int64_t begin;
  int64_t end;

  int64_t size() const { return end - begin; }
  bool contains(int64_t i) const { return begin <= i && i < end; }
  bool overlaps(Range other) const {
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
Axis XAxis(const GlimpseShape& shape, const A* window) {
  return {window[kCenterX], window[kSigmaX], window[kStrideX], shape.columns,
          shape.width};
}

template <typename A>
Axis YAxis(const GlimpseShape& shape, const A* window) {
  return {window[kCenterY], window[kSigmaY], window[kStrideY], shape.rows,
          shape.height};
}

template <typename A>
bool IsFinite(const A* window) {
  A product = 0;  // Stays zero unless a factor is NaN or infinite.
  for (int i = 0; i < kWindowSize; ++i) product *= window[i];
  return product == 0;
}

// Rows [first, first + size) of the filter bank of one axis, with only the taps
// that matter.
template <typename A>
class FilterBank {
 public:
  static constexpr int kCount = Lanes<A>::kCount;

  // The filters of a bank: the weights F, and their derivatives.
  enum Filter { kWeight, kByMu, kBySigma, kFilters };

  void Build(const Axis& axis, int64_t first, int64_t size, bool derivatives) {
    size_ = size;
    sigma_ = Clip(axis.sigma, kMinSigma, 1e100);
    FindTaps(axis, first,
             derivatives ? Lanes<A>::kDerivativeReach : Lanes<A>::kReach);
    for (int f = 0; f < (derivatives ? kFilters : 1); ++f) {
      filters_[f].Resize(numbers_);
    }
    // One step for all rows, then the next: a processor that looks ahead works
    // on several rows at a time.
    for (int64_t i = 0; i < size; ++i) WriteExponents(i);
    Exponentiate();
    for (int64_t i = 0; i < size; ++i) {
      if (derivatives) {
        Differentiate(i);
      } else {
        Normalise(i);
      }
    }
  }

  int64_t size() const { return size_; }

  // The pixels under any row, and under a row.
  Range support() const { return support_; }
  Range taps(int64_t i) const { return rows_[i].taps; }

  // A filter of row i, from its first tap on.
  const A* row(Filter f, int64_t i) const {
    return &filters_[f][rows_[i].offset];
  }

 private:
  struct Row {
    Range taps;
    int64_t offset;  // In each filter.
  };

  // With t = a - nearest, the exponent of pixel a less its largest value is
  // -t (t + 2 (nearest - mu)) / (2 sigma^2). The second term comes as the sum
  // of two numbers, as t may cancel the first.
  struct Exponent {
    A high;
    A low;
    A first_tap;
    A past_tap;

    Vector<A> T(int64_t k) const {
      return LaneNumbers<A>::All() + (first_tap + static_cast<A>(k));
    }
    Vector<A> Q(Vector<A> t) const { return t * ((t + high) + low); }
  };

  // Finds the taps whose weight is above exp(-sigmas^2 / 2) times that of the
  // pixel nearest to mu, and puts each row in terms of that pixel.
  void FindTaps(const Axis& axis, int64_t first, double sigmas) {
    rows_.Resize(size_);
    exponents_.Resize(size_);
    nearest_.Resize(size_);
    offset_of_mu_.Resize(size_);
    below_.Resize(size_);
    above_.Resize(size_);
    const double last = axis.length - 1;
    const double reach = sigmas * sigma_;
    const double center = axis.center;
    const double stride = axis.stride;
    const double first_step = first - 0.5 * (axis.size - 1);
    const int32_t size = static_cast<int32_t>(size_);
    double* const nearest_of = &nearest_[0];
    double* const offset_of = &offset_of_mu_[0];
    double* const below = &below_[0];
    double* const above = &above_[0];
    // Compiled to vectors: without a branch or a call, from variables that the
    // results cannot overlap, and a number that converts to double by vectors.
    for (int32_t i = 0; i < size; ++i) {
      const double mu = Clip(center + (first_step + i) * stride, -1e100, 1e100);
      const double nearest = nearbyint(Clip(mu, 0, last));
      const double offset = nearest - mu;
      const double distance = fabs(offset);
      // mu - radius and mu + radius, from the nearest pixel, uncancelled.
      const double radius = sqrt(distance * distance + reach * reach);
      const double outer = radius + distance;
      const double inner = reach * (reach / outer);
      nearest_of[i] = nearest;
      offset_of[i] = offset;
      below[i] = floor(Min(offset < 0 ? inner : outer, nearest));
      above[i] = floor(Min(offset < 0 ? outer : inner, last - nearest));
    }
    support_ = {axis.length, 0};
    numbers_ = 0;
    for (int64_t i = 0; i < size_; ++i) {
      const double twice = Clip(2 * offset_of_mu_[i], -Lanes<A>::kMaxOffset,
                                Lanes<A>::kMaxOffset);
      const A high = static_cast<A>(twice);
      exponents_[i] = {high, static_cast<A>(twice - high),
                       static_cast<A>(-below_[i]),
                       static_cast<A>(above_[i] + 1)};
      const Range taps = {static_cast<int64_t>(nearest_[i] - below_[i]),
                          static_cast<int64_t>(nearest_[i] + above_[i]) + 1};
      rows_[i] = {taps, numbers_};
      numbers_ += RoundUp(taps.size(), kCount);
      support_.begin = Min(support_.begin, taps.begin);
      support_.end = Max(support_.end, taps.end);
    }
  }

  // Writes the exponents of the weights of a row, not normalised: the nearest
  // pixel weighs one.
  void WriteExponents(int64_t i) {
    typedef Vector<A> V;
    const Exponent e = exponents_[i];
    const A scale = static_cast<A>(-0.5 / (sigma_ * sigma_));
    A* weight = &filters_[kWeight][rows_[i].offset];
    for (int64_t k = 0; k < rows_[i].taps.size(); k += kCount) {
      const V t = e.T(k);
      V exponent = e.Q(t) * scale;
      exponent = exponent > A{-60} ? exponent : V{} - A{60};
      Store(weight + k,
            t < e.past_tap ? exponent : V{} + Lanes<A>::kExponentOfZero);
    }
  }

  // Turns exponents into weights, several vectors at a time, as each is a long
  // chain of dependent instructions.
  void Exponentiate() {
    constexpr int kVectors = 4;
    A* weight = &filters_[kWeight][0];
    int64_t k = 0;
    for (; k + kVectors * kCount <= numbers_; k += kVectors * kCount) {
      Vector<A> v[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) v[j] = Load(weight + k + j * kCount);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) v[j] = Exp(v[j]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) Store(weight + k + j * kCount, v[j]);
    }
    for (; k < numbers_; k += kCount) Store(weight + k, Exp(Load(weight + k)));
  }

  void Normalise(int64_t i) {
    typedef Vector<A> V;
    const int64_t size = rows_[i].taps.size();
    A* weight = &filters_[kWeight][rows_[i].offset];
    V total = Load(weight);
    for (int64_t k = kCount; k < size; k += kCount) total += Load(weight + k);
    const V normaliser = A{1} / SumLanes<A>(total);
    for (int64_t k = 0; k < size; k += kCount) {
      Store(weight + k, Load(weight + k) * normaliser);
    }
  }

  // Normalises a row, and writes its derivatives: centred moments.
  void Differentiate(int64_t i) {
    typedef Vector<A> V;
    const Exponent e = exponents_[i];
    const int64_t size = rows_[i].taps.size();
    A* weight = &filters_[kWeight][rows_[i].offset];
    V total = {}, total_t = {}, total_q = {};
    for (int64_t k = 0; k < size; k += kCount) {
      const V t = e.T(k);
      const V w = Load(weight + k);
      total += w;
      total_t += w * t;
      total_q += w * e.Q(t);
    }
    const V normaliser = A{1} / SumLanes<A>(total);
    const V mean_t = SumLanes<A>(total_t) * normaliser;
    const V mean_q = SumLanes<A>(total_q) * normaliser;
    const A by_mu = static_cast<A>(1 / (sigma_ * sigma_));
    const A by_sigma = static_cast<A>(1 / (sigma_ * sigma_ * sigma_));
    A* weight_by_mu = &filters_[kByMu][rows_[i].offset];
    A* weight_by_sigma = &filters_[kBySigma][rows_[i].offset];
    for (int64_t k = 0; k < size; k += kCount) {
      const V t = e.T(k);
      const V w = Load(weight + k) * normaliser;
      Store(weight + k, w);
      Store(weight_by_mu + k, w * (t - mean_t) * by_mu);
      Store(weight_by_sigma + k, w * (e.Q(t) - mean_q) * by_sigma);
    }
  }

  int64_t size_ = 0;
  int64_t numbers_ = 0;
  double sigma_ = 0;
  Range support_ = {0, 0};
  Buffer<Row> rows_;
  Buffer<Exponent> exponents_;
  Buffer<double> nearest_;       // By row: the pixel nearest to mu,
  Buffer<double> offset_of_mu_;  // that pixel less mu,
  Buffer<double> below_;         // and how many taps lie before it
  Buffer<double> above_;         // and after it.
  Buffer<A> filters_[kFilters];  // Rows end in zeros, to whole vectors.
};

}  // namespace
}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_FILTERS_H_
