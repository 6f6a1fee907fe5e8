// The arithmetic of correlation filters and colour likelihoods, see
// ratm_tf/attention/correlation_filter.py and colour_likelihood.py.
//
// Private to simd.cc, as vector.h.

#ifndef RATM_TF_CUSTOM_OPS_CPU_CORRELATION_H_
#define RATM_TF_CUSTOM_OPS_CPU_CORRELATION_H_

#include <math.h>
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

// A row of frequencies of the maps whose rows are transformed already: real and
// imaginary parts, of all channels.
inline void TransformRow(const CorrelationShape& shape, const float* columns,
                         const float* across, int64_t row, float* numbers) {
  const int64_t length = 2 * shape.cells * shape.channels;
  Multiply(columns, 2 * shape.columns, 2 * shape.cells, across + row * length,
           shape.channels, numbers);
}

inline float* TransformRows(const CorrelationShape& shape, const float* rows,
                            const float* maps, Scratch* scratch) {
  const int64_t width = shape.cells * shape.channels;
  float* const across = New<float>(scratch, 2 * shape.rows * width);
  Multiply(rows, 2 * shape.rows, shape.cells, maps, width, across);
  return across;
}

// The sum over channels of a x + sign b y.
inline float SumOfProducts(const float* a, const float* x, const float* b,
                           const float* y, float sign, int64_t channels) {
  Vector<float> sums = {};
  int64_t c = 0;
  for (; c + kFloats <= channels; c += kFloats) {
    sums += Load(a + c) * Load(x + c) + sign * Load(b + c) * Load(y + c);
  }
  float sum = 0;
  for (int lane = 0; lane < kFloats; ++lane) sum += sums[lane];
  for (; c < channels; ++c) sum += a[c] * x[c] + sign * b[c] * y[c];
  return sum;
}

inline int64_t Bin(float value, int64_t bins) {
  // Not a number is none of the colours; it must be in some bin.
  const float scaled = value * bins;
  return scaled >= bins ? bins - 1
         : scaled > 0   ? static_cast<int64_t>(scaled)
                        : 0;
}

inline int64_t ColourBin(const float* pixel, int64_t channels, int64_t bins) {
  int64_t index = 0;
  for (int64_t c = 0; c < channels; ++c) {
    index = index * bins + Bin(pixel[c], bins);
  }
  return index;
}

}  // namespace

void CorrelationFit(const CorrelationShape& shape, const float* maps,
                    const float* rows, const float* columns, const float* label,
                    float* numerators, float* powers, int64_t begin,
                    int64_t end, Scratch* scratch) {
  const int64_t channels = shape.channels;
  const int64_t map_size = shape.cells * shape.cells * channels;
  const auto top = scratch->top;
  for (int64_t unit = begin; unit < end; ++unit, scratch->top = top) {
    const float* const across =
        TransformRows(shape, rows, maps + unit * map_size, scratch);
    for (int64_t row = 0; row < shape.rows; ++row) {
      const int64_t first = (unit * shape.rows + row) * shape.columns;
      float* const numbers = numerators + 2 * first * channels;
      TransformRow(shape, columns, across, row, numbers);
      for (int64_t j = 0; j < shape.columns; ++j) {
        const float* const real = numbers + j * channels;
        const float* const imaginary = real + shape.columns * channels;
        powers[first + j] =
            SumOfProducts(real, real, imaginary, imaginary, 1, channels);
      }
      for (int64_t j = 0; j < 2 * shape.columns; ++j) {
        const float weight = label[row * 2 * shape.columns + j];
        float* const number = numbers + j * channels;
        for (int64_t c = 0; c < channels; ++c) number[c] *= weight;
      }
    }
  }
}

