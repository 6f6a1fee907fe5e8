// Banks of Gaussian filters, with only the taps that matter.
//
// Private to simd.cc, which is compiled once for each
// instruction set: see there why all of it is in unnamed namespaces.

#ifndef RATM_TF_CUSTOM_OPS_CPU_FILTERS_H_
#define RATM_TF_CUSTOM_OPS_CPU_FILTERS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/vector.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

// Rows [first, first + size) of the filter bank of one axis, with only the taps
// that matter. A vector holds the same tap of several rows, a lane a row: most
// filters have fewer taps than would fill vectors of their own.
template <typename A>
class FilterBank {
 public:
  // From one tap of a row to the next.
  static constexpr int kTapStride = Lanes<A>::kCount;

  // The filters of a bank: the weights F, and their derivatives.
  enum Kind { kWeight, kByMu, kBySigma, kKinds };

  // Neighbouring pixels, and the number that the first of them has in the bank.
  struct Run {
    Range pixels;
    int64_t packed;
  };

  // The bank numbers pixels as the image does, from the first one that some row
  // sees; but unless `gap` is kNoGaps it leaves out those in gaps of so many
  // pixels that no row sees.
  static constexpr int64_t kNoGaps = 0;

  void Build(const Axis& axis, int64_t first, int64_t size, bool derivatives,
             int64_t gap, Scratch* scratch) {
    size_ = size;
    sigma_ = axis.sigma();
    scale_ = static_cast<A>(-0.5 * kLog2E / (sigma_ * sigma_));
    group_count_ = CeilDiv(size, kCount);
    begins_ = New<int64_t>(scratch, group_count_ * kCount);
    ends_ = New<int64_t>(scratch, group_count_ * kCount);
    zeros_ = New<int64_t>(scratch, group_count_ * kCount);
    groups_ = New<Group>(scratch, group_count_);
    const double reach = sigma_ * (derivatives ? Precision<A>::kDerivativeReach
                                               : Precision<A>::kReach);
    Locate(axis, first, reach);
    // Where strides are short there is no gap.
    const bool packs = gap != kNoGaps && fabs(axis.stride) > reach;
    runs_ = New<Run>(scratch, packs ? size : 1);
    runs_[0] = {support_, support_.begin};
    run_count_ = 1;
    if (packs) Pack(gap);
    for (int f = 0; f < (derivatives ? kKinds : 1); ++f) {
      filters_[f] =
          New<A>(scratch, group_count_ * group_size_) + before_ * kCount;
    }
    const V ratio = Power(V{} + 2 * scale_);
    for (int64_t g = 0; g < group_count_; ++g) {
      if (derivatives) {
        Write<true>(g, ratio);
      } else {
        Write<false>(g, ratio);
      }
    }
  }

  int64_t size() const { return size_; }

  // What is under any row, and under a row, as the bank numbers pixels.
  Range support() const { return support_; }
  Range taps(int64_t i) const { return {begins_[i], ends_[i]}; }

  // No row has more taps.
  int64_t most_taps() const { return before_ + from_; }

  // The pixels that the bank numbers, in ascending order.
  int64_t run_count() const { return run_count_; }
  const Run& run(int64_t r) const { return runs_[r]; }

  // Whether later rows see later pixels.
  bool ascends() const { return begins_[0] <= begins_[size_ - 1]; }

  // A filter of row i, from its first tap on, kTapStride apart.
  const A* row(Kind f, int64_t i) const {
    return from_zero(f, i) + begins_[i] * kTapStride;
  }

  // Where the weight of pixel 0 would stand in a filter of row i.
  const A* from_zero(Kind f, int64_t i) const {
    return filters_[f] + i / kCount * group_size_ + zeros_[i];
  }

 private:
  typedef Vector<A> V;
  static constexpr int kCount = Lanes<A>::kCount;

  // As many rows as a vector has lanes, and past the last row that row again.
  // Taps have numbers t; those of a row are from `first` on and before `past`.
  // The exponents' terms are as in Excess.
  struct alignas(V) Group {
    A first[kCount];
    A past[kCount];
    A high[kCount];
    A low[kCount];

