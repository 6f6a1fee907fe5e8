// Products of banded matrices, for filter banks.
//
// Private to simd.cc, which is compiled once for each
// instruction set: see there why all of it is in unnamed namespaces.

#ifndef RATM_TF_CUSTOM_OPS_CPU_BANDED_H_
#define RATM_TF_CUSTOM_OPS_CPU_BANDED_H_

#include <string.h>

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/filters.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/vector.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

// Rows of numbers, `stride` apart, of which the first is row `origin`.
template <typename T>
struct Matrix {
  T* data;
  int64_t origin;
  int64_t stride;

  T* row(int64_t i) const { return data + (i - origin) * stride; }
  Matrix from(int64_t j) const { return {data + j, origin, stride}; }
};

// Taps are summed by so many at a time, which keeps long sums accurate; and
// products of vectors, which are added up in double.
constexpr int64_t kChunk = 64;
constexpr int64_t kProductsChunk = 256;

// The vectors of a panel: as many as leave registers for the rest, where each
// of them has a sum, or two. AVX-512 and aarch64 have 32 registers.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kPanelVectors = 8;
#else
constexpr int kPanelVectors = 4;
#endif
constexpr int kMaxPanelVectors = 8;

// Some neighbouring numbers of every row of a matrix, a constant number of
// vectors. The last vector starts `last` numbers on, and its first `shared`
// lanes were in a vector before.
struct Panel {
  int64_t begin;
  int64_t last;
  int64_t shared;
};

// Calls f(vectors, panel) for panels that cover `length` numbers, at least a
// vector of them. All but the last have the same number of vectors, and that
// has little less: a narrow panel reads its weights for few numbers.
template <typename A, int kVectors, typename F>
inline void ForPanels(int64_t length, F f) {
  static_assert(kVectors <= kMaxPanelVectors);
  constexpr int kCount = Lanes<A>::kCount;
  const int64_t all = CeilDiv(length, kCount);
  const int64_t most = CeilDiv(all, CeilDiv(all, kVectors));
  for (int64_t first = 0; first < all; first += most) {
    const int64_t vectors = Min(most, all - first);
    const int64_t begin = Min(first * kCount, length - kCount);
    const int64_t end = Min((first + vectors) * kCount, length);
    const Panel panel = {begin, end - kCount - begin,
                         (first + vectors) * kCount - end};
    switch (vectors) {
#define RATM_PANEL(N)                                          \
  case N:                                                      \
    f(std::integral_constant<int, Min(N, kVectors)>(), panel); \
    break
      RATM_PANEL(1);
      RATM_PANEL(2);
      RATM_PANEL(3);
      RATM_PANEL(4);
      RATM_PANEL(5);
      RATM_PANEL(6);
      RATM_PANEL(7);
      RATM_PANEL(8);
#undef RATM_PANEL
    }
  }
}

// The panel of the rows of x that a bank sees, as the type of the sums: in
// `converted` if it is not, as many filters see a number. The rows of x are
// numbered as pixels, those of the result, and of an x that is not converted,
// as in the bank.
template <int kVectors, typename T, typename A>
Matrix<const A> Converted(const FilterBank<A>& bank, const Matrix<const T>& x,
                          const Panel& panel, A* converted) {
  if constexpr (std::is_same_v<T, A>) {
    return x.from(panel.begin);
  } else {
    constexpr int kCount = Lanes<A>::kCount;
    constexpr int64_t kStride = kVectors * kCount;
    A* to = converted;
    for (int64_t r = 0; r < bank.run_count(); ++r) {
      const Range rows = bank.run(r).pixels;
      const T* from = x.row(rows.begin) + panel.begin;
      for (int64_t h = rows.begin; h < rows.end; ++h) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          const int64_t at = v < kVectors - 1 ? v * kCount : panel.last;
          Store(to + at, Load(from + at));
        }
        to += kStride;
        from += x.stride;
      }
    }
    return {converted, bank.support().begin, kStride};
  }
}

// Memory for that.
template <int kVectors, typename T, typename A>
A* NewConverted(const FilterBank<A>& bank, Scratch* scratch) {
  return std::is_same_v<T, A>
             ? nullptr
             : New<A>(scratch,
                      bank.support().size() * kVectors * Lanes<A>::kCount);
}

