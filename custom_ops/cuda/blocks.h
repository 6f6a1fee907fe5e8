// The arithmetic of the CUDA functors: what a block of threads does with one
// unit of work. It is plain C++, so that it also runs, and is tested, where
// there is no GPU.
//
// A Work says how many units there are, how many threads a block has (kThreads)
// and how many blocks a multiprocessor is to have room for (kBlocks). Called
// with one of the units, it does it in phases: block.Phase(f) calls f(thread)
// for all threads of the block and waits for them. What outlives a phase lies
// in the shared memory of the block, or in a PerThread. Sums are taken in an
// order that depends on the shape and the window alone.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_BLOCKS_H_
#define RATM_TF_CUSTOM_OPS_CUDA_BLOCKS_H_

#include <math.h>

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/lines.h"
#include "custom_ops/cuda/projection.h"
#include "custom_ops/cuda/tiles.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

// A unit is a tile of a glimpse.
template <typename T>
struct Glimpse {
  using A = ComputeType<T>;
  static constexpr int kThreads = Lines<A, 1>::kThreads;
  static constexpr int kBlocks = sizeof(A) == sizeof(float) ? 6 : 4;

  struct Shared {
    Lines<A, 1> lines;
    Group<A> sums[kMaxGroups][kTileWidth];
  };

  Shape shape;
  Tiling tiling;
  const T* images;
  const A* windows;
  GlimpseType<T>* glimpses;

  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * shape.count * tiling.tiles;
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const int64_t k = tiling.WindowOf(unit);
    const Tile tile = Tile::Of(shape, tiling, unit, k);
    const A* window = windows + k * kWindowSize;
    GlimpseType<T>* glimpse = glimpses + k * shape.glimpse;
    const int width = tile.width();
    if (!IsFinite(window)) {
      block.Phase([&](int thread) {
        for (int item = thread; item < tile.rows * width; item += kThreads) {
          glimpse[tile.Index(shape, item / width, item % width)] =
              static_cast<GlimpseType<T>>(static_cast<A>(NAN));
        }
      });
      return;
    }
    using Lines = Lines<A, 1>;
    const Lines& lines = shared.lines;
    GlimpseType<T>* corner = glimpse + tile.Index(shape, 0, 0);
    const auto add = [&](int thread, const typename Lines::Part& part) {
      // Two groups at once, so that a weight is read for both.
      const int pairs = CeilDiv(part.size(), 2);
      lines.ForNumbers(thread, tile, pairs, [&](int pair, int number) {
        const int groups = Min(part.size() - 2 * pair, 2);
        const int m = tile.column_of(number);
        const Range taps = lines.filters[tile.rows + m].taps & part.pixels;
        const int size = taps.size();
        const int first = size > 0 ? taps.begin - part.pixels.begin : 0;
        const Group<A>* weights = &lines.column_weights[0][m];
        const Group<A>* line[2];
        line[0] =
            &lines.numbers[0][2 * pair * part.length + first * tile.channels +
                              tile.channel_of(number)];
        line[1] = line[0] + (groups > 1 ? part.length : 0);
        Group<A> sums[2] = {};
        // One channel is known, so that lines are read at known distances.
        const auto sum_up = [&](int channels) {
          int t = 0;
          const auto add = [&](int k, A weight) {
            RATM_UNROLL(2)
            for (int j = 0; j < 2; ++j) {
              sums[j].Add(weight, line[j][k * channels]);
            }
          };
          RATM_UNROLL(1)
          for (; t + Lines::kTaps <= size; t += Lines::kTaps) {
            const Group<A> here = *weights;
            RATM_UNROLL(Lines::kTaps)
            for (int k = 0; k < Lines::kTaps; ++k) add(k, here.rows[k]);
            weights += 1 << tiling.columns_log;
            RATM_UNROLL(2)
            for (int j = 0; j < 2; ++j) line[j] += Lines::kTaps * channels;
          }
          RATM_UNROLL(Lines::kTaps)
          for (int k = 0; k < Lines::kTaps - 1; ++k) {
            if (t + k < size) add(k, weights->rows[k]);
          }
        };
        if (tile.channels == 1) {
          sum_up(1);
        } else {
          sum_up(tile.channels);
        }
        const A scale = lines.scales[tile.rows + m];
        RATM_UNROLL(2)
        for (int j = 0; j < 2; ++j) {
          if (j >= groups) continue;
          Group<A>& kept = shared.sums[2 * pair + j][number];
          if (!part.first) sums[j].Add(1, kept);
          if (!part.last) kept = sums[j];
        }
        if (!part.last) return;
        const int row = part.rows(tile, 2 * pair).begin;
        const A* row_scales = lines.scales + row;
        const int64_t row_size = shape.glimpse_row;
        GlimpseType<T>* out =
            corner + tile.offset_of(shape, number) + row * row_size;
        RATM_UNROLL(2)
        for (int j = 0; j < 2; ++j) {
          const int rows =
              j < groups ? part.rows(tile, 2 * pair + j).size() : 0;
          RATM_UNROLL(kGroupRows)
          for (int r = 0; r < kGroupRows; ++r) {
            if (r >= rows) continue;
            *out = static_cast<GlimpseType<T>>(
                sums[j].rows[r] * scale * row_scales[j * part.group_rows + r]);
            out += row_size;
          }
        }
      });
    };
    const T* image = images + shape.ImageOf(k) * shape.image;
    shared.lines.Locate(block, shape, tiling, tile, image, window);
    shared.lines.Read(block, shape, tiling, tile, image, window, add);
  }
};

