// The arithmetic of inverted residuals, see
// ratm_tf/features/inverted_residual.py.
//
// Private to simd.cc, as vector.h.

#ifndef RATM_TF_CUSTOM_OPS_CPU_INVERTED_RESIDUAL_H_
#define RATM_TF_CUSTOM_OPS_CPU_INVERTED_RESIDUAL_H_

#include <string.h>

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/product.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/vector.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

inline Vector<float> Relu6(Vector<float> v) { return Clipped(v, 0, 6); }

// How far the first of a row of convolutions begins before the first place, as
// TensorFlow pads the "SAME".
inline int64_t PaddingBefore(int64_t places, int64_t size, int64_t stride) {
  const int64_t last = (CeilDiv(places, stride) - 1) * stride;
  return Max(last + size - places, int64_t{0}) / 2;
}

// The weights, with as many expanded maps as are whole vectors: further ones
// are zeros.
struct PaddedWeights {
  int64_t expanded;
  float* expand;
  float* expand_bias;
  float* depthwise;
  float* depthwise_bias;
  float* project;
};

inline float* PaddedRows(const float* x, int64_t rows, int64_t columns,
                         int64_t padded_columns, Scratch* scratch) {
  float* const padded = NewZeroed<float>(scratch, rows * padded_columns);
  for (int64_t row = 0; row < rows; ++row) {
    memcpy(padded + row * padded_columns, x + row * columns,
           columns * sizeof(float));
  }
  return padded;
}

// Computes rows of expanded maps as a rolling window of three, with a column of
// zeros before and after.
class ExpandedRows {
 public:
  ExpandedRows(const ResidualShape& shape, const PaddedWeights& weights,
               Scratch* scratch)
      : shape_(shape), weights_(weights) {
    width_ = shape.expanded_columns * weights.expanded;
    row_size_ = width_ + 2 * weights.expanded;
    zeros_ = NewZeroed<float>(scratch, row_size_);
    for (float*& row : rows_) row = NewZeroed<float>(scratch, row_size_);
    patches_ = NewZeroed<float>(scratch, shape.expanded_columns * PatchSize());
  }

  void Begin(const float* maps) {
    maps_ = maps;
    next_ = 0;
  }

  // Three rows from this one on, which is no earlier than at the last call.
  void Find(int64_t first, const float* (&found)[3]) {
    for (int i = 0; i < 3; ++i) {
      const int64_t row = first + i;
      const bool inside = row >= 0 && row < shape_.expanded_rows;
      if (inside && row >= next_) {
        next_ = row + 1;
        Compute(row, rows_[row % 3] + weights_.expanded);
      }
      found[i] = inside ? rows_[row % 3] : zeros_;
    }
  }

 private:
  int64_t PatchSize() const {
    return shape_.size * shape_.size * shape_.channels;
  }

  // What the expansion of each place sees, side by side.
  const float* Patches(int64_t row) {
    const int64_t size = shape_.size, stride = shape_.expand_stride;
    const int64_t channels = shape_.channels;
    if (size == 1 && stride == 1) {
      return maps_ + row * shape_.columns * channels;
    }
    const int64_t above = PaddingBefore(shape_.rows, size, stride);
    const int64_t left = PaddingBefore(shape_.columns, size, stride);
    float* patch = patches_;
    for (int64_t x = 0; x < shape_.expanded_columns; ++x) {
      const int64_t column = x * stride - left;
      const int64_t begin = Max(column, int64_t{0});
      const int64_t end = Min(column + size, shape_.columns);
      for (int64_t i = 0; i < size; ++i, patch += size * channels) {
        const int64_t y = row * stride - above + i;
        memset(patch, 0, size * channels * sizeof(float));
        if (y < 0 || y >= shape_.rows) continue;
        memcpy(patch + (begin - column) * channels,
               maps_ + (y * shape_.columns + begin) * channels,
               (end - begin) * channels * sizeof(float));
      }
    }
    return patches_;
  }