// Returns a long sum and further numbers; its rounding error is in `error`.
template <typename A>
inline Vector<A> AddToLongSum(Vector<A> sum, Vector<A> numbers, A* error) {
  typedef Vector<A> V;
  const V exact = numbers - Load(error);
  const V result = sum + exact;
  const V lost = (result - sum) - exact;
  Store(error, lost == lost ? lost : V{});  // Infinity stays infinity.
  return result;
}

// Adds the rows `taps` of x, times the weights of each sum, to the sums. The
// weights of row 0 would stand where the pointers point.
template <int kVectors, int kSums, typename A>
[[gnu::always_inline]] inline void AddTaps(const Matrix<const A>& x, Range taps,
                                           int64_t last,
                                           const A* const (&weights)[kSums],
                                           Vector<A>(*const (&sums)[kSums])) {
  constexpr int kCount = Lanes<A>::kCount;
  const A* row = x.row(taps.begin);
  for (int64_t h = taps.begin; h < taps.end; ++h, row += x.stride) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Vector<A> numbers = Load(row + (v < kVectors - 1 ? v * kCount : last));
      if (kSums > 1) KeepInRegister(numbers);
#pragma GCC unroll 2
      for (int s = 0; s < kSums; ++s) {
        sums[s][v] += weights[s][h * FilterBank<A>::kTapStride] * numbers;
      }
    }
  }
}

// Calls add(taps) for all taps, and what is to be done between two chunks.
template <bool kLong, typename Add, typename Between>
[[gnu::always_inline]] inline void InChunks(Range taps, Add add,
                                            Between between) {
  for (; kLong && taps.size() > kChunk; taps.begin += kChunk) {
    add(Range{taps.begin, taps.begin + kChunk});
    between();
  }
  add(taps);
}

// Rows i and i + 1 of the product below, over a panel; neighbours share most of
// their taps, so each row of x is read once for both. Rows have more taps than
// a chunk only if they are long.
template <int kVectors, bool kLong, typename A>
void MultiplyPair(const FilterBank<A>& bank, int64_t i,
                  const Matrix<const A>& x, int64_t last,
                  const Matrix<A>& product, A* errors) {
  typedef Vector<A> V;
  constexpr int kCount = Lanes<A>::kCount;
  constexpr auto kWeight = FilterBank<A>::kWeight;
  const bool pair = i + 1 < bank.size();
  const bool swap = pair && bank.taps(i + 1).begin < bank.taps(i).begin;
  const int64_t row_a = swap ? i + 1 : i;
  const int64_t row_b = swap ? i : i + 1;
  const Range a = bank.taps(row_a);
  const Range b = pair ? bank.taps(row_b) : Range{a.end, a.end};
  const A* const weights_a = bank.from_zero(kWeight, row_a);
  const A* const weights_b = bank.from_zero(kWeight, pair ? row_b : row_a);
  A* const out_a = product.row(row_a);
  A* const out_b = product.row(row_b);
  V sum_a[kVectors] = {}, sum_b[kVectors] = {};
  bool begun = false;
  // GCC keeps the sums in registers only if all of this is one function.
  const auto write = [&]() __attribute__((always_inline)) {
    const auto at = [&](int v) { return v < kVectors - 1 ? v * kCount : last; };
    if (kLong && begun) {
      A* const errors_b = errors + kVectors * kCount;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sum_a[v] =
            AddToLongSum<A>(Load(out_a + at(v)), sum_a[v], errors + v * kCount);
        if (!pair) continue;
        sum_b[v] = AddToLongSum<A>(Load(out_b + at(v)), sum_b[v],
                                   errors_b + v * kCount);
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Store(out_a + at(v), sum_a[v]);
      if (pair) Store(out_b + at(v), sum_b[v]);
    }
  };
  const auto begin_anew = [&]() __attribute__((always_inline)) {
    write();
    if (!begun) memset(errors, 0, 2 * kVectors * kCount * sizeof(A));
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum_a[v] = sum_b[v] = V{};
    begun = true;
  };
  const auto add_a = [&](Range h) __attribute__((always_inline)) {
    AddTaps<kVectors, 1, A>(x, h, last, {weights_a}, {sum_a});
  };
  const auto add_b = [&](Range h) __attribute__((always_inline)) {
    AddTaps<kVectors, 1, A>(x, h, last, {weights_b}, {sum_b});
  };
  const auto add_both = [&](Range h) __attribute__((always_inline)) {
    AddTaps<kVectors, 2, A>(x, h, last, {weights_a, weights_b}, {sum_a, sum_b});
  };
  InChunks<kLong>({a.begin, Min(a.end, b.begin)}, add_a, begin_anew);
  InChunks<kLong>({b.begin, Min(a.end, b.end)}, add_both, begin_anew);
  if (a.end > b.end) {
    InChunks<kLong>({b.end, a.end}, add_a, begin_anew);
  } else {
    InChunks<kLong>({Max(a.end, b.begin), b.end}, add_b, begin_anew);
  }
  write();
}