// Writes a number of the gradient with respect to a window.
template <typename A>
RATM_DEVICE void WriteWindowGrad(const A* window, int j, double total,
                                 A* window_grad) {
  // The floor of sigma is flat.
  const bool flat = (j == kSigmaX || j == kSigmaY) && window[j] < kMinSigma;
  window_grad[j] = !IsFinite(window) ? static_cast<A>(NAN)
                   : flat            ? A{0}
                                     : static_cast<A>(total);
}

// A unit is a tile of a glimpse. It writes the gradient with respect to its
// window or, of several tiles, what it adds to that, kWindowSize sums.
template <typename T>
struct GradWindow {
  using A = ComputeType<T>;
  static constexpr int kThreads = Lines<A, 3>::kThreads;
  // There is no memory for more.
  static constexpr int kBlocks = sizeof(A) == sizeof(float) ? 3 : 2;
  static constexpr int kParts = kThreads / 8;

  union Shared {
    Lines<A, 3> lines;
    std::conditional_t<kProjects<A>, Projection<A>, Lines<A, 3>> projection;
    struct {
      double threads[kWindowSize][kThreads];
      double parts[kWindowSize][kParts];
    } sums;
  };

  Shape shape;
  Tiling tiling;
  const T* images;
  const A* windows;
  const GlimpseType<T>* grad;
  double* tile_sums;
  A* window_grad;

