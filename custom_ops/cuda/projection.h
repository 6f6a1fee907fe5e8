// The gradient with respect to a window whose pixels all fit into memory.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_PROJECTION_H_
#define RATM_TF_CUSTOM_OPS_CUDA_PROJECTION_H_

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/tiles.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

// What a thread has of the gradient with respect to a window.
struct Sums {
  double of[kWindowSize];

  // Adds what a Gaussian at a step owes: the derivatives by its mu and sigma.
  RATM_DEVICE void Add(WindowIndex axis, double by_mu, double by_sigma,
                       double step) {
    of[kCenterX + axis] += by_mu;
    of[kSigmaX + axis] += by_sigma;
    of[kStrideX + axis] += by_mu * step;
  }
};

// Of doubles there would be too many.
template <typename A>
constexpr bool kProjects = std::is_same_v<A, float>;

// Sums the gradient up for a tile of images of one channel. With G the gradient
// with respect to its numbers and I the image, that of F_X is (F_Y^T G)^T I,
// and that of F_Y is G (I F_X^T)^T: what is in brackets is found in one pass
// over the pixels, a thread having the taps of a column in registers. It is all
// of the image less a level near its mean: see Lines.
template <typename A>
struct Projection : Located<A> {
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / kWarp;
  // At most so many taps has a column, a multiple of two; so many groups of
  // rows and so many pixels of these are there.
  static constexpr int kTaps = 14;
  static constexpr int kRowGroups = 20;
  static constexpr int kPixels = 1600;
  static constexpr int kTapGroups = CeilDiv(kTaps, kGroupRows);
  // A line of so many numbers shares no banks with the next one.
  static constexpr int kLine = kTileSide + 4;

  Group<A> pixels[kPixels];  // By group of rows, then by column.
  Group<A> row_weights[kRowGroups][kTileSide];  // By glimpse row.
  Group<A> column_weights[kTapGroups][kTileSide];
  alignas(16) A grad[kTileSide][kLine];
  Range seeing[kRowGroups];  // The glimpse rows that see a group of rows.
  union {
    // Of the weights, and of these times t and q, by lane.
    Group<A> moments[3][2 * kTileSide];
    // I F_X^T: a row of an image for each row.
    alignas(16) A rows[(kRowGroups + 1) * kGroupRows][kLine];
  };

  // Whether the tile is such a one.
  RATM_DEVICE static bool Holds(const Shape& shape, const Tile& tile,
                                const Axis& y, const Axis& x, double sigmas) {
    if (!kProjects<A> || shape.channels > 1) return false;
    const double reach_y = sigmas * y.sigma(), reach_x = sigmas * x.sigma();
    const int height =
        Support(y, reach_y, tile.row, tile.row + tile.rows).size();
    const int width =
        Support(x, reach_x, tile.column, tile.column + tile.columns).size();
    // All pixels in between are seen, too.
    return fabs(y.stride) < reach_y && fabs(x.stride) < reach_x &&
           4 * reach_x * reach_x + 1 < kTaps * kTaps &&
           height <= kRowGroups * kGroupRows &&
           CeilDiv(height, kGroupRows) * Max(width, kTaps) <= kPixels;
  }

  template <typename Block, typename T, typename G, typename PerThread>
  RATM_DEVICE void Add(const Block& block, const Shape& shape, const Tile& tile,
                       const T* image, const A* window, const G* glimpse_grad,
                       PerThread& sums) {
    const Bank<A> row_bank = {this->filters, tile.rows, window[kStrideY] < 0};
    const Bank<A> column_bank = {this->filters + tile.rows, tile.columns,
                                 window[kStrideX] < 0};
    const Range y = row_bank.support(), x = column_bank.support();
    const int groups = CeilDiv(y.size(), kGroupRows);
    const int width = Max(x.size(), kTaps);
    block.Phase([&](int thread) {
      WeighColumn(thread, tile, x);
      WeighRow(thread, tile, y);
      FindSeeing(kThreads - 1 - thread, row_bank, y, groups);
      Copy(thread, shape, image, y, x, width);
    });
    block.Phase([&](int thread) { Normalise(thread, tile); });
    block.Phase(
        [&](int thread) { CopyGrad(thread, shape, tile, glimpse_grad); });
    block.Phase([&](int thread) {
      AddColumn(thread, shape, tile, x, groups, width, sums[thread]);
    });
    block.Phase(
        [&](int thread) { AddRow(thread, shape, tile, y, sums[thread]); });
  }

 private:
  // The pixel that is the first tap of a column: before others if its own taps
  // end with the pixels.
  RATM_DEVICE static int First(const Filter<A>& filter, Range x) {
    return Max(Min(filter.taps.begin, x.end - kTaps), x.begin);
  }