    // q(t) over t; and at t1 + t2, what q(t1) less q(t2) is over t1 - t2.
    V Around(V t) const { return (t + Load(high)) + Load(low); }
    V Around(A t) const { return Around(V{} + t); }
    V q(V t) const { return t * Around(t); }
  };

  // Finds the taps of each row, and puts it in terms of the nearest pixel.
  void Locate(const Axis& axis, int64_t first, double reach) {
    const double last = axis.length - 1;
    const Axis copy = axis;
    const double a = axis.mu(axis.step(first));
    const double b = axis.mu(axis.step(first + size_ - 1));
    if (0 <= Min(a, b) && Max(a, b) <= last) {
      const double radius = sqrt(reach * reach + 0.25);
      Locate(axis, first, [=](double step) {
        return FindTapsInside(copy.center + step * copy.stride, reach, radius,
                              last);
      });
    } else {
      Locate(axis, first,
             [=](double step) { return FindTaps(copy.mu(step), reach, last); });
    }
  }

  template <typename F>
  void Locate(const Axis& axis, int64_t first, F find_taps) {
    constexpr int32_t kRows = 64;
    static_assert(kRows % kCount == 0);
    Bounds support, taps;
    double nearest[kRows], offset[kRows], below[kRows], above[kRows];
    for (int64_t begin = 0; begin < size_; begin += kRows) {
      const int32_t size = static_cast<int32_t>(
          Min<int64_t>(RoundUp(size_ - begin, kCount), kRows));
      const double first_step = axis.step(first + begin);
      const double last_step = axis.step(first + size_ - 1);
      // Compiled to vectors: without a branch or a call, from variables that
      // the results cannot overlap, and a number that converts to double by
      // vectors.
      for (int32_t i = 0; i < size; ++i) {
        const Taps taps = find_taps(Min(first_step + i, last_step));
        nearest[i] = taps.nearest;
        offset[i] = taps.offset;
        below[i] = taps.below;
        above[i] = taps.above;
      }
      for (int32_t i = 0; i < size; i += kCount) {
        Locate(begin + i, nearest + i, offset + i, below + i, above + i,
               &support, &taps);
      }
    }
    support_ = support.range();
    before_ = RoundUp(-taps.range().begin, kBlock);
    from_ = RoundUp(taps.range().end, kBlock);
    group_size_ = (before_ + from_) * kCount;
  }

  // The least and the greatest of some whole numbers.
  struct Bounds {
    Vector<double> least = Vector<double>{} + HUGE_VAL;
    Vector<double> greatest = Vector<double>{} - HUGE_VAL;

    void Add(Vector<double> low, Vector<double> high) {
      least = low < least ? low : least;
      greatest = high > greatest ? high : greatest;
    }
    Range range() const {
      double low = least[0], high = greatest[0];
      for (int l = 1; l < Lanes<double>::kCount; ++l) {
        low = Min(low, least[l]);
        high = Max(high, greatest[l]);
      }
      return {static_cast<int64_t>(low), static_cast<int64_t>(high)};
    }
  };

  // A group of rows from row i on, from what is known of each.
  void Locate(int64_t i, const double* nearest, const double* offset,
              const double* below, const double* above, Bounds* support,
              Bounds* taps) {
    typedef Vector<double> D;
    constexpr int kDoubles = Lanes<double>::kCount;
    constexpr double kMost = Precision<A>::kMaxOffset;
    Group& group = groups_[i / kCount];
    for (int l = 0; l < kCount; l += kDoubles) {
      D twice = 2 * Load(offset + l);
      twice = twice > -kMost ? twice : D{} - kMost;
      twice = twice < kMost ? twice : D{} + kMost;
      Narrow(twice, group.high + l);
      Narrow(twice - Widened(group.high + l), group.low + l);
      const D begin = -Load(below + l);
      const D end = Load(above + l) + 1;
      Narrow(begin, group.first + l);
      Narrow(end, group.past + l);
      taps->Add(begin, end);
      const D pixel = Load(nearest + l);
      support->Add(pixel + begin, pixel + end);
      StoreWhole((LaneNumbers<double>::All() + l) - pixel * kCount,
                 zeros_ + i + l);
      StoreWhole(pixel + begin, begins_ + i + l);
      StoreWhole(pixel + end, ends_ + i + l);
    }
  }

