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

// As ratm::Seeing, by fewer instructions.
struct Seers {
  double center;
  double by_stride;
  double middle;  // Of the Gaussians.
  float reach;    // In pixels,
  float strides;  // and in strides.
  float last;     // The last pixel.

  Seers() = default;
  RATM_DEVICE Seers(const Axis& axis, double reach)
      : center(axis.center),
        by_stride(fabs(axis.stride) < 1e-6 ? 0 : 1 / axis.stride),
        middle(axis.step(axis.size - 1)),
        reach(static_cast<float>(Min(reach, 1e30)) + 0.6f),
        // Without a stride, all see what one sees.
        strides(by_stride == 0 ? HUGE_VALF
                               : static_cast<float>(
                                     Min(this->reach * fabs(by_stride), 1e30))),
        last(static_cast<float>(axis.length - 1)) {}

  // Those of [begin, end) that see some of these pixels, from begin on.
  RATM_DEVICE Range Of(Range pixels, int begin, int end) const {
    const float a = Place(pixels.begin), b = Place(pixels.end - 1);
    float low = Min(a, b) - strides, high = Max(a, b) + strides;
    const bool first_edge = static_cast<float>(pixels.begin) <= reach;
    const bool last_edge = static_cast<float>(pixels.end) + reach > last;
    if (by_stride < 0 ? last_edge : first_edge) low = -HUGE_VALF;
    if (by_stride < 0 ? first_edge : last_edge) high = HUGE_VALF;
    const float most = static_cast<float>(end - begin);
    low = Min(Max(low - begin + 0.98f, 0.0f), most);
    high = Min(Max(high - begin + 1.02f, 0.0f), most);
    return {static_cast<int>(low), static_cast<int>(high)};
  }

 private:
  // Where a Gaussian at a pixel would be.
  RATM_DEVICE float Place(int pixel) const {
    return static_cast<float>((pixel - center) * by_stride + middle);
  }
};

// A unit is a tile of an image, all zeros before, which gathers what all
// windows owe it. One that no window sees stays as it is.
template <typename T>
struct GradImages {
  using A = ComputeType<T>;
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kBlocks = sizeof(A) == sizeof(float) ? 2 : 1;

  // A tile is of so many rows, two groups of them for each warp, and of so many
  // numbers a row.
  static constexpr int kRowGroups = 2 * kWarps;
  static constexpr int kVectors = 4 * sizeof(float) / sizeof(A);
  static constexpr int kWidth = kVectors * kWarp;

  // A tile of an image: its rows, its first number and how many a row has.
  struct Part {
    int64_t image;
    Range rows;
    int number;
    int width;
  };

  // A window that sees the tile, and which of its Gaussians do.
  struct Seeing {
    int window;
    Range rows;
    Range columns;
  };

  struct Shared {
    Filter<A> filters[2 * kTileSide];
    Part part;
    Seers seers[2];
    uint64_t seen[kThreads / 8];  // A byte a window.
    Seeing seeing[kThreads];
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
  int most_columns;
  Cut rows;
  Cut numbers;
  const A* windows;
  const T* grad;
  T* images_grad;

  GradImages(const GlimpseShape& shape, const A* windows, const T* grad,
             T* images_grad)
      : shape(shape),
        channels(shape.channels, kTileSide),
        most_columns(Min(kTileSide, kTileWidth / channels.size)),
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
    int listed = List(block, unit, 0, shared);
    // Most tiles of a large image end here: what the rest need comes after.
    bool seen = listed > 0;
    if (!seen && shape.count <= kThreads) return;
    const Part& part = shared.part;
    typename Block::template PerThread<Sums> sums = {};
    for (int64_t first = 0;;) {
      for (int i = 0; i < listed; ++i) {
        const Seeing& seeing = shared.seeing[i];
        ForTiles(seeing, [&](const Tile& tile) {
          AddTile(block, part.image * shape.count + first + seeing.window, tile,
                  part, shared, sums);
        });
      }
      first += kThreads;
      if (first >= shape.count) break;
      block.Phase([](int) {});
      listed = List(block, unit, first, shared);
      seen |= listed > 0;
    }
    if (!seen) return;

