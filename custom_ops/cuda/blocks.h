// The arithmetic of the CUDA functors: what a block of threads does with one
// unit of work. It is plain C++, so that it also runs, and is tested, where
// there is no GPU.
//
// A Work says how many units there are and, called with one of them, does it in
// phases: block.Phase(f) calls f(thread) for all threads of the block and waits
// for them. What outlives a phase lies in the shared memory of the block. Sums
// are taken in an order that depends on the shape and the window alone.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_BLOCKS_H_
#define RATM_TF_CUSTOM_OPS_CUDA_BLOCKS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/lines.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

// A tile of an image: so many rows, of a number for each thread.
constexpr int kImageRows = 32;

// A unit is a tile of a glimpse.
template <typename T>
struct Glimpse {
  using A = ComputeType<T>;

  struct Shared {
    Lines<A, 1> lines;
    A glimpse[kTileRows][kTileNumbers];
  };

  GlimpseShape shape;
  Tiling tiling;
  const T* images;
  const A* windows;
  GlimpseType<T>* glimpses;

  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * shape.count * tiling.tiles();
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const Tile tile(shape, tiling, unit);
    const A* window = tile.WindowOf(windows);
    const T* image = tile.ImageOf(shape, images);
    const bool finite = IsFinite(window);
    const auto clear = [&](int thread) {
      for (int item = thread; item < kTileRows * kTileNumbers;
           item += kThreads) {
        shared.glimpse[item / kTileNumbers][item % kTileNumbers] =
            finite ? A{0} : static_cast<A>(NAN);
      }
    };
    block.Phase(clear);
    if (finite) {
      const auto add = [&](int, int i, int number, Range pixels) {
        const Filter<A>& filter = shared.lines.column(tile, number);
        const Range taps = filter.taps & pixels;
        if (taps.size() <= 0) return;
        const A* line =
            &shared.lines
                 .numbers[0][i][(taps.begin - pixels.begin) * tile.channels +
                                number % tile.channels];
        const A t = filter.t(taps.begin);
        const int size = taps.size();
        A sums[kRowGroup] = {};
        RATM_UNROLL(4)
        for (int k = 0; k < size; ++k) {
          const A weight = filter.Weight(t + static_cast<A>(k));
          const A* pixel = line + k * tile.channels;
          RATM_UNROLL(kRowGroup)
          for (int r = 0; r < kRowGroup; ++r) {
            sums[r] += weight * pixel[r * Lines<A, 1>::kNumbers];
          }
        }
        for (int r = 0; r < kRowGroup; ++r) {
          shared.glimpse[i + r][number] += sums[r];
        }
      };
      shared.lines.Read(block, shape, tile, image, window, add);
    }
    block.Phase([&](int thread) {
      for (int item = thread; item < tile.rows * tile.numbers();
           item += kThreads) {
        const int i = item / tile.numbers();
        const int number = item % tile.numbers();
        glimpses[tile.Index(shape, i, number)] =
            static_cast<GlimpseType<T>>(shared.glimpse[i][number]);
      }
    });
  }
};

// A unit is a tile of a glimpse; it writes what the tile adds to the gradient
// with respect to its window, kWindowSize sums.
template <typename T>
struct GradWindowOfTiles {
  using A = ComputeType<T>;

  struct Shared {
    Lines<A, 3> lines;
    double sums[kWindowSize][kThreads];
  };