  // Filters are written so many taps at a time.
  static constexpr int kBlock = 4;

  // A sum in each lane, which keeps what rounding loses.
  class Sum {
   public:
    void Add(V v) {
      const V exact = v - error_;
      const V total = total_ + exact;
      error_ = (total - total_) - exact;
      total_ = total;
    }
    V Get() const { return total_ - error_; }

   private:
    V total_ = {};
    V error_ = {};
  };

  // A sum of products in each lane, in double precision.
  class WideSum {
   public:
    void Add(V a, V b) {
      A left[kCount], right[kCount];
      Store(left, a);
      Store(right, b);
      for (int d = 0; d < kWide; ++d) {
        total_[d] +=
            Widened(left + d * kDoubles) * Widened(right + d * kDoubles);
      }
    }
    V Over(const WideSum& other) const {
      A ratio[kCount];
      for (int d = 0; d < kWide; ++d) {
        Narrow(total_[d] / other.total_[d], ratio + d * kDoubles);
      }
      return Load(ratio);
    }

   private:
    static constexpr int kDoubles = Lanes<double>::kCount;
    static constexpr int kWide = kCount / kDoubles;
    Vector<double> total_[kWide] = {};
  };

  // Sums of weights, and of their products with t and q.
  template <bool kDerivatives>
  struct Sums {
    Sum all;
    WideSum wide, t, q;

    void AddBlock(const Group& group, V number, int step,
                  const V (&weights)[kBlock]) {
      V of_block = weights[0];
#pragma GCC unroll 4
      for (int j = 1; j < kBlock; ++j) of_block += weights[j];
      all.Add(of_block);
      if (!kDerivatives) return;
#pragma GCC unroll 4
      for (int j = 0; j < kBlock; ++j) {
        const V at = number + static_cast<A>(step * j);
        wide.Add(weights[j], V{} + A{1});
        t.Add(weights[j], at);
        q.Add(weights[j], group.q(at));
      }
    }
  };

  // 2^x, and nothing to speak of below the least number that Exp2 takes.
  static V Power(V x) { return Exp2<A>(x > A{-120} ? x : V{} - A{120}); }

  // Narrow filters fall faster than products of ratios lose accuracy.
  static constexpr double kNarrow = 2;

  // Writes the weights of the taps from 0 on, or of those before, not
  // normalised: tap 0 weighs one. The ratio of a weight to the next is a power,
  // and the ratio of two such ratios a constant. Where the filter is not narrow
  // each block begins anew, by powers.
  template <int kSign, bool kDerivatives>
  void Weigh(int64_t g, V ratio, Sums<kDerivatives>* sums) const {
    const Group& group = groups_[g];
    constexpr int64_t kFirst = kSign > 0 ? 0 : 1;
    const int64_t end = kSign > 0 ? from_ : before_ + 1;
    A* const taps = filters_[kWeight] + g * group_size_;
    const bool narrow = sigma_ < kNarrow;
    const V next = Power(group.Around(A{kSign}) * (kSign * scale_));
    V weight = kSign > 0 ? V{} + A{1} : next;
    V step = kSign > 0 ? next : next * ratio;
    V past = kSign > 0 ? Load(group.past) : -Load(group.first);
    for (int64_t n = kFirst; n < end; n += kBlock) {
      const A t = static_cast<A>(kSign * n);
      if (n > kFirst && !narrow) {
        weight = Power(group.Around(t) * (t * scale_));
        step = Power(group.Around(2 * t + kSign) * (kSign * scale_));
      }
      V weights[kBlock];
#pragma GCC unroll 4
      for (int j = 0; j < kBlock; ++j) {
        weights[j] = past > static_cast<A>(j) ? weight : V{};
        Store(taps + kSign * (n + j) * kCount, weights[j]);
        weight *= step;
        step *= ratio;
      }
      past -= A{kBlock};
      sums->AddBlock(group, V{} + t, kSign, weights);
    }
  }