// product[i] = sum over h of F[i, h] x[h], over rows of `length` numbers, at
// least a vector of them.
template <typename T, typename A>
void Multiply(const FilterBank<A>& bank, const Matrix<const T>& x,
              int64_t length, const Matrix<A>& product, Scratch* scratch) {
  const auto top = scratch->top;
  A* const converted = NewConverted<kPanelVectors, T, A>(bank, scratch);
  A errors[2 * kPanelVectors * Lanes<A>::kCount];
  ForPanels<A, kPanelVectors>(length, [&](auto vectors, const Panel& panel) {
    constexpr int kVectors = decltype(vectors)::value;
    const Matrix<const A> numbers =
        Converted<kVectors>(bank, x, panel, converted);
    const Matrix<A> out = product.from(panel.begin);
    for (int64_t i = 0; i < bank.size(); i += 2) {
      if (bank.most_taps() > kChunk) {
        MultiplyPair<kVectors, true>(bank, i, numbers, panel.last, out, errors);
      } else {
        MultiplyPair<kVectors, false>(bank, i, numbers, panel.last, out,
                                      errors);
      }
    }
  });
  scratch->top = top;
}

// product[h] = sum over i of F[i, h] x[i], for the pixels h; or that much more.
template <bool kAdds, typename A>
void MultiplyTransposed(const FilterBank<A>& bank, Range pixels,
                        const Matrix<const A>& x, int64_t length,
                        const Matrix<A>& product) {
  constexpr int kCount = Lanes<A>::kCount;
  const int64_t rows = bank.size();
  const bool ascends = bank.ascends();
  const auto row_at = [&](int64_t k) { return ascends ? k : rows - 1 - k; };
  ForPanels<A, kPanelVectors>(length, [&](auto vectors, const Panel& panel) {
    constexpr int kVectors = decltype(vectors)::value;
    const auto shared = LaneNumbers<A>::All() < static_cast<A>(panel.shared);
    int64_t begin = 0, end = 0;  // The rows that may see h.
    for (int64_t h = pixels.begin; h < pixels.end; ++h) {
      while (begin < rows && bank.taps(row_at(begin)).end <= h) ++begin;
      end = Max(end, begin);
      while (end < rows && bank.taps(row_at(end)).begin <= h) ++end;
      Vector<A> sum[kVectors] = {};
      for (int64_t k = begin; k < end; ++k) {
        const int64_t i = row_at(k);
        const Range taps = bank.taps(i);
        if (!taps.contains(h)) continue;
        const A weight =
            bank.row(FilterBank<A>::kWeight,
                     i)[(h - taps.begin) * FilterBank<A>::kTapStride];
        const A* row = x.row(i) + panel.begin;
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sum[v] +=
              weight * Load(row + (v < kVectors - 1 ? v * kCount : panel.last));
        }
      }
      A* const out = product.row(h) + panel.begin;
      if constexpr (kAdds) {
        if (begin == end) continue;
        sum[kVectors - 1] = shared ? Vector<A>{} : sum[kVectors - 1];
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        A* const to = out + (v < kVectors - 1 ? v * kCount : panel.last);
        if constexpr (kAdds) sum[v] += Load(to);
        Store(to, sum[v]);
      }
    }
  });
}

