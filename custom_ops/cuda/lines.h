// Tiles of glimpses, and the image rows summed up for them.
//
// Plain C++, so that it also runs, and is tested, where there is no GPU.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_LINES_H_
#define RATM_TF_CUSTOM_OPS_CUDA_LINES_H_

#include <cstdint>

#include "custom_ops/cuda/filters.h"
#include "custom_ops/glimpse.h"

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

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_LINES_H_
