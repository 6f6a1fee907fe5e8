// Products of matrices.
//
// Private to simd.cc, as vector.h.

#ifndef RATM_TF_CUSTOM_OPS_CPU_PRODUCT_H_
#define RATM_TF_CUSTOM_OPS_CPU_PRODUCT_H_

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/vector.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

constexpr int64_t kFloats = Lanes<float>::kCount;

// Some rows of a product, some vectors wide, from a column on. The next number
// of a is so far in a row, and in a column. What is stored is what finish makes
// of a vector of sums from a column on.
template <int kRows, int kVectors, typename Finish>
inline void MultiplyTile(const float* a, int64_t along, int64_t down,
                         int64_t inner, const float* b, int64_t columns,
                         int64_t column, float* out, const Finish& finish) {
  Vector<float> sums[kRows][kVectors] = {};
  for (int64_t k = 0; k < inner; ++k) {
    Vector<float> line[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      line[v] = Load(b + k * columns + column + v * kFloats);
    }
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const float weight = a[row * down + k * along];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[row][v] += weight * line[v];
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = column + v * kFloats;
      Store(out + row * columns + at, finish(sums[row][v], at));
    }
  }
}

template <int kVectors, typename Finish>
inline void MultiplyColumns(const float* a, int64_t along, int64_t down,
                            int64_t rows, int64_t inner, const float* b,
                            int64_t columns, int64_t column, float* out,
                            const Finish& finish) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    MultiplyTile<4, kVectors>(a + row * down, along, down, inner, b, columns,
                              column, out + row * columns, finish);
  }
  for (; row < rows; ++row) {
    MultiplyTile<1, kVectors>(a + row * down, along, down, inner, b, columns,
                              column, out + row * columns, finish);
  }
}

// The columns that make whole vectors, and how many those are.
template <typename Finish>
inline int64_t MultiplyVectors(const float* a, int64_t along, int64_t down,
                               int64_t rows, int64_t inner, const float* b,
                               int64_t columns, float* out,
                               const Finish& finish) {
  int64_t j = 0;
  const auto multiply = [&](auto vectors) {
    constexpr int kVectors = decltype(vectors)::value;
    for (; j + kVectors * kFloats <= columns; j += kVectors * kFloats) {
      MultiplyColumns<kVectors>(a, along, down, rows, inner, b, columns, j, out,
                                finish);
    }
  };
  if (columns % (3 * kFloats) == 0) multiply(std::integral_constant<int, 3>());
  multiply(std::integral_constant<int, 2>());
  multiply(std::integral_constant<int, 1>());
  return j;
}

// A row of a product in one pass over b, if it is so many vectors wide at most;
// the last of them begins where it ends with the row.
template <int kVectors>
inline void MultiplyRow(const float* a, int64_t inner, const float* b,
                        int64_t columns, float* out) {
  if constexpr (kVectors > 1) {
    if (columns <= (kVectors - 1) * kFloats) {
      MultiplyRow<kVectors - 1>(a, inner, b, columns, out);
      return;
    }
  }
  const auto column = [last = columns - kFloats](int v) {
    return v == kVectors - 1 ? last : v * kFloats;
  };
  Vector<float> sums[kVectors] = {};
  for (int64_t k = 0; k < inner; ++k) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sums[v] += a[k] * Load(b + k * columns + column(v));
    }
  }
  for (int v = 0; v < kVectors; ++v) Store(out + column(v), sums[v]);
}

inline void Multiply(const float* a, int64_t along, int64_t down, int64_t rows,
                     int64_t inner, const float* b, int64_t columns,
                     float* out) {
  const auto same = [](Vector<float> sums, int64_t) { return sums; };
  int64_t j =
      MultiplyVectors(a, along, down, rows, inner, b, columns, out, same);
  if (j < columns && columns >= kFloats) {
    // The last ones, with some before them once more.
    MultiplyColumns<1>(a, along, down, rows, inner, b, columns,
                       columns - kFloats, out, same);
    return;
  }
  for (; j < columns; ++j) {
    for (int64_t row = 0; row < rows; ++row) {
      float sum = 0;
      for (int64_t k = 0; k < inner; ++k) {
        sum += a[row * down + k * along] * b[k * columns + j];
      }
      out[row * columns + j] = sum;
    }
  }
}

// out [rows, columns] = a [rows, inner] b [inner, columns].
inline void Multiply(const float* a, int64_t rows, int64_t inner,
                     const float* b, int64_t columns, float* out) {
  if (rows == 1 && columns >= kFloats && columns <= 8 * kFloats) {
    MultiplyRow<8>(a, inner, b, columns, out);
    return;
  }
  Multiply(a, 1, inner, rows, inner, b, columns, out);
}

// Rows [begin, end) of out [rows, columns] = a^T b, of a [inner, rows].
inline void MultiplyAcross(const float* a, int64_t rows, int64_t begin,
                           int64_t end, int64_t inner, const float* b,
                           int64_t columns, float* out) {
  Multiply(a + begin, rows, 1, end - begin, inner, b, columns,
           out + begin * columns);
}

}  // namespace
}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_PRODUCT_H_