// Adds to by_mu[i] and by_sigma[i] the sum over h of that derivative of F[i, h]
// times the inner product of grad[i] and x[h].
template <typename T, typename A>
void Contract(const FilterBank<A>& bank, const Matrix<const A>& grad,
              const Matrix<const T>& x, int64_t length, double* by_mu,
              double* by_sigma, Scratch* scratch) {
  typedef Vector<A> V;
  typedef FilterBank<A> Bank;
  constexpr int kCount = Lanes<A>::kCount;
  const auto top = scratch->top;
  A* const converted = NewConverted<kMaxPanelVectors, T, A>(bank, scratch);
  ForPanels<A, kMaxPanelVectors>(length, [&](auto vectors, const Panel& panel) {
    constexpr int kVectors = decltype(vectors)::value;
    const V unshared = LaneNumbers<A>::All() >= static_cast<A>(panel.shared)
                           ? V{} + A{1}
                           : V{};
    const Matrix<const A> numbers =
        Converted<kVectors>(bank, x, panel, converted);
    for (int64_t i = 0; i < bank.size(); ++i) {
      V row_grad[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors - 1; ++v) {
        row_grad[v] = Load(grad.row(i) + panel.begin + v * kCount);
      }
      row_grad[kVectors - 1] =
          Load(grad.row(i) + panel.begin + panel.last) * unshared;
      const Range taps = bank.taps(i);
      const A* weights_by_mu = bank.row(Bank::kByMu, i);
      const A* weights_by_sigma = bank.row(Bank::kBySigma, i);
      const A* row = numbers.row(taps.begin);
      const auto inner_product = [&](const A* from) {
        V product = row_grad[kVectors - 1] * Load(from + panel.last);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors - 1; ++v) {
          product += row_grad[v] * Load(from + v * kCount);
        }
        return product;
      };
      // The weights sum to zero: what all products share would add rounding
      // errors and nothing else.
      const V level = inner_product(row);
      for (int64_t k = 1; k < taps.size();) {
        V sum_by_mu = {}, sum_by_sigma = {};
        const int64_t end = Min(k + kProductsChunk, taps.size());
        for (; k < end; ++k) {
          row += numbers.stride;
          const V product = inner_product(row) - level;
          sum_by_mu += weights_by_mu[k * Bank::kTapStride] * product;
          sum_by_sigma += weights_by_sigma[k * Bank::kTapStride] * product;
        }
        by_mu[i] += SumLanes<A>(sum_by_mu)[0];
        by_sigma[i] += SumLanes<A>(sum_by_sigma)[0];
      }
    }
  });
  scratch->top = top;
}

// out[c, r] = in[r, c] of a square of vectors, or of as much of it as there is.
// Rows of `out` are written with zeros from `height` on, up to `written`.
template <typename In, typename Out, typename Size>
[[gnu::always_inline]] inline void TransposeBlock(const In* in,
                                                  int64_t in_stride,
                                                  Size height, Size width,
                                                  Out* out, int64_t out_stride,
                                                  Size written) {
  typedef ComputeType<In> A;
  constexpr int kCount = Lanes<A>::kCount;
  Vector<A> v[kCount] = {};
#pragma GCC unroll 16
  for (int64_t r = 0; r < kCount; ++r) {
    if (r < height) v[r] = LoadLanes(in + r * in_stride, width);
  }
  TransposeSquare<A>(v);
#pragma GCC unroll 16
  for (int64_t c = 0; c < kCount; ++c) {
    if (c >= width) break;
    StoreLanes<A>(out + c * out_stride, v[c], written);
  }
}

// out[j, i] = in[i, j]. Padded rows of `out` are whole vectors, zero from
// column `rows` on.
template <bool kPadded, typename In, typename Out>
void Transpose(const In* in, int64_t in_stride, int64_t rows, int64_t columns,
               Out* out, int64_t out_stride) {
  constexpr int64_t kCount = Lanes<ComputeType<In>>::kCount;
  for (int64_t block_i = 0; block_i < rows; block_i += kCount) {
    // Rather overlap the block before than be cut short.
    const int64_t i =
        kPadded || rows < kCount ? block_i : Min(block_i, rows - kCount);
    const int64_t height = Min(kCount, rows - i);
    for (int64_t block_j = 0; block_j < columns; block_j += kCount) {
      const int64_t j = columns < kCount ? 0 : Min(block_j, columns - kCount);
      const int64_t width = Min(kCount, columns - j);
      const In* from = in + i * in_stride + j;
      Out* to = out + j * out_stride + i;
      if (height == kCount && width == kCount) {
        // Sizes that the compiler knows leave the square in registers.
        constexpr std::integral_constant<int64_t, kCount> kWhole;
        TransposeBlock(from, in_stride, kWhole, kWhole, to, out_stride, kWhole);
      } else {
        TransposeBlock(from, in_stride, height, width, to, out_stride,
                       kPadded ? kCount : height);
      }
    }
  }
}

}  // namespace
}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_BANDED_H_
