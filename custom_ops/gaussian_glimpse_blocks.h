// The arithmetic of the CUDA functors: what a block of threads does with one
// unit of work. It is plain C++, so that it also runs, and is tested, where
// there is no GPU.
//
// A Work says how many units there are and, called with one of them, does it in
// phases: block.Phase(f) calls f(thread) for all threads of the block and waits
// for them. What outlives a phase lies in the shared memory of the block. Sums
// are taken in an order that depends on the shape and the window alone.

#ifndef RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_BLOCKS_H_
#define RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_BLOCKS_H_

#include <math.h>

#include <cstdint>

#include "custom_ops/gaussian_glimpse.h"
#include "custom_ops/gaussian_glimpse_block_filters.h"

#if defined(__CUDACC__)
#define RATM_PRAGMA(X) _Pragma(#X)
#define RATM_UNROLL(N) RATM_PRAGMA(unroll N)
#else
#define RATM_UNROLL(N)
#endif

namespace ratm {
namespace blocks {

// A tile of a glimpse: so many rows, of at most so many columns or channels,
// and so many numbers a row.
constexpr int kTileRows = 8;
constexpr int kTileSide = 32;
constexpr int kTileNumbers = 64;
// What the lines of a tile may take of shared memory, of which a block has 48
// KiB without asking for more.
constexpr int kLinesBytes = 12 << 10;
// The rows read with one weight.
constexpr int kRowGroup = 4;
// Pixels between the taps of two columns are read too if no more than these.
constexpr int64_t kMaxGap = 32;
// The pixels of a tile's level, on each axis.
constexpr int kLevelSide = 4;
// A tile of an image: so many rows, of a number for each thread.
constexpr int kImageRows = 32;

// How glimpses are cut into tiles of equal size, the last ones excepted.
struct Tiling {
  int64_t channels;
  int64_t columns;
  int64_t rows;
  int64_t channel_tiles;
  int64_t column_tiles;
  int64_t row_tiles;

  explicit Tiling(const GlimpseShape& shape) {
    const auto cut = [](int64_t size, int64_t most, int64_t* tiles) {
      *tiles = CeilDiv(size, most);
      return size > 0 ? CeilDiv(size, *tiles) : 1;
    };
    channels = cut(shape.channels, kTileSide, &channel_tiles);
    columns =
        cut(shape.columns, Min<int64_t>(kTileSide, kTileNumbers / channels),
            &column_tiles);
    rows = cut(shape.rows, kTileRows, &row_tiles);
  }

  RATM_HOST_DEVICE int64_t tiles() const {
    return channel_tiles * column_tiles * row_tiles;
  }
};

// The numbers of a glimpse from (row, column, channel) on.
struct Tile {
  int64_t window;
  int64_t row;
  int64_t column;
  int64_t channel;
  int rows;
  int columns;
  int channels;

  RATM_DEVICE Tile(const GlimpseShape& shape, const Tiling& tiling,
                   int64_t unit) {
    window = unit / tiling.tiles();
    channel = unit % tiling.channel_tiles * tiling.channels;
    unit /= tiling.channel_tiles;
    column = unit % tiling.column_tiles * tiling.columns;
    unit /= tiling.column_tiles;
    row = unit % tiling.row_tiles * tiling.rows;
    channels = Min(tiling.channels, shape.channels - channel);
    columns = Min(tiling.columns, shape.columns - column);
    rows = Min(tiling.rows, shape.rows - row);
  }

  RATM_DEVICE int numbers() const { return columns * channels; }

  // Its window among all, and the image that the window reads.
  template <typename A>
  RATM_DEVICE const A* WindowOf(const A* windows) const {
    return windows + window * kWindowSize;
  }
  template <typename T>
  RATM_DEVICE const T* ImageOf(const GlimpseShape& shape,
                               const T* images) const {
    return images +
           window / shape.count * shape.height * shape.width * shape.channels;
  }

  // Where a number of the tile lies in the glimpses.
  RATM_DEVICE int64_t Index(const GlimpseShape& shape, int64_t i,
                            int64_t number) const {
    const int64_t m = column + number / channels;
    return ((window * shape.rows + row + i) * shape.columns + m) *
               shape.channels +
           channel + number % channels;
  }
};

// The lines of a tile: the image rows summed up by kFilters filters for each
// glimpse row (F_Y and, of three, its derivatives), over the pixels that its
// columns see, so many numbers at a time. Of three, they are those of the image
// less a level near its mean: the derivatives of both banks sum to zero, so
// that it would add rounding errors and nothing else.
template <typename A, int kFilters>
struct Lines {
  static constexpr int kNumbers =
      kLinesBytes / (kFilters * kTileRows * static_cast<int>(sizeof(A)));
  static constexpr int kTaps = 64 / kFilters;

  Filter<A> filters[kTileRows + kTileSide];  // Of rows, then of columns.
  Moments<kFilters> moments[kTileRows + kTileSide];
  alignas(16) A weights[kTaps][kFilters][kTileRows];
  A level[kTileSide];  // By channel.
  A numbers[kFilters][kTileRows][kNumbers];

