// The gradient with respect to the images, as a block of threads computes it:
// see blocks.h.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_GRAD_IMAGES_H_
#define RATM_TF_CUSTOM_OPS_CUDA_GRAD_IMAGES_H_

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/lines.h"
#include "custom_ops/cuda/tiles.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

// A unit is a tile of an image, which gathers what all windows owe it.
template <typename T>
struct GradImages {
  using A = ComputeType<T>;
  static constexpr int kBlocks = sizeof(A) == sizeof(float) ? 2 : 1;

  // A tile is of so many rows, two groups of them for each warp, and of so many
  // numbers a row.
  static constexpr int kRowGroups = 2 * kWarps;
  static constexpr int kVectors = 4 * sizeof(float) / sizeof(A);
  static constexpr int kWidth = kVectors * kWarp;

  struct Shared {
    Filter<A> filters[2 * kTileSide];
    bool seen[kThreads];
    Group<A> grad[kMaxGroups][kTileWidth];
    Group<A> weights[kRowGroups][kTileSide];  // Of a glimpse row.
    union {
      Moments<1> moments[2 * kTileSide];
      Group<A> lines[kMaxGroups][kWidth];
    };
  };

  struct Sums {
    Group<A> of[kRowGroups / kWarps][kVectors];
  };

  Shape shape;
  Cut channels;
  Cut rows;
  Cut numbers;
  const A* windows;
  const T* grad;
  T* images_grad;

  GradImages(const GlimpseShape& shape, const A* windows, const T* grad,
             T* images_grad)
      : shape(shape),
        channels(shape.channels, kTileSide),
        rows(shape.height, kRowGroups * kGroupRows),
        numbers(this->shape.image_row, kWidth),
        windows(windows),
        grad(grad),
        images_grad(images_grad) {}

  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * rows.parts * numbers.parts;
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const int64_t b = unit / (rows.parts * numbers.parts);
    const int part = unit - b * (rows.parts * numbers.parts);
    const int y = part / numbers.parts * rows.size;
    const int x = part % numbers.parts * numbers.size;
    const int width = Min(numbers.size, shape.image_row - x);
    const Range tile_y = {y, Min(y + rows.size, shape.height)};
    const Range tile_x = {x / shape.channels,
                          CeilDiv(x + width, shape.channels)};

    typename Block::template PerThread<Sums> sums = {};
    for (int64_t first = 0; first < shape.count; first += kThreads) {
      const int count = Min<int64_t>(kThreads, shape.count - first);
      const int64_t k = b * shape.count + first;
      block.Phase([&](int thread) {
        if (thread >= count) return;
        const A* window = windows + (k + thread) * kWindowSize;
        shared.seen[thread] =
            IsFinite(window) &&
            SeeingOf(YAxis(shape, window), tile_y).size() > 0 &&
            SeeingOf(XAxis(shape, window), tile_x).size() > 0;
      });
      for (int i = 0; i < count; ++i) {
        if (!shared.seen[i]) continue;
        ForTiles(k + i, tile_y, tile_x, [&](const Tile& tile) {
          AddTile(block, k + i, tile, tile_y, x, width, shared, sums);
        });
      }
      if (first + kThreads < shape.count) block.Phase([](int) {});
    }