void CorrelationSolve(const CorrelationShape& shape, const float* numerators,
                      const float* powers, float ridge, int64_t rounds,
                      const float* to_columns, const float* rows_inside,
                      const float* columns_inside, float* filters,
                      int64_t begin, int64_t end, Scratch* scratch) {
  const int64_t channels = shape.channels;
  const int64_t row_size = 2 * shape.columns * channels;
  const int64_t size = shape.rows * row_size;
  const int64_t frequencies = shape.rows * shape.columns;
  const int64_t width = shape.cells * channels;
  float* const across = New<float>(scratch, 2 * shape.rows * width);
  float* const inside_rows = New<float>(scratch, 2 * shape.rows * width);
  float* const free = New<float>(scratch, size);
  float* const sought = New<float>(scratch, size);
  float* const dual = New<float>(scratch, size);
  const auto keep_inside = [&](const float* spectrum, float* inside) {
    for (int64_t row = 0; row < shape.rows; ++row) {
      Multiply(to_columns, 2 * shape.cells, 2 * shape.columns,
               spectrum + row * row_size, channels, across + 2 * row * width);
    }
    Multiply(rows_inside, 2 * shape.rows, 2 * shape.rows, across, width,
             inside_rows);
    for (int64_t row = 0; row < shape.rows; ++row) {
      TransformRow(shape, columns_inside, inside_rows, row,
                   inside + row * row_size);
    }
  };
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* const numerator = numerators + unit * size;
    const float* const power = powers + unit * frequencies;
    float* const inside = filters + unit * size;
    // For each frequency's real parts and its imaginary ones.
    const auto for_numbers = [&](const auto& work) {
      for (int64_t row = 0; row < shape.rows; ++row) {
        for (int64_t j = 0; j < 2 * shape.columns; ++j) {
          work(power[row * shape.columns + j % shape.columns] + ridge,
               row * row_size + j * channels);
        }
      }
    };
    float mean = 0;
    for (int64_t i = 0; i < frequencies; ++i) mean += power[i];
    float penalty = 0.2f * (mean / frequencies + ridge);
    for_numbers([&](float denominator, int64_t at) {
      const float share = 1 / denominator;
      for (int64_t i = at; i < at + channels; ++i) {
        sought[i] = numerator[i] * share;
        dual[i] = 0;
      }
    });
    keep_inside(sought, inside);
    for (int64_t round = 0; round < rounds; ++round, penalty *= 3) {
      const float slowness = 1 / penalty;
      for_numbers([&](float denominator, int64_t at) {
        const float share = 1 / (denominator + penalty);
        for (int64_t i = at; i < at + channels; ++i) {
          free[i] = (numerator[i] + penalty * inside[i] - dual[i]) * share;
          sought[i] = free[i] + dual[i] * slowness;
        }
      });
      keep_inside(sought, inside);
      for (int64_t i = 0; i < size; ++i) {
        dual[i] += penalty * (free[i] - inside[i]);
      }
    }
  }
}

void CorrelationRespond(const CorrelationShape& shape, const float* filters,
                        const float* maps, int64_t count, const float* rows,
                        const float* columns, const float* from_columns,
                        const float* from_rows, float* responses, int64_t begin,
                        int64_t end, Scratch* scratch) {
  const int64_t cells = shape.cells, channels = shape.channels;
  const int64_t row_size = 2 * shape.columns * channels;
  const int64_t imaginary = shape.columns * channels;
  float* const numbers = New<float>(scratch, row_size);
  float* const spectrum = New<float>(scratch, 2 * shape.rows * shape.columns);
  float* const response_across = New<float>(scratch, 2 * shape.rows * cells);
  const auto top = scratch->top;
  for (int64_t unit = begin; unit < end; ++unit, scratch->top = top) {
    const float* const across = TransformRows(
        shape, rows, maps + unit * cells * cells * channels, scratch);
    for (int64_t row = 0; row < shape.rows; ++row) {
      TransformRow(shape, columns, across, row, numbers);
      const float* const filter =
          filters + (unit / count * shape.rows + row) * row_size;
      float* const sums = spectrum + 2 * row * shape.columns;
      for (int64_t j = 0; j < shape.columns; ++j) {
        const float* const x = numbers + j * channels;
        const float* const h = filter + j * channels;
        sums[j] =
            SumOfProducts(x, h, x + imaginary, h + imaginary, 1, channels);
        sums[shape.columns + j] =
            SumOfProducts(x + imaginary, h, x, h + imaginary, -1, channels);
      }
    }
    Multiply(spectrum, shape.rows, 2 * shape.columns, from_columns, 2 * cells,
             response_across);
    Multiply(from_rows, cells, 2 * shape.rows, response_across, cells,
             responses + unit * cells * cells);
  }
}

void ResponsePeak(int64_t cells, const float* responses, float* places,
                  float* heights, float* sharpnesses, int64_t begin,
                  int64_t end) {
  const int64_t size = cells * cells;
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* const response = responses + unit * size;
    int64_t best = 0;
    float low = response[0];
    for (int64_t i = 1; i < size; ++i) {
      if (response[i] > response[best]) best = i;
      low = response[i] < low ? response[i] : low;
    }
    const float height = response[best];
    float energy = 0;
    for (int64_t i = 0; i < size; ++i) {
      energy += (response[i] - low) * (response[i] - low);
    }
    energy /= size;
    energy = energy < 1e-12f ? 1e-12f : energy;  // What is no number stays so.
    const auto between = [&](int64_t step) {
      const float before = response[(best - step + size) % size];
      const float after = response[(best + step) % size];
      float bend = 2 * height - before - after;
      bend = bend < 1e-9f ? 1e-9f : bend;
      const float offset = 0.5f * (after - before) / bend;
      return offset > 0.5f ? 0.5f : offset < -0.5f ? -0.5f : offset;
    };
    places[2 * unit] = best % cells - cells / 2 + between(1);
    places[2 * unit + 1] = best / cells - cells / 2 + between(cells);
    heights[unit] = height;
    sharpnesses[unit] = (height - low) * (height - low) / energy;
  }
}