  RATM_HOST_DEVICE int64_t units() const {
    return shape.batch * shape.count * tiling.tiles;
  }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit,
                              Shared& shared) const {
    const int64_t k = tiling.WindowOf(unit);
    const Tile tile = Tile::Of(shape, tiling, unit, k);
    const A* window = windows + k * kWindowSize;
    const GlimpseType<T>* glimpse_grad = grad + k * shape.glimpse;
    typename Block::template PerThread<Sums> thread_sums = {};
    using Lines = Lines<A, 3>;
    const Lines& lines = shared.lines;
    const auto add = [&](int thread, const typename Lines::Part& part) {
      Sums& sums = thread_sums[thread];
      lines.ForNumbers(thread, tile, part.size(), [&](int g, int number) {
        const int m = tile.column_of(number);
        const Range taps = lines.filters[tile.rows + m].taps & part.pixels;
        const int size = taps.size();
        const Range rows = part.rows(tile, g);
        const GlimpseType<T>* from =
            glimpse_grad + tile.Index(shape, rows.begin, number);
        Group<A> grad_here = {};
        RATM_UNROLL(kGroupRows)
        for (int r = 0; r < kGroupRows; ++r, from += shape.glimpse_row) {
          if (r < rows.size()) grad_here.rows[r] = static_cast<A>(*from);
        }
        int at = g * part.length +
                 (taps.begin - part.pixels.begin) * tile.channels +
                 tile.channel_of(number);
        A mu_x = 0, sigma_x = 0;
        Group<A> mu_y = {}, sigma_y = {};
        for (int t = 0; t < size; ++t) {
          const int weight = (t / Lines::kTaps << tiling.columns_log) + m;
          const int k = t % Lines::kTaps;
          // By the columns, rows are summed up before the taps are.
          const A line = grad_here.Dot(lines.numbers[0][at]);
          const Group<A> by_mu = lines.numbers[1][at];
          const Group<A> by_sigma = lines.numbers[2][at];
          mu_x += lines.column_weights[1][weight].rows[k] * line;
          sigma_x += lines.column_weights[2][weight].rows[k] * line;
          mu_y.Add(lines.column_weights[0][weight].rows[k], by_mu);
          sigma_y.Add(lines.column_weights[0][weight].rows[k], by_sigma);
          at += tile.channels;
        }
        const double x = tile.column + m - 0.5 * (shape.columns - 1);
        sums.of[kCenterX] += mu_x;
        sums.of[kSigmaX] += sigma_x;
        sums.of[kStrideX] += mu_x * x;
        sums.of[kSigmaY] += grad_here.Dot(sigma_y);
        RATM_UNROLL(kGroupRows)
        for (int r = 0; r < kGroupRows; ++r) {
          const double y = tile.row + rows.begin + r - 0.5 * (shape.rows - 1);
          const double by_mu = grad_here.rows[r] * mu_y.rows[r];
          sums.of[kCenterY] += by_mu;
          sums.of[kStrideY] += by_mu * y;
        }
      });
    };
    if (IsFinite(window)) {
      const T* image = images + shape.ImageOf(k) * shape.image;
      shared.lines.Locate(block, shape, tiling, tile, image, window);
      const bool whole = shared.lines.plan.whole;
      if constexpr (kProjects<A>) {
        if (whole) {
          shared.projection.Add(block, shape, tile, image, window, glimpse_grad,
                                thread_sums);
        }
      }
      if (!whole) {
        shared.lines.Read(block, shape, tiling, tile, image, window, add);
      }
    }
    block.Phase([&](int thread) {
      RATM_UNROLL(kWindowSize)
      for (int j = 0; j < kWindowSize; ++j) {
        shared.sums.threads[j][thread] = thread_sums[thread].of[j];
      }
    });
    block.Phase([&](int thread) {
      if (thread >= kWindowSize * kParts) return;
      double total = 0;
      const double* from =
          &shared.sums.threads[thread / kParts][thread % kParts];
      RATM_UNROLL(kThreads / kParts)
      for (int i = 0; i < kThreads; i += kParts) total += from[i];
      shared.sums.parts[thread / kParts][thread % kParts] = total;
    });
    block.Phase([&](int thread) {
      if (thread >= kWindowSize) return;
      double total = 0;
      for (int i = 0; i < kParts; ++i) total += shared.sums.parts[thread][i];
      if (tiling.tiles == 1) {
        WriteWindowGrad(window, thread, total, window_grad + k * kWindowSize);
      } else {
        tile_sums[unit * kWindowSize + thread] = total;
      }
    });
  }
};

// A unit is a number of the gradient for each thread: the total of the tiles.
template <typename A>
struct TotalOfTiles {
  static constexpr int kThreads = 128;
  static constexpr int kBlocks = 1;

  struct Shared {};

  int64_t numbers;
  int64_t tiles;
  const A* windows;
  const double* tile_sums;
  A* window_grad;

  RATM_HOST_DEVICE int64_t units() const { return CeilDiv(numbers, kThreads); }

  template <typename Block>
  RATM_DEVICE void operator()(const Block& block, int64_t unit, Shared&) const {
    block.Phase([&](int thread) {
      const int64_t number = unit * kThreads + thread;
      if (number >= numbers) return;
      const int64_t k = number / kWindowSize;
      const int j = number % kWindowSize;
      double total = 0;
      for (int64_t tile = k * tiles; tile < (k + 1) * tiles; ++tile) {
        total += tile_sums[tile * kWindowSize + j];
      }
      WriteWindowGrad(windows + k * kWindowSize, j, total,
                      window_grad + k * kWindowSize);
    });
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_BLOCKS_H_