    block.Phase([&](int thread) {
      T* corner = images_grad + b * shape.image +
                  static_cast<int64_t>(y) * shape.image_row + x;
      Write(thread, tile_y, width, sums[thread], corner);
    });
  }

 private:
  RATM_DEVICE static Range SeeingOf(const Axis& axis, Range pixels) {
    return Seeing(axis, Precision<A>::kReach * axis.sigma(), pixels);
  }

  // Calls f(tile) for tiles that hold what a window sees of some pixels.
  template <typename F>
  RATM_DEVICE void ForTiles(int64_t k, Range tile_y, Range tile_x, F f) const {
    const A* window = windows + k * kWindowSize;
    const Range all_rows = SeeingOf(YAxis(shape, window), tile_y);
    const Range all_columns = SeeingOf(XAxis(shape, window), tile_x);
    const int most_columns = Min(kTileSide, kTileWidth / channels.size);
    for (int row = all_rows.begin; row < all_rows.end; row += kTileSide) {
      for (int column = all_columns.begin; column < all_columns.end;
           column += most_columns) {
        for (int channel = 0; channel < shape.channels;
             channel += channels.size) {
          f(Tile{row, column, channel, Min(kTileSide, all_rows.end - row),
                 Min(most_columns, all_columns.end - column),
                 Min(channels.size, shape.channels - channel)});
        }
      }
    }
  }

  // Calls f(h, sums) for the groups of rows that a thread has sums of, from row
  // h of the tile on.
  template <typename F>
  RATM_DEVICE static void ForSums(int thread, Range tile_y, Sums& sums, F f) {
    RATM_UNROLL(2)
    for (int j = 0; j < kRowGroups / kWarps; ++j) {
      const int h = (j * kWarps + thread / kWarp) * kGroupRows;
      if (h < tile_y.size()) f(h, sums.of[j]);
    }
  }

  RATM_DEVICE void Write(int thread, Range tile_y, int width, Sums& sums,
                         T* corner) const {
    ForSums(thread, tile_y, sums, [&](int h, Group<A>(&of)[kVectors]) {
      RATM_UNROLL(kGroupRows)
      for (int r = 0; r < kGroupRows; ++r) {
        if (h + r >= tile_y.size()) continue;
        T* row = corner + static_cast<int64_t>(h + r) * shape.image_row;
        RATM_UNROLL(kVectors)
        for (int v = 0; v < kVectors; ++v) {
          const int number = v * kWarp + thread % kWarp;
          if (number < width) row[number] = static_cast<T>(of[v].rows[r]);
        }
      }
    });
  }

  // Adds what a tile of a glimpse owes the tile of the image.
  template <typename Block, typename PerThread>
  RATM_DEVICE void AddTile(const Block& block, int64_t k, const Tile& tile,
                           Range tile_y, int x, int width, Shared& shared,
                           PerThread& sums) const {
    const A* window = windows + k * kWindowSize;
    const Axis y_axis = YAxis(shape, window);
    const Axis x_axis = XAxis(shape, window);
    const Bank<A> rows = {shared.filters, tile.rows, y_axis.stride < 0};
    const Bank<A> columns = {shared.filters + tile.rows, tile.columns,
                             x_axis.stride < 0};
    block.Phase([&](int thread) {
      tile.Locate(thread, y_axis, x_axis, Precision<A>::kReach, shared.filters);
      CopyGrad(thread, k, tile, shared);
    });
    Normalise<1>(block, tile.rows + tile.columns, shared.filters,
                 shared.moments);
    block.Phase([&](int thread) {
      WeighRows(thread, rows, tile_y, shared);
      BackProject(thread, tile, columns, GroupsSeeing(rows, tile_y), x, width,
                  shared);
    });
    block.Phase([&](int thread) {
      ForSums(thread, tile_y, sums[thread],
              [&](int h, Group<A>(&of)[kVectors]) {
                const Range pixels = {
                    tile_y.begin + h,
                    Min(tile_y.begin + h + kGroupRows, tile_y.end)};
                const Range groups = GroupsSeeing(rows, pixels);
                for (int g = groups.begin; g < groups.end; ++g) {
                  Group<A> lines[kVectors];
                  RATM_UNROLL(kVectors)
                  for (int v = 0; v < kVectors; ++v) {
                    lines[v] = shared.lines[g][v * kWarp + thread % kWarp];
                  }
                  const Group<A>* weights =
                      &shared.weights[h / kGroupRows][g * kGroupRows];
                  RATM_UNROLL(kGroupRows)
                  for (int r = 0; r < kGroupRows; ++r) {
                    const Group<A> weight = weights[r];
                    RATM_UNROLL(kVectors)
                    for (int v = 0; v < kVectors; ++v) {
                      of[v].Add(lines[v].rows[r], weight);
                    }
                  }
                }
              });
    });
  }

  // The groups with rows that see some pixels.
  RATM_DEVICE static Range GroupsSeeing(const Bank<A>& rows, Range pixels) {
    const Range seeing = rows.Seeing(pixels);
    if (seeing.size() == 0) return {0, 0};
    return {seeing.begin / kGroupRows, CeilDiv(seeing.end, kGroupRows)};
  }

  // Copies the gradient of the glimpse, rows past the tile as zeros.
  RATM_DEVICE void CopyGrad(int thread, int64_t k, const Tile& tile,
                            Shared& shared) const {
    for (int number = thread % kWarp; number < tile.width(); number += kWarp) {
      const T* from = grad + k * shape.glimpse + tile.Index(shape, 0, number);
      RATM_UNROLL(kTileSide / kWarps)
      for (int j = 0; j < kTileSide / kWarps; ++j) {
        const int i = j * kWarps + thread / kWarp;
        shared.grad[i / kGroupRows][number].rows[i % kGroupRows] =
            i < tile.rows ? static_cast<A>(from[i * shape.glimpse_row]) : A{0};
      }
    }
  }

  // Writes the weights of the glimpse's rows for each row of the tile.
  RATM_DEVICE void WeighRows(int thread, const Bank<A>& rows, Range tile_y,
                             Shared& shared) const {
    const int r = thread % kGroupRows;
    const int i = thread / kGroupRows % kTileSide;
    Filter<A> filter = rows.filters[Min(i, rows.size - 1)];
    if (i >= rows.size) filter.taps = {0, 0};
    for (int h = thread / kGroupRows / kTileSide;
         h * kGroupRows < tile_y.size();
         h += kThreads / kGroupRows / kTileSide) {
      A weight[1];
      filter.Weigh(tile_y.begin + h * kGroupRows + r, weight);
      shared.weights[h][i].rows[r] = weight[0];
    }
  }

  // Writes the gradient of the lines, for some groups at one number.
  RATM_DEVICE void BackProject(int thread, const Tile& tile,
                               const Bank<A>& columns, Range groups, int x,
                               int width, Shared& shared) const {
    constexpr int kGroups = kMaxGroups * kWidth / kThreads;
    const int number = thread % kWidth;
    const int first = thread / kWidth * kGroups;
    if (number >= width || !groups.overlaps({first, first + kGroups})) return;
    const int pixel = (x + number) / shape.channels;
    const int channel = (x + number) % shape.channels - tile.channel;
    Group<A> lines[kGroups] = {};
    if (channel >= 0 && channel < tile.channels) {
      const Range seeing = columns.Seeing({pixel, pixel + 1});
      for (int m = seeing.begin; m < seeing.end; ++m) {
        A weight[1];
        columns.filters[m].Weigh(pixel, weight);
        RATM_UNROLL(kGroups)
        for (int g = 0; g < kGroups; ++g) {
          const Group<A> from =
              shared.grad[first + g][m * tile.channels + channel];
          lines[g].Add(weight[0], from);
        }
      }
    }
    RATM_UNROLL(kGroups)
    for (int g = 0; g < kGroups; ++g) {
      shared.lines[first + g][number] = lines[g];
    }
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_GRAD_IMAGES_H_