    block.Phase([&](int thread) {
      T* corner = images_grad + part.image * shape.image +
                  static_cast<int64_t>(part.rows.begin) * shape.image_row +
                  part.number;
      Write(thread, part, sums[thread], corner);
    });
  }

 private:
  RATM_DEVICE Part PartOf(int64_t unit) const {
    const int64_t image = unit / (rows.parts * numbers.parts);
    const int part = unit - image * (rows.parts * numbers.parts);
    const int row = part / numbers.parts;
    const int y = row * rows.size;
    const int x = (part - row * numbers.parts) * numbers.size;
    return {image,
            {y, Min(y + rows.size, shape.height)},
            x,
            Min(numbers.size, shape.image_row - x)};
  }

  // Lists those windows from the first one on that see a tile, kThreads at most
  // and in their order; returns how many.
  template <typename Block>
  RATM_DEVICE int List(const Block& block, int64_t unit, int64_t first,
                       Shared& shared) const {
    const int count = Min<int64_t>(kThreads, shape.count - first);
    const auto window_of = [&](const Part& part, int thread) {
      return windows +
             (part.image * shape.count + first + thread) * kWindowSize;
    };
    const auto sees = [](const Axis& axis, Range pixels) {
      return Support<int>(axis, Precision<A>::kReach * axis.sigma(), 0,
                          static_cast<int>(axis.size))
          .overlaps(pixels);
    };
    unsigned char* seen = reinterpret_cast<unsigned char*>(shared.seen);
    block.Phase([&](int thread) {
      if (thread >= RoundUp(count, 8)) return;
      seen[thread] = 0;
      if (thread >= count) return;
      const Part part = PartOf(unit);
      if (thread == 0) shared.part = part;
      const A* window = window_of(part, thread);
      seen[thread] = IsFinite(window) &&
                     sees(YAxis(shape, window), part.rows) &&
                     sees(XAxis(shape, window), Columns(part));
    });
    block.Phase([&](int thread) {
      if (thread >= count || !seen[thread]) return;
      const Part& part = shared.part;
      const A* window = window_of(part, thread);
      shared.seeing[Seen(shared, thread)] = {
          thread, SeeingOf(YAxis(shape, window), part.rows),
          SeeingOf(XAxis(shape, window), Columns(part))};
    });
    return Seen(shared, count);
  }

  // How many of the first windows see the tile.
  RATM_DEVICE static int Seen(const Shared& shared, int windows) {
    const auto total = [](uint64_t bytes) {
      return static_cast<int>(bytes * 0x0101010101010101u >> 56);
    };
    int seen = 0;
    RATM_UNROLL(1)
    for (int i = 0; i < windows / 8; ++i) seen += total(shared.seen[i]);
    const int rest = windows % 8;
    if (rest > 0) seen += total(shared.seen[windows / 8] << (64 - 8 * rest));
    return seen;
  }

  // The pixel that has a number of a row.
  RATM_DEVICE int PixelOf(int number) const {
    return shape.channels == 1 ? number : number / shape.channels;
  }

  RATM_DEVICE Range Columns(const Part& part) const {
    return {PixelOf(part.number), PixelOf(part.number + part.width - 1) + 1};
  }

  RATM_DEVICE static Range SeeingOf(const Axis& axis, Range pixels) {
    return ratm::Seeing(axis, Precision<A>::kReach * axis.sigma(), pixels);
  }