  // Calls use(thread, i, number, pixels) for the numbers of the tile, for
  // kRowGroup rows from i on at once (the lines of rows past the tile are
  // zero), each time that the lines over some pixels are there. A number meets
  // one thread only.
  template <typename Block, typename T, typename Use>
  RATM_DEVICE void Read(const Block& block, const GlimpseShape& shape,
                        const Tile& tile, const T* image, const A* window,
                        Use use) {
    const Axis x_axis = XAxis(shape, window);
    const Axis y_axis = YAxis(shape, window);
    const auto locate = [&](int64_t i) {
      return i < tile.rows ? Locate<A>(y_axis, tile.row + i)
                           : Locate<A>(x_axis, tile.column + i - tile.rows);
    };
    BuildFilters<kFilters>(block, tile.rows + tile.columns, locate, filters,
                           moments);
    const Bank<A> rows = {filters, tile.rows, y_axis.stride < 0};
    const Bank<A> columns = {filters + tile.rows, tile.columns,
                             x_axis.stride < 0};
    if constexpr (kFilters > 1) {
      block.Phase([&](int thread) {
        SetLevel(thread, shape, tile, image, rows.support(), columns.support());
      });
    }
    const auto next_pixels = [&](int64_t begin) {
      return columns.NextRun(begin, kNumbers / tile.channels, kMaxGap);
    };
    const auto next_taps = [&](int64_t begin) {
      return rows.NextRun(begin, kTaps, 0);
    };
    for (Range pixels = next_pixels(0); pixels.size() > 0;
         pixels = next_pixels(pixels.end)) {
      bool first = true;
      for (Range taps = next_taps(0); taps.size() > 0;
           taps = next_taps(taps.end)) {
        block.Phase([&](int thread) { Weigh(thread, tile, taps); });
        block.Phase([&](int thread) {
          SumRows(thread, shape, tile, image, pixels, taps, first);
        });
        first = false;
      }
      block.Phase([&](int thread) {
        constexpr int kGroups = kTileRows / kRowGroup;
        const int items = tile.numbers() * kGroups;
        for (int item = thread; item < items; item += kThreads) {
          use(thread, item / tile.numbers() * kRowGroup, item % tile.numbers(),
              pixels);
        }
      });
    }
  }

  RATM_DEVICE const Filter<A>& column(const Tile& tile, int number) const {
    return filters[tile.rows + number / tile.channels];
  }

 private:
  // The mean of some pixels under the window.
  template <typename T>
  RATM_DEVICE void SetLevel(int thread, const GlimpseShape& shape,
                            const Tile& tile, const T* image, Range rows,
                            Range columns) {
    const auto pixel = [](Range range, int i) {
      return range.begin + range.size() * (2 * i + 1) / (2 * kLevelSide);
    };
    for (int c = thread; c < tile.channels; c += kThreads) {
      A sum = 0;
      RATM_UNROLL(kLevelSide)
      for (int i = 0; i < kLevelSide; ++i) {
        const T* row = image + (pixel(rows, i) * shape.width * shape.channels +
                                tile.channel + c);
        RATM_UNROLL(kLevelSide)
        for (int j = 0; j < kLevelSide; ++j) {
          sum += static_cast<A>(row[pixel(columns, j) * shape.channels]);
        }
      }
      level[c] = sum / (kLevelSide * kLevelSide);
    }
  }

  RATM_DEVICE void Weigh(int thread, const Tile& tile, Range taps) {
    for (int item = thread; item < taps.size() * kTileRows; item += kThreads) {
      const int i = item % kTileRows;
      const int h = item / kTileRows;
      const bool seen =
          i < tile.rows && filters[i].taps.contains(taps.begin + h);
      if constexpr (kFilters == 1) {
        const Filter<A>& filter = filters[i];
        weights[h][0][i] = seen ? filter.Weight(filter.t(taps.begin + h)) : 0;
      } else {
        const Filter<A>& filter = filters[seen ? i : 0];
        const Weights<A> w(filter, filter.t(taps.begin + h));
        weights[h][0][i] = seen ? w.weight : 0;
        weights[h][1][i] = seen ? w.by_mu : 0;
        weights[h][2][i] = seen ? w.by_sigma : 0;
      }
    }
  }

  template <typename T>
  RATM_DEVICE void SumRows(int thread, const GlimpseShape& shape,
                           const Tile& tile, const T* image, Range pixels,
                           Range taps, bool first) {
    const int64_t row_stride = shape.width * shape.channels;
    const int length = pixels.size() * tile.channels;
    const int height = taps.size();
    for (int number = thread; number < length; number += kThreads) {
      const T* x = image + taps.begin * row_stride +
                   (pixels.begin + number / tile.channels) * shape.channels +
                   tile.channel + number % tile.channels;
      A sums[kFilters][kTileRows] = {};
      A base = 0;
      if constexpr (kFilters > 1) base = level[number % tile.channels];
      RATM_UNROLL(8)
      for (int h = 0; h < height; ++h) {
        const A pixel = static_cast<A>(x[h * row_stride]) - base;
        RATM_UNROLL(kFilters)
        for (int f = 0; f < kFilters; ++f) {
          RATM_UNROLL(kTileRows)
          for (int i = 0; i < kTileRows; ++i) {
            sums[f][i] += weights[h][f][i] * pixel;
          }
        }
      }
      RATM_UNROLL(kFilters)
      for (int f = 0; f < kFilters; ++f) {
        RATM_UNROLL(kTileRows)
        for (int i = 0; i < kTileRows; ++i) {
          A* line = &numbers[f][i][number];
          *line = first ? sums[f][i] : *line + sums[f][i];
        }
      }
    }
  }
};

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

#undef RATM_UNROLL
#if defined(__CUDACC__)
#undef RATM_PRAGMA
#endif

#endif  // RATM_TF_CUSTOM_OPS_GAUSSIAN_GLIMPSE_BLOCKS_H_