  // Calls write(k, weight) for every kLanes-th weight of a filter, of pixel
  // first + k, and writes their moments.
  template <typename Write>
  RATM_DEVICE void Weigh(int i, int lane, int first, int size, Write write) {
    const Filter<A> filter = this->filters[i];
    A t = filter.t(first + lane);
    A of[3] = {};
    RATM_UNROLL(1)
    for (int k = lane; k < size; k += kLanes, t += kLanes) {
      A weight[1];
      filter.Weigh(first + k, t, weight);
      write(weight[0]);
      of[0] += weight[0];
      of[1] += weight[0] * t;
      of[2] += weight[0] * filter.q(t);
    }
    for (int j = 0; j < 3; ++j) moments[j][i].rows[lane] = of[j];
  }

  RATM_DEVICE void WeighColumn(int thread, const Tile& tile, Range x) {
    const int m = thread / kLanes, lane = thread % kLanes;
    if (m >= tile.columns) return;
    Group<A>* to = &column_weights[0][m];
    Weigh(tile.rows + m, lane, First(this->filters[tile.rows + m], x),
          kTapGroups * kGroupRows, [&](A weight) {
            to->rows[lane] = weight;
            to += kTileSide;
          });
  }

  RATM_DEVICE void WeighRow(int thread, const Tile& tile, Range y) {
    static_assert(kLanes == kGroupRows && kThreads == kTileSide * kLanes);
    const int i = thread / kLanes, lane = thread % kLanes;
    if (i >= tile.rows) return;
    const Range taps = this->filters[i].taps;
    const int group = (taps.begin - y.begin) / kGroupRows;
    const int first = y.begin + group * kGroupRows;
    Group<A>* to = &row_weights[group][i];
    Weigh(i, lane, first, RoundUp(taps.end - first, kGroupRows), [&](A weight) {
      to->rows[lane] = weight;
      to += kTileSide;
    });
  }

  RATM_DEVICE void FindSeeing(int group, const Bank<A>& bank, Range y,
                              int groups) {
    if (group >= groups) return;
    const int pixel = y.begin + group * kGroupRows;
    const int begin = bank.FirstAfter(pixel);
    int end = begin;
    while (end < bank.size && bank.taps(end).begin < pixel + kGroupRows) ++end;
    seeing[group] = bank.reversed ? Range{bank.size - end, bank.size - begin}
                                  : Range{begin, end};
  }

  // Copies pixels, a thread for each column.
  template <typename T>
  RATM_DEVICE void Copy(int thread, const Shape& shape, const T* image, Range y,
                        Range x, int width) {
    const A base = this->level[0];
    const int64_t row_size = shape.image_row;
    for (int a = thread; a < width; a += kThreads) {
      const T* from = image + y.begin * row_size + x.begin + a;
      Group<A>* to = &pixels[a];
      // Rows past the last one are zeros, as are columns.
      const auto copy = [&](int rows) {
        Group<A> here = {};
        RATM_UNROLL(kGroupRows)
        for (int r = 0; r < kGroupRows; ++r) {
          if (r >= rows) continue;
          here.rows[r] = static_cast<A>(*from) - base;
          from += row_size;
        }
        *to = here;
        to += width;
      };
      int left = a < x.size() ? y.size() : 0;
      RATM_UNROLL(1)
      for (; left >= kGroupRows; left -= kGroupRows) copy(kGroupRows);
      if (left > 0) copy(left);
      if (a >= x.size()) {
        for (; to < &pixels[width * CeilDiv(y.size(), kGroupRows)];) copy(0);
      }
    }
  }

  RATM_DEVICE void Normalise(int thread, const Tile& tile) {
    if (thread >= tile.rows + tile.columns) return;
    A of[3];
    for (int j = 0; j < 3; ++j) {
      const Group<A> lanes = moments[j][thread];
      of[j] = (lanes.rows[0] + lanes.rows[1]) + (lanes.rows[2] + lanes.rows[3]);
    }
    const A scale = 1 / of[0];
    this->scales[thread] = scale;
    this->filters[thread].mean_t = of[1] * scale;
    this->filters[thread].mean_q = of[2] * scale;
  }

  // Copies the gradient of the glimpse, times what the weights lack to sum to
  // one.
  template <typename G>
  RATM_DEVICE void CopyGrad(int thread, const Shape& shape, const Tile& tile,
                            const G* glimpse_grad) {
    const int j = thread % kWarp;
    const bool used = j < tile.columns;
    const A scale = used ? this->scales[tile.rows + j] : A{0};
    const int64_t row_size = shape.glimpse_row;
    const G* from =
        glimpse_grad + tile.Index(shape, thread / kWarp, used ? j : 0);
    const A* row_scales = &this->scales[thread / kWarp];
    A(*to)[kLine] = &grad[thread / kWarp];
    const int left = tile.rows - thread / kWarp;
    RATM_UNROLL(kTileSide / kWarps)
    for (int i = 0; i < kTileSide; i += kWarps) {
      if (i >= left) continue;
      to[i][j] = static_cast<A>(*from) * row_scales[i] * scale;
      from += kWarps * row_size;
    }
  }