  // Calls f(tile) for tiles that hold what a window sees of some pixels.
  template <typename F>
  RATM_DEVICE void ForTiles(const Seeing& seeing, F f) const {
    for (int row = seeing.rows.begin; row < seeing.rows.end; row += kTileSide) {
      for (int column = seeing.columns.begin; column < seeing.columns.end;
           column += most_columns) {
        for (int channel = 0; channel < shape.channels;
             channel += channels.size) {
          f(Tile{row, column, channel, Min(kTileSide, seeing.rows.end - row),
                 Min(most_columns, seeing.columns.end - column),
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

  RATM_DEVICE void Write(int thread, const Part& part, Sums& sums,
                         T* corner) const {
    ForSums(thread, part.rows, sums, [&](int h, Group<A>(&of)[kVectors]) {
      T* row =
          corner + static_cast<int64_t>(h) * shape.image_row + thread % kWarp;
      RATM_UNROLL(kGroupRows)
      for (int r = 0; r < kGroupRows; ++r, row += shape.image_row) {
        if (h + r >= part.rows.size()) continue;
        RATM_UNROLL(kVectors)
        for (int v = 0; v < kVectors; ++v) {
          if (v * kWarp + thread % kWarp < part.width) {
            row[v * kWarp] = static_cast<T>(of[v].rows[r]);
          }
        }
      }
    });
  }

  // Adds what a tile of a glimpse owes the tile of the image.
  template <typename Block, typename PerThread>
  RATM_DEVICE void AddTile(const Block& block, int64_t k, const Tile& tile,
                           const Part& part, Shared& shared,
                           PerThread& sums) const {
    const Range tile_y = part.rows;
    const A* window = windows + k * kWindowSize;
    const Axis y_axis = YAxis(shape, window);
    const Axis x_axis = XAxis(shape, window);
    block.Phase([&](int thread) {
      tile.Locate(thread, y_axis, x_axis, Precision<A>::kReach, shared.filters);
      // By warps that locate no filters.
      const double reach = Precision<A>::kReach;
      if (thread == kThreads - 1) {
        shared.seers[0] = Seers(y_axis, reach * y_axis.sigma());
      }
      if (thread == kThreads - 1 - kWarp) {
        shared.seers[1] = Seers(x_axis, reach * x_axis.sigma());
      }
      CopyGrad(thread, k, tile, shared);
    });
    Normalise<1>(block, tile.rows + tile.columns, shared.filters,
                 shared.moments);
    block.Phase([&](int thread) {
      WeighRows(thread, tile, tile_y, shared);
      BackProject(thread, tile, part, shared);
    });
    block.Phase([&](int thread) {
      ForSums(thread, tile_y, sums[thread],
              [&](int h, Group<A>(&of)[kVectors]) {
                const Range pixels = {
                    tile_y.begin + h,
                    Min(tile_y.begin + h + kGroupRows, tile_y.end)};
                const Range groups = GroupsSeeing(tile, pixels, shared);
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

  // The groups of the tile with rows that see some pixels.
  RATM_DEVICE static Range GroupsSeeing(const Tile& tile, Range pixels,
                                        const Shared& shared) {
    const Range seeing =
        shared.seers[0].Of(pixels, tile.row, tile.row + tile.rows);
    if (seeing.size() <= 0) return {0, 0};
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
  RATM_DEVICE void WeighRows(int thread, const Tile& tile, Range tile_y,
                             Shared& shared) const {
    const int r = thread % kGroupRows;
    const int i = thread / kGroupRows % kTileSide;
    Filter<A> filter = shared.filters[Min(i, tile.rows - 1)];
    if (i >= tile.rows) filter.taps = {0, 0};
    for (int h = thread / kGroupRows / kTileSide;
         h * kGroupRows < tile_y.size();
         h += kThreads / kGroupRows / kTileSide) {
      A weight[1];
      const int pixel = tile_y.begin + h * kGroupRows + r;
      filter.Weigh(pixel, filter.t(pixel), weight);
      shared.weights[h][i].rows[r] = weight[0];
    }
  }

  // Writes the gradient of the lines, for some groups at one number.
  RATM_DEVICE void BackProject(int thread, const Tile& tile, const Part& part,
                               Shared& shared) const {
    constexpr int kGroups = kMaxGroups * kWidth / kThreads;
    const int number = thread % kWidth;
    const int first = thread / kWidth * kGroups;
    const Range groups = GroupsSeeing(tile, part.rows, shared);
    if (number >= part.width || !groups.overlaps({first, first + kGroups}))
      return;
    const int pixel = PixelOf(part.number + number);
    const int channel =
        part.number + number - pixel * shape.channels - tile.channel;
    Group<A> lines[kGroups] = {};
    if (channel >= 0 && channel < tile.channels) {
      const Range seeing = shared.seers[1].Of({pixel, pixel + 1}, tile.column,
                                              tile.column + tile.columns);
      for (int m = seeing.begin; m < seeing.end; ++m) {
        A weight[1];
        const Filter<A>& filter = shared.filters[tile.rows + m];
        filter.Weigh(pixel, filter.t(pixel), weight);
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
