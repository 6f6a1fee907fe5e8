// Tiles of glimpses: what a block of threads works on at a time.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_TILES_H_
#define RATM_TF_CUSTOM_OPS_CUDA_TILES_H_

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

// A tile is of at most so many rows, columns and channels each; so many numbers
// a row, a column having one for each channel; and so many numbers in all.
constexpr int kTileSide = 32;
constexpr int kTileWidth = 64;
constexpr int kTileNumbers = 1024;
// Rows come in groups of so many.
constexpr int kGroupRows = 4;
constexpr int kMaxGroups = kTileSide / kGroupRows;

// The exponent of the power of two that is no less than a number.
RATM_HOST_DEVICE constexpr int CeilLog2(int x) {
  int log = 0;
  while ((1 << log) < x) ++log;
  return log;
}

// The sizes of a GlimpseShape, as the kernels need them: see kMaxSide.
struct Shape {
  int64_t batch;
  int64_t count;
  int height;
  int width;
  int channels;
  int rows;
  int columns;
  int image_row;  // The numbers of a row,
  int glimpse_row;
  int64_t image;  // and of all rows.
  int64_t glimpse;

  explicit Shape(const GlimpseShape& shape)
      : batch(shape.batch),
        count(shape.count),
        height(static_cast<int>(shape.height)),
        width(static_cast<int>(shape.width)),
        channels(static_cast<int>(shape.channels)),
        rows(static_cast<int>(shape.rows)),
        columns(static_cast<int>(shape.columns)),
        image_row(width * channels),
        glimpse_row(columns * channels),
        image(shape.height * image_row),
        glimpse(shape.rows * glimpse_row) {}

  RATM_DEVICE int64_t ImageOf(int64_t window) const {
    return count == 1 ? window : window / count;
  }
};

// How a size is cut into parts of equal size, the last one excepted.
struct Cut {
  int parts;
  int size;

  Cut(int64_t whole, int64_t most)
      : parts(static_cast<int>(CeilDiv(whole, most))),
        size(parts > 0 ? static_cast<int>(CeilDiv(whole, parts)) : 1) {}
};

// How glimpses are cut into tiles.
struct Tiling {
  Cut channels;
  Cut columns;
  Cut rows;
  int tiles;
  // Powers of two: as many columns, and groups of rows, or more.
  int columns_log;
  int groups_log;

  explicit Tiling(const Shape& shape)
      : channels(shape.channels, kTileSide),
        columns(shape.columns, Min(kTileSide, kTileWidth / channels.size)),
        rows(shape.rows,
             Min(kTileSide, kTileNumbers / (columns.size * channels.size))),
        tiles(channels.parts * columns.parts * rows.parts),
        columns_log(CeilLog2(columns.size)),
        groups_log(CeilLog2(CeilDiv(rows.size, kGroupRows))) {}

  // The window of a unit, which is a tile of a glimpse.
  RATM_DEVICE int64_t WindowOf(int64_t unit) const {
    return tiles == 1 ? unit : unit / tiles;  // Division takes long.
  }
};

// The numbers of a glimpse from (row, column, channel) on.
struct Tile {
  int row;
  int column;
  int channel;
  int rows;
  int columns;
  int channels;

  // That of a unit, of window k.
  RATM_DEVICE static Tile Of(const Shape& shape, const Tiling& tiling,
                             int64_t unit, int64_t k) {
    Tile tile = {};
    if (tiling.tiles > 1) {
      int index = static_cast<int>(unit - k * tiling.tiles);
      tile.channel = index % tiling.channels.parts * tiling.channels.size;
      index /= tiling.channels.parts;
      tile.column = index % tiling.columns.parts * tiling.columns.size;
      tile.row = index / tiling.columns.parts * tiling.rows.size;
    }
    tile.rows = Min(tiling.rows.size, shape.rows - tile.row);
    tile.columns = Min(tiling.columns.size, shape.columns - tile.column);
    tile.channels = Min(tiling.channels.size, shape.channels - tile.channel);
    return tile;
  }

  // The numbers of a row.
  RATM_DEVICE int width() const { return columns * channels; }

  // The column and the channel of a number, from those of the tile on.
  RATM_DEVICE int column_of(int number) const {
    return channels == 1 ? number : number / channels;
  }
  RATM_DEVICE int channel_of(int number) const {
    return channels == 1 ? 0 : number % channels;
  }

  // How far it lies from the first one, in a row of all channels.
  RATM_DEVICE int offset_of(const Shape& shape, int number) const {
    return channels == shape.channels
               ? number
               : column_of(number) * shape.channels + channel_of(number);
  }

  // Where a number lies in the glimpse of its window.
  RATM_DEVICE int64_t Index(const Shape& shape, int i, int number) const {
    return static_cast<int64_t>(row + i) * shape.glimpse_row +
           column * shape.channels + channel + offset_of(shape, number);
  }

  // Locates the filters of its rows, then those of its columns: a warp each.
  template <typename A>
  RATM_DEVICE void Locate(int thread, const Axis& y, const Axis& x,
                          double sigmas, Filter<A>* filters) const {
    static_assert(kTileSide == kWarp);
    const int i = thread % kWarp;
    if (thread < kWarp) {
      if (i < rows) filters[i].Locate(y, sigmas, row + i);
    } else if (thread < 2 * kWarp) {
      if (i < columns) filters[rows + i].Locate(x, sigmas, column + i);
    }
  }
};

// Numbers of a group of rows, side by side: one instruction moves them.
template <typename A>
struct alignas(16) Group {
  A rows[kGroupRows];

  RATM_DEVICE void Add(A weight, Group other) {
    RATM_UNROLL(kGroupRows)
    for (int r = 0; r < kGroupRows; ++r) rows[r] += weight * other.rows[r];
  }

  RATM_DEVICE A Dot(Group other) const {
    A sum = 0;
    RATM_UNROLL(kGroupRows)
    for (int r = 0; r < kGroupRows; ++r) sum += rows[r] * other.rows[r];
    return sum;
  }
};

// How a tile is read.
struct Plan {
  int group_rows;  // What is left of a group is zero.
  int groups;
  int groups_log;  // The exponent of a power of two that is no less.
  int taps;        // The most of a group at a time.
  int most_taps;   // The most of a group.
  int most_pixels;
  bool sparse;  // Whether columns have pixels between them that none sees.
  bool whole;  // Whether all weights or, of a gradient, pixels fit into memory.
};

// What is known of a tile before it is read.
template <typename A>
struct Located {
  Filter<A> filters[2 * kTileSide];
  A scales[2 * kTileSide];  // What the weights of a filter lack to sum to one.
  A level[kTileSide];       // By channel.
  Plan plan;
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_TILES_H_
