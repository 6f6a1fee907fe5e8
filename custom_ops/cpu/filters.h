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
// that matter.
template <typename A>
class FilterBank {
 public:
  static constexpr int kCount = Lanes<A>::kCount;

  // The filters of a bank: the weights F, and their derivatives.
  enum Kind { kWeight, kByMu, kBySigma, kKinds };

  void Build(const Axis& axis, int64_t first, int64_t size, bool derivatives,
             Scratch* scratch) {
    size_ = size;
    sigma_ = axis.sigma();
    rows_ = New<Row>(scratch, size);
    exponents_ = New<Exponent>(scratch, size);
    Locate(axis, first,
           derivatives ? Precision<A>::kDerivativeReach : Precision<A>::kReach);
    for (int f = 0; f < (derivatives ? kKinds : 1); ++f) {
      filters_[f] = New<A>(scratch, numbers_);
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
  const A* row(Kind f, int64_t i) const {
    return &filters_[f][rows_[i].offset];
  }

 private:
  struct Row {
    Range taps;
    int64_t offset;  // In each filter.
  };

  // Numbers t of the taps of a row: see Excess.
  struct Exponent : Excess<A> {
    A first_tap;
    A past_tap;

    Vector<A> T(int64_t k) const {
      return LaneNumbers<A>::All() + (first_tap + static_cast<A>(k));
    }
  };

  // Finds the taps of each row, and puts it in terms of the nearest pixel.
  void Locate(const Axis& axis, int64_t first, double sigmas) {
    constexpr int64_t kBlock = 64;
    const Axis copy = axis;
    const double reach = sigmas * sigma_;
    const double last = axis.length - 1;
    support_ = {axis.length, 0};
    numbers_ = 0;
    double nearest[kBlock], offset[kBlock], below[kBlock], above[kBlock];
    for (int64_t begin = 0; begin < size_; begin += kBlock) {
      const int32_t size = static_cast<int32_t>(Min(size_ - begin, kBlock));
      const double first_step = copy.step(first + begin);
      // Compiled to vectors: without a branch or a call, from variables that
      // the results cannot overlap, and a number that converts to double by
      // vectors.
      for (int32_t i = 0; i < size; ++i) {
        const Taps taps = FindTaps(copy.mu(first_step + i), reach, last);
        nearest[i] = taps.nearest;
        offset[i] = taps.offset;
        below[i] = taps.below;
        above[i] = taps.above;
      }
      for (int32_t i = 0; i < size; ++i) {
        exponents_[begin + i] = {Excess<A>(offset[i]),
                                 static_cast<A>(-below[i]),
                                 static_cast<A>(above[i] + 1)};
        const Range taps =
            Taps{nearest[i], offset[i], below[i], above[i]}.range<int64_t>();
        rows_[begin + i] = {taps, numbers_};
        numbers_ += RoundUp(taps.size(), kCount);
        support_.begin = Min(support_.begin, taps.begin);
        support_.end = Max(support_.end, taps.end);
      }
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
      V exponent = e.q(t) * scale;
      exponent = exponent > A{-60} ? exponent : V{} - A{60};
      Store(weight + k,
            t < e.past_tap ? exponent : V{} + Lanes<A>::kExponentOfZero);
    }
  }

  // Turns exponents into weights, several vectors at a time, as each is a long
  // chain of dependent instructions.
  void Exponentiate() {
    constexpr int kVectors = 4;
    A* weight = filters_[kWeight];
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

  // A sum over the taps of a row. Long ones are cut into chunks, whose sums are
  // summed in double.
  class Total {
   public:
    void Add(Vector<A> v) { chunk_ += v; }
    void EndChunk() {
      earlier_ += SumLanes<A>(chunk_)[0];
      chunk_ = Vector<A>{};
    }
    // In each lane.
    Vector<A> Get() const {
      return SumLanes<A>(chunk_) + static_cast<A>(earlier_);
    }

   private:
    Vector<A> chunk_ = {};
    double earlier_ = 0;
  };

  // Calls add(k) for each vector of taps, and end_chunk() between two chunks.
  template <typename Add, typename EndChunk>
  static void SumTaps(int64_t size, Add add, EndChunk end_chunk) {
    constexpr int64_t kChunkTaps = 32 * kCount;
    for (int64_t k = 0;; end_chunk()) {
      const int64_t end = Min(k + kChunkTaps, size);
      for (; k < end; k += kCount) add(k);
      if (k >= size) break;
    }
  }

  void Normalise(int64_t i) {
    typedef Vector<A> V;
    const int64_t size = rows_[i].taps.size();
    A* weight = &filters_[kWeight][rows_[i].offset];
    Total total;
    SumTaps(
        size, [&](int64_t k) { total.Add(Load(weight + k)); },
        [&] { total.EndChunk(); });
    const V normaliser = A{1} / total.Get();
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
    Total total, total_t, total_q;
    SumTaps(
        size,
        [&](int64_t k) {
          const V t = e.T(k);
          const V w = Load(weight + k);
          total.Add(w);
          total_t.Add(w * t);
          total_q.Add(w * e.q(t));
        },
        [&] {
          total.EndChunk();
          total_t.EndChunk();
          total_q.EndChunk();
        });
    const V normaliser = A{1} / total.Get();
    const V mean_t = total_t.Get() * normaliser;
    const V mean_q = total_q.Get() * normaliser;
    const A by_mu = static_cast<A>(1 / (sigma_ * sigma_));
    const A by_sigma = static_cast<A>(1 / (sigma_ * sigma_ * sigma_));
    A* weight_by_mu = &filters_[kByMu][rows_[i].offset];
    A* weight_by_sigma = &filters_[kBySigma][rows_[i].offset];
    for (int64_t k = 0; k < size; k += kCount) {
      const V t = e.T(k);
      const V w = Load(weight + k) * normaliser;
      Store(weight + k, w);
      Store(weight_by_mu + k, w * (t - mean_t) * by_mu);
      Store(weight_by_sigma + k, w * (e.q(t) - mean_q) * by_sigma);
    }
  }

  int64_t size_ = 0;
  int64_t numbers_ = 0;
  double sigma_ = 0;
  Range support_ = {0, 0};
  Row* rows_ = nullptr;
  Exponent* exponents_ = nullptr;
  A* filters_[kKinds] = {};  // Rows end in zeros, to whole vectors.
};

}  // namespace
}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_FILTERS_H_