  void Compute(int64_t row, float* out) {
    const int64_t expanded = weights_.expanded;
    const auto finish = [bias = weights_.expand_bias](Vector<float> sums,
                                                      int64_t column) {
      return Relu6(sums + Load(bias + column));
    };
    MultiplyVectors(Patches(row), 1, PatchSize(), shape_.expanded_columns,
                    PatchSize(), weights_.expand, expanded, out, finish);
  }

  const ResidualShape& shape_;
  const PaddedWeights& weights_;
  const float* maps_;
  int64_t width_;
  int64_t row_size_;
  int64_t next_;
  float* zeros_;
  float* rows_[3];
  float* patches_;
};

// A row of depthwise convolutions of three rows, from the first column on.
inline void ConvolveDepthwise(const ResidualShape& shape,
                              const PaddedWeights& weights,
                              const float* const (&rows)[3], int64_t first,
                              float* out) {
  const int64_t expanded = weights.expanded;
  const int64_t step = shape.stride * expanded;
  for (int64_t e = 0; e < expanded; e += kFloats) {
    Vector<float> kernel[9];
    for (int i = 0; i < 9; ++i) {
      kernel[i] = Load(weights.depthwise + i * expanded + e);
      KeepInRegister(kernel[i]);
    }
    const Vector<float> bias = Load(weights.depthwise_bias + e);
    const int64_t from = first * expanded + e;
    for (int64_t x = 0; x < shape.out_columns; ++x) {
      const int64_t at = from + x * step;
      Vector<float> sum = bias;
#pragma GCC unroll 9
      for (int i = 0; i < 9; ++i) {
        sum += kernel[i] * Load(rows[i / 3] + at + i % 3 * expanded);
      }
      Store(out + x * expanded + e, Relu6(sum));
    }
  }
}

}  // namespace

void InvertedResidual(const ResidualShape& shape, const ResidualArrays& arrays,
                      int64_t begin, int64_t end, Scratch* scratch) {
  const int64_t expanded = CeilDiv(shape.expanded, kFloats) * kFloats;
  const int64_t inner = shape.size * shape.size * shape.channels;
  const auto padded = [&](const float* x, int64_t rows) {
    return PaddedRows(x, rows, shape.expanded, expanded, scratch);
  };
  const PaddedWeights weights = {
      expanded,
      padded(arrays.expand, inner),
      padded(arrays.expand_bias, 1),
      padded(arrays.depthwise, 9),
      padded(arrays.depthwise_bias, 1),
      PaddedRows(arrays.project, 1, shape.expanded * shape.out,
                 expanded * shape.out, scratch),
  };
  const int64_t columns = shape.out_columns, width = columns * shape.out;
  float* const convolved = New<float>(scratch, columns * expanded);
  ExpandedRows rows(shape, weights, scratch);
  const bool adds = shape.expand_stride == 1 && shape.stride == 1 &&
                    shape.channels == shape.out;
  const int64_t above = PaddingBefore(shape.expanded_rows, 3, shape.stride);
  const int64_t left = PaddingBefore(shape.expanded_columns, 3, shape.stride);
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* const maps =
        arrays.maps + unit * shape.rows * shape.columns * shape.channels;
    rows.Begin(maps);
    for (int64_t y = 0; y < shape.out_rows; ++y) {
      const float* seen[3];
      rows.Find(y * shape.stride - above, seen);
      ConvolveDepthwise(shape, weights, seen, 1 - left, convolved);
      float* const out = arrays.out + (unit * shape.out_rows + y) * width;
      Multiply(convolved, columns, expanded, weights.project, shape.out, out);
      const float* const added = adds ? maps + y * width : nullptr;
      for (int64_t x = 0; x < width; x += shape.out) {
        for (int64_t c = 0; c < shape.out; ++c) {
          out[x + c] += arrays.project_bias[c];
          if (added != nullptr) out[x + c] += added[x + c];
        }
      }
    }
  }
}

}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_INVERTED_RESIDUAL_H_