  // Writes the filters of a group of rows. Derivatives are centred moments.
  template <bool kDerivatives>
  void Write(int64_t g, V ratio) const {
    const Group& group = groups_[g];
    Sums<kDerivatives> sums;
    Weigh<1>(g, ratio, &sums);
    Weigh<-1>(g, ratio, &sums);
    const V normaliser = A{1} / sums.all.Get();
    const V mean_t = sums.t.Over(sums.wide);
    const V mean_q = sums.q.Over(sums.wide);
    const A by_mu = static_cast<A>(1 / (sigma_ * sigma_));
    const A by_sigma = static_cast<A>(1 / (sigma_ * sigma_ * sigma_));
    V t = V{} - static_cast<A>(before_);
    const int64_t first = g * group_size_ - before_ * kCount;
    for (int64_t k = first; k < first + group_size_; k += kBlock * kCount) {
#pragma GCC unroll 4
      for (int j = 0; j < kBlock; ++j, t += A{1}) {
        const int64_t at = k + j * kCount;
        const V weight = Load(filters_[kWeight] + at) * normaliser;
        Store(filters_[kWeight] + at, weight);
        if (!kDerivatives) continue;
        Store(filters_[kByMu] + at, weight * (t - mean_t) * by_mu);
        Store(filters_[kBySigma] + at,
              weight * (group.q(t) - mean_q) * by_sigma);
      }
    }
  }

  // Leaves the pixels in wide gaps out of the numbers.
  void Pack(int64_t gap) {
    const bool ascends = this->ascends();
    const auto row_at = [&](int64_t k) { return ascends ? k : size_ - 1 - k; };
    runs_[0] = {taps(row_at(0)), 0};
    for (int64_t k = 1; k < size_; ++k) {
      const Range taps = this->taps(row_at(k));
      Run* run = &runs_[run_count_ - 1];
      if (taps.begin - run->pixels.end >= gap) {
        *++run = {taps, 0};
        ++run_count_;
      }
      // Rounding may have a later row begin a pixel earlier.
      run->pixels = {Min(run->pixels.begin, taps.begin),
                     Max(run->pixels.end, taps.end)};
    }
    support_.end = support_.begin;
    for (int64_t r = 0; r < run_count_; ++r) {
      runs_[r].packed = support_.end;
      support_.end += runs_[r].pixels.size();
    }
    const Run* run = runs_;
    for (int64_t k = 0; k < size_; ++k) {
      const int64_t i = row_at(k);
      while (begins_[i] >= run->pixels.end) ++run;
      const int64_t by = run->pixels.begin - run->packed;
      zeros_[i] += by * kCount;
      begins_[i] -= by;
      ends_[i] -= by;
    }
  }

  int64_t size_ = 0;
  int64_t group_count_ = 0;
  int64_t run_count_ = 0;
  double sigma_ = 0;
  A scale_ = 0;
  // Taps before 0, and from 0 on, that there is room for in each row; and the
  // numbers of a group in each filter.
  int64_t before_ = 0;
  int64_t from_ = 0;
  int64_t group_size_ = 0;
  Range support_ = {0, 0};
  // Of each row: its taps, and where the one of pixel 0 would stand from tap 0
  // of the first row of its group.
  int64_t* begins_ = nullptr;
  int64_t* ends_ = nullptr;
  int64_t* zeros_ = nullptr;
  Group* groups_ = nullptr;
  Run* runs_ = nullptr;
  A* filters_[kKinds] = {};  // From tap 0 of the first row on.
};

}  // namespace
}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_FILTERS_H_