  GlimpseShape shape;
  Tiling tiling;
  const T* images;
  const A* windows;
  const GlimpseType<T>* grad;
  double* sums;

  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * shape.count * tiling.tiles();
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const Tile tile(shape, tiling, unit);
    const A* window = tile.WindowOf(windows);
    if (!IsFinite(window)) return;
    const T* image = tile.ImageOf(shape, images);
    block.Phase([&](int thread) {
      for (int j = 0; j < kWindowSize; ++j) shared.sums[j][thread] = 0;
    });
    const auto add = [&](int thread, int i, int number, Range pixels) {
      const Filter<A>& filter = shared.lines.column(tile, number);
      const auto& lines = shared.lines.numbers;
      const Range taps = filter.taps & pixels;
      if (taps.size() <= 0) return;
      const int first =
          (taps.begin - pixels.begin) * tile.channels + number % tile.channels;
      const A t = filter.t(taps.begin);
      const int size = taps.size();
      A mu_x[kRowGroup] = {}, mu_y[kRowGroup] = {};
      A sigma_x[kRowGroup] = {}, sigma_y[kRowGroup] = {};
      for (int k = 0; k < size; ++k) {
        const Weights<A> w(filter, t + static_cast<A>(k));
        const int at = first + k * tile.channels;
        RATM_UNROLL(kRowGroup)
        for (int r = 0; r < kRowGroup; ++r) {
          mu_x[r] += w.by_mu * lines[0][i + r][at];
          sigma_x[r] += w.by_sigma * lines[0][i + r][at];
          mu_y[r] += w.weight * lines[1][i + r][at];
          sigma_y[r] += w.weight * lines[2][i + r][at];
        }
      }
      const double x =
          tile.column + number / tile.channels - 0.5 * (shape.columns - 1);
      for (int r = 0; r < kRowGroup && i + r < tile.rows; ++r) {
        const double y = tile.row + i + r - 0.5 * (shape.rows - 1);
        const double g = static_cast<A>(grad[tile.Index(shape, i + r, number)]);
        shared.sums[kCenterX][thread] += g * mu_x[r];
        shared.sums[kCenterY][thread] += g * mu_y[r];
        shared.sums[kSigmaX][thread] += g * sigma_x[r];
        shared.sums[kSigmaY][thread] += g * sigma_y[r];
        shared.sums[kStrideX][thread] += g * mu_x[r] * x;
        shared.sums[kStrideY][thread] += g * mu_y[r] * y;
      }
    };
    shared.lines.Read(block, shape, tile, image, window, add);
    for (int half = kThreads / 2; half > 0; half /= 2) {
      block.Phase([&](int thread) {
        if (thread >= half) return;
        for (int j = 0; j < kWindowSize; ++j) {
          shared.sums[j][thread] += shared.sums[j][thread + half];
        }
      });
    }
    block.Phase([&](int thread) {
      if (thread < kWindowSize) {
        sums[unit * kWindowSize + thread] = shared.sums[thread][0];
      }
    });
  }
};

// A unit is a number of the gradient for each thread: the total of the tiles.
template <typename A>
struct GradWindow {
  struct Shared {};

  int64_t numbers;
  int64_t tiles;
  const A* windows;
  const double* sums;
  A* window_grad;

  RATM_HOST_DEVICE int64_t units() const { return CeilDiv(numbers, kThreads); }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit, Shared&) const {
    block.Phase([&](int thread) {
      const int64_t number = unit * kThreads + thread;
      if (number >= numbers) return;
      const int64_t window = number / kWindowSize;
      const int j = number % kWindowSize;
      if (!IsFinite(windows + window * kWindowSize)) {
        window_grad[number] = static_cast<A>(NAN);
        return;
      }
      double total = 0;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        total += sums[(window * tiles + tile) * kWindowSize + j];
      }
      // The floor of sigma is flat.
      const bool flat =
          (j == kSigmaX || j == kSigmaY) && windows[number] < kMinSigma;
      window_grad[number] = flat ? A{0} : static_cast<A>(total);
    });
  }
};

// A unit is so many filters of a window: of its rows, then of its columns.
template <typename A>
struct BuildBanks {
  static constexpr int kFilters = 64;

  struct Shared {
    Filter<A> filters[kFilters];
    Moments<1> moments[kFilters];
  };

  GlimpseShape shape;
  const A* windows;
  Filter<A>* filters;

  RATM_HOST_DEVICE int64_t filters_each() const {
    return shape.rows + shape.columns;
  }
  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * shape.count * CeilDiv(filters_each(), kFilters);
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const int64_t groups = CeilDiv(filters_each(), kFilters);
    const int64_t first = unit % groups * kFilters;
    const int64_t size = Min<int64_t>(kFilters, filters_each() - first);
    const A* window = windows + unit / groups * kWindowSize;
    if (!IsFinite(window)) return;
    const Axis x_axis = XAxis(shape, window);
    const Axis y_axis = YAxis(shape, window);
    const auto locate = [&](int64_t i) {
      return first + i < shape.rows ? Locate<A>(y_axis, first + i)
                                    : Locate<A>(x_axis, first + i - shape.rows);
    };
    BuildFilters<1>(block, size, locate, shared.filters, shared.moments);
    block.Phase([&](int thread) {
      for (int64_t i = thread; i < size; i += kThreads) {
        filters[unit / groups * filters_each() + first + i] = shared.filters[i];
      }
    });
  }
};