  // By a thread for each column, in every warp: a warp takes some groups of
  // rows.
  RATM_DEVICE void AddColumn(int thread, const Shape& shape, const Tile& tile,
                             Range x, int groups, int width, Sums& sums) {
    const int j = thread % kWarp;
    const int m = Min(j, tile.columns - 1);
    const Filter<A> filter = this->filters[tile.rows + m];
    const int first = First(filter, x);
    Group<A> weights[kTapGroups];
    RATM_UNROLL(kTapGroups)
    for (int k = 0; k < kTapGroups; ++k) weights[k] = column_weights[k][m];
    A dots[kTaps] = {};
    RATM_UNROLL(1)
    for (int q = thread / kWarp; q < groups; q += kWarps) {
      const Range range = seeing[q];
      Group<A> back = {};  // F_Y^T G
      const A* numbers = &grad[range.begin][j];
      const Group<A>* last = row_weights[q] + range.end;
      RATM_UNROLL(1)
      for (const Group<A>* weight = row_weights[q] + range.begin;
           weight != last; ++weight, numbers += kLine) {
        back.Add(*numbers, *weight);
      }
      Group<A> row = {};
      const Group<A>* from = &pixels[q * width + first - x.begin];
      RATM_UNROLL(kTaps)
      for (int k = 0; k < kTaps; ++k) {
        const Group<A> here = from[k];
        row.Add(weights[k / kGroupRows].rows[k % kGroupRows], here);
        RATM_UNROLL(kGroupRows)
        for (int r = 0; r < kGroupRows; ++r) {
          dots[k] += back.rows[r] * here.rows[r];
        }
      }
      RATM_UNROLL(kGroupRows)
      for (int r = 0; r < kGroupRows; ++r) {
        rows[q * kGroupRows + r][j] = row.rows[r];
      }
    }
    A by_mu = 0, by_sigma = 0;
    A t = filter.t(first);
    RATM_UNROLL(kTaps)
    for (int k = 0; k < kTaps; ++k, t += 1) {
      const A dot = weights[k / kGroupRows].rows[k % kGroupRows] * dots[k];
      by_mu += dot * (t - filter.mean_t);
      by_sigma += dot * (filter.q(t) - filter.mean_q);
    }
    if (j < tile.columns) {
      sums.Add(kCenterX, by_mu * filter.by_mu, by_sigma * filter.by_sigma,
               tile.column + j - 0.5 * (shape.columns - 1));
    }
  }

  // By a thread for each row, in every warp: a warp takes some taps.
  RATM_DEVICE void AddRow(int thread, const Shape& shape, const Tile& tile,
                          Range y, Sums& sums) {
    constexpr int kAtOnce = 4;
    const int i = thread % kWarp;
    if (i >= tile.rows) return;
    const Filter<A> filter = this->filters[i];
    A by_mu = 0, by_sigma = 0;
    for (int pixel = filter.taps.begin + thread / kWarp * kAtOnce;
         pixel < filter.taps.end; pixel += kWarps * kAtOnce) {
      A dots[kAtOnce] = {};
      const A* from = rows[pixel - y.begin];
      RATM_UNROLL(1)
      for (int j = 0; j < tile.columns; j += kGroupRows) {
        const Group<A> here = reinterpret_cast<const Group<A>&>(grad[i][j]);
        RATM_UNROLL(kAtOnce)
        for (int n = 0; n < kAtOnce; ++n) {
          const A* row = from + n * kLine + j;
          const Group<A> numbers = reinterpret_cast<const Group<A>&>(*row);
          RATM_UNROLL(kGroupRows)
          for (int r = 0; r < kGroupRows; ++r) {
            dots[n] += here.rows[r] * numbers.rows[r];
          }
        }
      }
      A t = filter.t(pixel);
      RATM_UNROLL(kAtOnce)
      for (int n = 0; n < kAtOnce; ++n, t += 1) {
        if (pixel + n >= filter.taps.end) continue;
        A weight[1];
        filter.Weigh(pixel + n, t, weight);
        const A dot = weight[0] * dots[n];
        by_mu += dot * (t - filter.mean_t);
        by_sigma += dot * (filter.q(t) - filter.mean_q);
      }
    }
    sums.Add(kCenterY, by_mu * filter.by_mu, by_sigma * filter.by_sigma,
             tile.row + i - 0.5 * (shape.rows - 1));
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_PROJECTION_H_