void ColourHistograms(const ColourShape& shape, const float* glimpses,
                      const float* areas, float neighbours, float* histograms,
                      int64_t begin, int64_t end, Scratch* scratch) {
  const int64_t numbers = 2 * shape.size;
  float* const other = New<float>(scratch, numbers);
  for (int64_t unit = begin; unit < end; ++unit) {
    float* const sums = histograms + unit * numbers;
    memset(sums, 0, numbers * sizeof(float));
    const float* pixel = glimpses + unit * shape.pixels * shape.channels;
    for (int64_t i = 0; i < shape.pixels; ++i, pixel += shape.channels) {
      float* const sum =
          sums + 2 * ColourBin(pixel, shape.channels, shape.bins);
      sum[0] += areas[2 * i];
      sum[1] += areas[2 * i + 1];
    }
    int64_t step = numbers;
    for (int64_t axis = 0; axis < shape.channels; ++axis) {
      const int64_t block = step;
      step /= shape.bins;
      memcpy(other, sums, numbers * sizeof(float));
      for (int64_t at = 0; at < numbers; at += block) {
        float* const to = sums + at;
        const float* const from = other + at;
        for (int64_t i = 0; i < block; ++i) {
          to[i] = (1 - 2 * neighbours) * from[i];
        }
        for (int64_t i = 0; i < block - step; ++i) {
          to[i] += neighbours * from[i + step];
        }
        for (int64_t i = step; i < block; ++i) {
          to[i] += neighbours * from[i - step];
        }
      }
    }
    float totals[2] = {};
    for (int64_t i = 0; i < numbers; ++i) totals[i % 2] += sums[i];
    const float shares[2] = {1 / totals[0], 1 / totals[1]};
    for (int64_t i = 0; i < numbers; ++i) sums[i] *= shares[i % 2];
  }
}

void ColourLikelihood(const ColourShape& shape, const float* histograms,
                      const float* glimpses, const float* rows,
                      const float* columns, float doubt, float* likelihoods,
                      int64_t begin, int64_t end, Scratch* scratch) {
  float* const likely = New<float>(scratch, shape.size);
  float* const pixels = New<float>(scratch, shape.pixels);
  float* const across = New<float>(scratch, shape.cells * shape.columns);
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* const histogram = histograms + unit * 2 * shape.size;
    float expected = 0;
    for (int64_t i = 0; i < shape.size; ++i) {
      const float target = histogram[2 * i], around = histogram[2 * i + 1];
      likely[i] =
          (0.5f * target + 0.3f * doubt) / (0.5f * (target + around) + doubt);
      expected += target * likely[i];
    }
    const float share = 1 / fmaxf(expected, 0.05f);
    const float* pixel = glimpses + unit * shape.pixels * shape.channels;
    for (int64_t i = 0; i < shape.pixels; ++i, pixel += shape.channels) {
      pixels[i] = share * likely[ColourBin(pixel, shape.channels, shape.bins)];
    }
    Multiply(rows, shape.cells, shape.pixels / shape.columns, pixels,
             shape.columns, across);
    Multiply(across, shape.cells, shape.columns, columns, shape.cells,
             likelihoods + unit * shape.cells * shape.cells);
  }
}

void Standardized(int64_t rows, int64_t width, int64_t channels, bool centred,
                  float ridge, float floor, const float* maps, float* out,
                  int64_t begin, int64_t end, Scratch* scratch) {
  float* const sums = New<float>(scratch, width);
  float* const squares = New<float>(scratch, width);
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* const from = maps + unit * rows * width;
    float* const to = out + unit * rows * width;
    memset(sums, 0, width * sizeof(float));
    if (centred) {
      for (int64_t row = 0; row < rows; ++row) {
        const float* const line = from + row * width;
        for (int64_t i = 0; i < width; ++i) sums[i] += line[i];
      }
      for (int64_t i = channels; i < width; ++i) sums[i % channels] += sums[i];
      for (int64_t i = 0; i < channels; ++i) sums[i] /= rows * width / channels;
      for (int64_t i = channels; i < width; ++i) sums[i] = sums[i - channels];
    }
    memset(squares, 0, width * sizeof(float));
    for (int64_t row = 0; row < rows; ++row) {
      const float* const line = from + row * width;
      for (int64_t i = 0; i < width; ++i) {
        const float x = line[i] - sums[i];
        squares[i] += x * x;
      }
    }
    float power = 0;
    for (int64_t i = 0; i < width; ++i) power += squares[i];
    const float share = 1 / (sqrtf(power / (rows * width) + ridge) + floor);
    for (int64_t row = 0; row < rows; ++row) {
      const float* const line = from + row * width;
      float* const scaled = to + row * width;
      for (int64_t i = 0; i < width; ++i)
        scaled[i] = share * (line[i] - sums[i]);
    }
  }
}

}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_CORRELATION_H_