// A unit is a tile of an image, which gathers what all windows owe it.
template <typename T>
struct GradImages {
  using A = ComputeType<T>;

  struct Shared {
    A sums[kImageRows][kThreads];
    alignas(16) A weights[kImageRows][kTileRows];
  };

  GlimpseShape shape;
  const A* windows;
  const Filter<A>* filters;  // Of BuildBanks.
  const T* grad;
  T* images_grad;

  RATM_HOST_DEVICE int64_t tiles_x() const {
    return CeilDiv(shape.width * shape.channels, kThreads);
  }
  RATM_HOST_DEVICE int64_t tiles_y() const {
    return CeilDiv(shape.height, kImageRows);
  }
  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * tiles_y() * tiles_x();
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const int64_t b = unit / (tiles_y() * tiles_x());
    const int64_t y = unit / tiles_x() % tiles_y() * kImageRows;
    const int64_t x = unit % tiles_x() * kThreads;
    const int64_t row_size = shape.width * shape.channels;
    const int64_t x_end = Min(x + kThreads, row_size);
    const Range tile_y = {y, Min(y + kImageRows, shape.height)};
    const Range tile_x = {x / shape.channels, CeilDiv(x_end, shape.channels)};

    block.Phase([&](int thread) {
      for (int h = 0; h < kImageRows; ++h) shared.sums[h][thread] = 0;
    });
    for (int64_t k = b * shape.count; k < (b + 1) * shape.count; ++k) {
      const A* window = windows + k * kWindowSize;
      if (!IsFinite(window)) continue;
      const Filter<A>* first = filters + k * (shape.rows + shape.columns);
      const Bank<A> rows = {first, shape.rows, window[kStrideY] < 0};
      const Bank<A> columns = {first + shape.rows, shape.columns,
                               window[kStrideX] < 0};
      if (!rows.support().overlaps(tile_y) ||
          !columns.support().overlaps(tile_x)) {
        continue;
      }
      const Range seeing = rows.Seeing(tile_y);
      for (int64_t i = seeing.begin; i < seeing.end; i += kTileRows) {
        const int size = Min<int64_t>(kTileRows, seeing.end - i);
        block.Phase([&](int thread) {
          for (int item = thread; item < kImageRows * kTileRows;
               item += kThreads) {
            const int r = item % kTileRows;
            const int h = item / kTileRows;
            const bool seen = r < size && first[i + r].taps.contains(y + h);
            const Filter<A>& filter = first[seen ? i + r : i];
            shared.weights[h][r] = seen ? filter.Weight(filter.t(y + h)) : 0;
          }
        });
        block.Phase([&](int thread) {
          if (x + thread >= x_end) return;
          A lines[kTileRows] = {};
          BackProject(columns, (k * shape.rows + i) * shape.columns, size,
                      x + thread, lines);
          for (int h = 0; h < tile_y.size(); ++h) {
            A sum = shared.sums[h][thread];
            RATM_UNROLL(kTileRows)
            for (int r = 0; r < kTileRows; ++r) {
              sum += shared.weights[h][r] * lines[r];
            }
            shared.sums[h][thread] = sum;
          }
        });
      }
    }
    block.Phase([&](int thread) {
      if (x + thread >= x_end) return;
      T* out = images_grad + (b * shape.height + y) * row_size + x + thread;
      for (int h = 0; h < tile_y.size(); ++h) {
        out[h * row_size] = static_cast<T>(shared.sums[h][thread]);
      }
    });
  }

 private:
  // The gradients of the lines at one number, of `size` glimpse rows whose
  // first column is the glimpses' column `origin`.
  RATM_DEVICE void BackProject(const Bank<A>& columns, int64_t origin, int size,
                               int64_t number, A (&lines)[kTileRows]) const {
    const int64_t pixel = number / shape.channels;
    const int64_t glimpse_row = shape.columns * shape.channels;
    const Range seeing = columns.Seeing({pixel, pixel + 1});
    for (int64_t m = seeing.begin; m < seeing.end; ++m) {
      const Filter<A>& filter = columns.filters[m];
      const A weight = filter.Weight(filter.t(pixel));
      const T* g =
          grad + (origin + m) * shape.channels + number % shape.channels;
      RATM_UNROLL(kTileRows)
      for (int r = 0; r < kTileRows; ++r) {
        if (r < size) lines[r] += weight * static_cast<A>(g[r * glimpse_row]);
      }
    }
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_BLOCKS_H_
