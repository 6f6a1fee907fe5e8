// The paper's recurrence over whole sequences, see
// ratm_tf/attention/recurrence.py.
//
// Private to simd.cc, as vector.h.

#ifndef RATM_TF_CUSTOM_OPS_CPU_RECURRENCE_H_
#define RATM_TF_CUSTOM_OPS_CPU_RECURRENCE_H_

#include <math.h>
#include <string.h>

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/product.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/vector.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

// Glimpses of frames in 0..255 are scaled to 0..1.
template <typename T>
constexpr float kRange = std::is_same_v<T, uint8_t> ? 255 : 1;

// Pixels of a window's numbers to one unit of its activations (Eq. 6-8).
inline void PixelsAUnit(const GlimpseShape& shape, float* unit) {
  const float width = shape.width - 1, height = shape.height - 1;
  unit[kCenterX] = width / 2;
  unit[kCenterY] = height / 2;
  unit[kSigmaX] = unit[kSigmaY] = 1;
  unit[kStrideX] = width / Max<int64_t>(shape.columns - 1, 1);
  unit[kStrideY] = height / Max<int64_t>(shape.rows - 1, 1);
}

// A number of a window in units, and its slope by the activation.
struct Magnitude {
  Magnitude(int i, float activation, float min_sigma) {
    if (i <= kCenterY) {
      value = activation + 1;
      slope = 1;
      return;
    }
    const float floor = i <= kSigmaY ? min_sigma : 0;
    const float size = fabsf(activation);
    value = size < floor ? floor : size;  // What is no number stays so.
    slope = size < floor ? 0 : activation > 0 ? 1 : activation < 0 ? -1 : 0;
  }
  float value, slope;
};

// Where step t of a sequence stands in an array of so many numbers a step.
inline int64_t At(const RecurrenceShape& shape, int64_t sequence, int64_t t,
                  int64_t size) {
  return (sequence * shape.steps + t) * size;
}

template <typename T>
inline const T* Frame(const RecurrenceShape& shape, const T* frames,
                      int64_t sequence, int64_t t) {
  const GlimpseShape& glimpse = shape.glimpse;
  return frames + At(shape, shape.shared ? 0 : sequence, t,
                     glimpse.height * glimpse.width * glimpse.channels);
}

}  // namespace

template <typename T>
void Recurrence(const RecurrenceShape& shape, const RecurrenceArrays<T>& arrays,
                int64_t begin, int64_t end, Scratch* scratch) {
  const GlimpseShape& glimpse = shape.glimpse;
  const int64_t size = glimpse.rows * glimpse.columns * glimpse.channels;
  const int64_t blocks = CeilDiv(glimpse.rows, kGlimpseRows);
  const int64_t units = shape.units, count = end - begin;
  float unit[kWindowSize];
  PixelsAUnit(glimpse, unit);
  float* const seen = New<float>(scratch, count * size);
  float* const hidden = arrays.last_hidden + begin * units;
  float* const by_seen = New<float>(scratch, count * units);
  float* const by_hidden = New<float>(scratch, count * units);
  float* const activations = arrays.last_activations + begin * kWindowSize;
  // Rows of whole vectors, whose products are quick.
  const int64_t width = RoundUp(kWindowSize, kFloats);
  float* const window_kernel = NewZeroed<float>(scratch, units * width);
  float* const updates = New<float>(scratch, count * width);
  for (int64_t u = 0; u < units; ++u) {
    memcpy(window_kernel + u * width, arrays.window_kernel + u * kWindowSize,
           kWindowSize * sizeof(float));
  }
  memcpy(hidden, arrays.hidden + begin * units, count * units * sizeof(float));
  memcpy(activations, arrays.activations + begin * kWindowSize,
         count * kWindowSize * sizeof(float));
  const auto top = scratch->top;
  for (int64_t t = 0; t < shape.steps; ++t) {
    for (int64_t b = 0; b < count; ++b, scratch->top = top) {
      float* const window =
          arrays.windows + At(shape, begin + b, t, kWindowSize);
      for (int i = 0; i < kWindowSize; ++i) {
        const Magnitude magnitude(i, activations[b * kWindowSize + i],
                                  shape.min_sigma);
        window[i] = magnitude.value * unit[i];
      }
      float* const read = seen + b * size;
      Glimpse<T>(glimpse, Frame(shape, arrays.frames, begin + b, t), window,
                 read, 0, blocks, scratch);
      float* const out = arrays.glimpses + At(shape, begin + b, t, size);
      for (int64_t i = 0; i < size; ++i) out[i] = read[i] /= kRange<T>;
    }
    // Eq. 1-3.
    Multiply(seen, count, size, arrays.kernel, units, by_seen);
    Multiply(hidden, count, units, arrays.recurrent_kernel, units, by_hidden);
    for (int64_t b = 0; b < count; ++b) {
      for (int64_t u = 0; u < units; ++u) {
        const int64_t i = b * units + u;
        const float total = by_seen[i] + by_hidden[i] + arrays.bias[u];
        hidden[i] = total < 0 ? 0 : total;
      }
      memcpy(arrays.hiddens + At(shape, begin + b, t, units),
             hidden + b * units, units * sizeof(float));
    }
    // Eq. 5.
    Multiply(hidden, count, units, window_kernel, width, updates);
    for (int64_t b = 0; b < count; ++b) {
      const float* const bias = arrays.window_bias + (begin + b) * kWindowSize;
      float* const next = activations + b * kWindowSize;
      for (int i = 0; i < kWindowSize; ++i) {
        next[i] = updates[b * width + i] + bias[i];
      }
      memcpy(arrays.following + At(shape, begin + b, t, kWindowSize), next,
             kWindowSize * sizeof(float));
    }
  }
}

template <typename T>
void RecurrenceGrad(const RecurrenceShape& shape,
                    const RecurrenceGradArrays<T>& arrays, int64_t begin,
                    int64_t end, Scratch* scratch) {
  const GlimpseShape& glimpse = shape.glimpse;
  const int64_t size = glimpse.rows * glimpse.columns * glimpse.channels;
  const int64_t blocks = CeilDiv(glimpse.rows, kGlimpseRows);
  const int64_t units = shape.units, count = end - begin;
  float unit[kWindowSize];
  PixelsAUnit(glimpse, unit);
  double* const sums = New<double>(scratch, blocks * kWindowSize);
  float* const updates = arrays.by_activations + begin * kWindowSize;
  float* const hidden = arrays.by_hidden + begin * units;
  float* const by_updates = New<float>(scratch, count * units);
  float* const totals = New<float>(scratch, count * units);
  float* const seen = New<float>(scratch, count * size);
  memcpy(hidden, arrays.by_last_hidden + begin * units,
         count * units * sizeof(float));
  memcpy(updates, arrays.by_last_activations + begin * kWindowSize,
         count * kWindowSize * sizeof(float));
  memset(arrays.by_window_bias + begin * kWindowSize, 0,
         count * kWindowSize * sizeof(float));
  const auto top = scratch->top;
  for (int64_t t = shape.steps - 1; t >= 0; --t) {
    // Eq. 5.
    for (int64_t b = 0; b < count; ++b) {
      const float* const by_update = updates + b * kWindowSize;
      for (int i = 0; i < kWindowSize; ++i) {
        arrays.updates[At(shape, begin + b, t, kWindowSize) + i] = by_update[i];
        arrays.by_window_bias[(begin + b) * kWindowSize + i] += by_update[i];
      }
    }
    Multiply(updates, count, kWindowSize, arrays.window_kernel_across, units,
             by_updates);
    // Eq. 1-3.
    for (int64_t b = 0; b < count; ++b) {
      const int64_t at = At(shape, begin + b, t, units);
      for (int64_t u = 0; u < units; ++u) {
        const int64_t i = b * units + u;
        totals[i] = arrays.hiddens[at + u] > 0 ? hidden[i] + by_updates[i] : 0;
      }
      memcpy(arrays.totals + at, totals + b * units, units * sizeof(float));
      memcpy(arrays.before + at,
             t > 0 ? arrays.hiddens + at - units
                   : arrays.hidden + (begin + b) * units,
             units * sizeof(float));
    }
    Multiply(totals, count, units, arrays.kernel_across, size, seen);
    Multiply(totals, count, units, arrays.recurrent_kernel_across, units,
             hidden);
    // Eq. 4 and 6-12.
    for (int64_t b = 0; b < count; ++b, scratch->top = top) {
      const int64_t at = At(shape, begin + b, t, kWindowSize);
      const float* const by_glimpse =
          arrays.by_glimpses + At(shape, begin + b, t, size);
      float* const by_read = seen + b * size;
      for (int64_t i = 0; i < size; ++i) {
        by_read[i] = (by_read[i] + by_glimpse[i]) / kRange<T>;
      }
      GradWindow<T>(glimpse, Frame(shape, arrays.frames, begin + b, t),
                    arrays.windows + at, by_read, sums, 0, blocks, scratch);
      const float* const activations =
          t > 0 ? arrays.following + at - kWindowSize
                : arrays.activations + (begin + b) * kWindowSize;
      for (int i = 0; i < kWindowSize; ++i) {
        double by_window = arrays.by_windows[at + i];
        for (int64_t block = 0; block < blocks; ++block) {
          by_window += sums[block * kWindowSize + i];
        }
        const Magnitude magnitude(i, activations[i], shape.min_sigma);
        updates[b * kWindowSize + i] =
            static_cast<float>(by_window) * magnitude.slope * unit[i];
      }
    }
  }
}

template <typename T>
void RecurrenceWeightGrad(const RecurrenceShape& shape,
                          const RecurrenceGradArrays<T>& arrays, int64_t begin,
                          int64_t end, Scratch* scratch) {
  const GlimpseShape& glimpse = shape.glimpse;
  const int64_t size = glimpse.rows * glimpse.columns * glimpse.channels;
  const int64_t units = shape.units, steps = shape.batch * shape.steps;
  if (begin < size) {
    MultiplyAcross(arrays.glimpses, size, begin, Min(end, size), steps,
                   arrays.totals, units, arrays.by_kernel);
  }
  if (end > size && begin < size + units) {
    MultiplyAcross(arrays.before, units, Max(begin - size, int64_t{0}),
                   Min(end - size, units), steps, arrays.totals, units,
                   arrays.by_recurrent_kernel);
  }
  if (end <= size + units) return;
  memset(arrays.by_bias, 0, units * sizeof(float));
  const int64_t width = RoundUp(kWindowSize, kFloats);
  float* const updates = NewZeroed<float>(scratch, steps * width);
  float* const by_kernel = New<float>(scratch, units * width);
  for (int64_t n = 0; n < steps; ++n) {
    for (int64_t u = 0; u < units; ++u) {
      arrays.by_bias[u] += arrays.totals[n * units + u];
    }
    memcpy(updates + n * width, arrays.updates + n * kWindowSize,
           kWindowSize * sizeof(float));
  }
  MultiplyAcross(arrays.hiddens, units, 0, units, steps, updates, width,
                 by_kernel);
  for (int64_t u = 0; u < units; ++u) {
    memcpy(arrays.by_window_kernel + u * kWindowSize, by_kernel + u * width,
           kWindowSize * sizeof(float));
  }
}

}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_RECURRENCE_H_
