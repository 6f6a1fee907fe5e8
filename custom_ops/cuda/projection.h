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

// Numbers side by side in memory, which one instruction moves.
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T of[4];
};

template <typename T>
RATM_DEVICE bool IsAligned(const T* numbers) {
  return reinterpret_cast<uintptr_t>(numbers) % sizeof(Four<T>) == 0;
}

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
  static constexpr int kPixels = 1620;
  static constexpr int kTapGroups = CeilDiv(kTaps, kGroupRows);
  // The groups of a glimpse row's taps that are weighed at once.
  static constexpr int kRowsAtOnce = kTapGroups + 1;
  // A line of so many numbers shares no banks with the next one.
  static constexpr int kLine = kTileSide + 4;

  Group<A> pixels[kPixels];  // By group of rows, then by column.
  Group<A> row_weights[kRowGroups + kRowsAtOnce - 1]
                      [kTileSide];  // By glimpse row.
  Group<A> column_weights[kTapGroups][kTileSide];
  alignas(16) A grad[kTileSide][kLine];
  // The glimpse rows that see a group of rows: from the first one, so many.
  struct alignas(8) Seeing {
    int first;
    int size;
  } seeing[kRowGroups];
  union {
    // Of the weights, and of these times t and q, by lane.
    Group<A> moments[3][2 * kTileSide];
    // I F_X^T: a row of an image for each row.
    alignas(16) A rows[(kRowGroups + 1) * kGroupRows][kLine];
  };

  // The pixels that are copied: four columns at once, in groups of rows.
  struct Pixels {
    Range y;
    Range x;
    int groups;
    int first;  // Of the columns.
    int fours;
    int width;  // Odd, so that groups share no banks.

    RATM_DEVICE Pixels(Range y, Range x)
        : y(y),
          x(x),
          groups(CeilDiv<unsigned, unsigned>(y.size(), kGroupRows)),
          first(x.begin & ~3),
          fours(CeilDiv<unsigned, unsigned>(Max(x.end, x.begin + kTaps) - first,
                                            4)),
          width(4 * fours + 1) {}
  };

  // Whether the tile is such a one.
  RATM_DEVICE static bool Holds(const Shape& shape, const Tile& tile,
                                const Axis& y, const Axis& x, double sigmas) {
    if (!kProjects<A> || shape.channels > 1) return false;
    const double reach_y = sigmas * y.sigma(), reach_x = sigmas * x.sigma();
    // No fewer than the filters see.
    const auto pixels = [](const Axis& axis, double reach, int filters) {
      const double most = fabs(axis.stride) * (filters - 1) + 2 * reach + 2;
      return static_cast<int>(Min(most, static_cast<double>(axis.length)));
    };
    const int height = pixels(y, reach_y, tile.rows);
    const int width = pixels(x, reach_x, tile.columns);
    // All pixels in between are seen, too.
    return fabs(y.stride) < reach_y && fabs(x.stride) < reach_x &&
           4 * reach_x * reach_x + 1 < kTaps * kTaps &&
           height <= kRowGroups * kGroupRows &&
           CeilDiv(height, kGroupRows) *
                   (RoundUp(Max(width, kTaps) + 3, 4) + 1) <=
               kPixels;
  }

  template <typename Block, typename T, typename G, typename PerThread>
  RATM_DEVICE void Add(const Block& block, const Shape& shape, const Tile& tile,
                       const T* image, const A* window, const G* glimpse_grad,
                       PerThread& sums) {
    const Bank<A> row_bank = {this->filters, tile.rows, window[kStrideY] < 0};
    const Bank<A> column_bank = {this->filters + tile.rows, tile.columns,
                                 window[kStrideX] < 0};
    const Pixels pixels(row_bank.support(), column_bank.support());
    block.Phase([&](int thread) {
      WeighColumn(thread, tile, pixels);
      WeighRow(thread, tile, pixels);
      FindSeeing(kThreads - 1 - thread, row_bank, pixels);
      if (pixels.x.size() >= kTaps && shape.image_row % 4 == 0 &&
          IsAligned(image)) {
        Copy<true>(thread, shape, image, pixels);
      } else {
        Copy<false>(thread, shape, image, pixels);
      }
    });
    block.Phase([&](int thread) { Normalise(thread, tile); });
    block.Phase(
        [&](int thread) { CopyGrad(thread, shape, tile, glimpse_grad); });
    block.Phase([&](int thread) {
      AddColumn(thread, shape, tile, pixels, sums[thread]);
    });
    block.Phase(
        [&](int thread) { AddRow(thread, shape, tile, pixels, sums[thread]); });
  }

 private:
  // Sums of what the weights of a filter owe, and of it times their t and q.
  struct Derivative {
    A sum;
    A by_t;
    A by_q;

    RATM_DEVICE void Add(A weight, A t, A q) {
      sum += weight;
      by_t += weight * t;
      by_q += weight * q;
    }
    RATM_DEVICE A by_mu(const Filter<A>& filter) const {
      return (by_t - filter.mean_t * sum) * filter.by_mu;
    }
    RATM_DEVICE A by_sigma(const Filter<A>& filter) const {
      return (by_q - filter.mean_q * sum) * filter.by_sigma;
    }
  };

  // The pixel that is the first tap of a column: before others if its own taps
  // end with the pixels.
  RATM_DEVICE static int First(const Filter<A>& filter, Range x) {
    return Max(Min(filter.taps.begin, x.end - kTaps), x.begin);
  }

  // Calls write(n, weight) for every kLanes-th weight of a filter, of pixel
  // first + lane + n * kLanes, for n up to `count` or kAtOnce - 1 more, and
  // writes their moments.
  template <int kAtOnce, typename Write>
  RATM_DEVICE void Weigh(int i, int lane, int first, int count, Write write) {
    const Filter<A> filter = this->filters[i];
    const unsigned taps = filter.taps.size();
    unsigned tap = first + lane - filter.taps.begin;
    A t = filter.t(first + lane);
    A of[3] = {};
    int done = 0;
    RATM_UNROLL(1)
    do {
      RATM_UNROLL(kAtOnce)
      for (int n = 0; n < kAtOnce; ++n, t += kLanes, tap += kLanes) {
        const A q = filter.q(t);
        const A exponential = filter.Exponential(q);
        const A weight = tap < taps ? exponential : A{0};
        write(done + n, weight);
        of[0] += weight;
        of[1] += weight * t;
        of[2] += weight * q;
      }
      done += kAtOnce;
    } while (done < count);
    for (int j = 0; j < 3; ++j) moments[j][i].rows[lane] = of[j];
  }

  RATM_DEVICE void WeighColumn(int thread, const Tile& tile,
                               const Pixels& pixels) {
    const int m = thread / kLanes, lane = thread % kLanes;
    if (m >= tile.columns) return;
    const int first = First(this->filters[tile.rows + m], pixels.x);
    Weigh<kTapGroups>(
        tile.rows + m, lane, first, kTapGroups,
        [&](int n, A weight) { column_weights[n][m].rows[lane] = weight; });
  }

  RATM_DEVICE void WeighRow(int thread, const Tile& tile,
                            const Pixels& pixels) {
    static_assert(kLanes == kGroupRows && kThreads == kTileSide * kLanes);
    const int i = thread / kLanes, lane = thread % kLanes;
    if (i >= tile.rows) return;
    const Range taps = this->filters[i].taps;
    const unsigned begin = pixels.y.begin;
    const unsigned group = (taps.begin - begin) / kGroupRows;
    const unsigned first = begin + group * kGroupRows;
    const int count = CeilDiv(taps.end - first, kGroupRows);
    Weigh<kRowsAtOnce>(i, lane, first, count, [&](int n, A weight) {
      row_weights[group + n][i].rows[lane] = weight;
    });
  }

  RATM_DEVICE void FindSeeing(int group, const Bank<A>& bank,
                              const Pixels& pixels) {
    if (group >= pixels.groups) return;
    const int pixel = pixels.y.begin + group * kGroupRows;
    // So many of the rows, in order, end before it, or begin before its end.
    int before = 0, begun = 1;
    RATM_UNROLL(5)
    for (int step = kTileSide / 2; step > 0; step /= 2) {
      const auto taps = [&](int count) {
        return bank.taps(Min(count, bank.size) - 1);
      };
      if (taps(before + step).end <= pixel) before += step;
      if (begun + step <= bank.size &&
          taps(begun + step).begin < pixel + kGroupRows) {
        begun += step;
      }
    }
    seeing[group] = {bank.reversed ? bank.size - begun : before,
                     begun - before};
  }

  // Copies the pixels of a group of rows, every kStep-th four of columns. Of
  // eight threads in a row, no two write to the same banks.
  template <bool kAligned, typename T>
  RATM_DEVICE void Copy(int thread, const Shape& shape, const T* image,
                        const Pixels& pixels) {
    constexpr int kStep = 4;
    static_assert(kThreads >= kRowGroups * kStep);
    const int q = thread / kWarp * 8 + thread % 8;
    if (q >= pixels.groups) return;
    const int row = q * kGroupRows, left = pixels.y.size() - row;
    const int first = thread % kWarp / 8;
    const A base = this->level[0];
    const int64_t row_size = shape.image_row;
    const T* from[kGroupRows] = {image + (pixels.y.begin + row) * row_size +
                                 (pixels.first + 4 * first)};
    RATM_UNROLL(kGroupRows - 1)
    for (int r = 1; r < kGroupRows; ++r) {
      // Past the last row, where weights are zero, it is read again.
      from[r] = from[r - 1] + (r < left ? row_size : 0);
    }
    Group<A>* to = &this->pixels[q * pixels.width + 4 * first];
    RATM_UNROLL(2)
    for (int i = first; i < pixels.fours; i += kStep, to += 4 * kStep) {
      Four<T> here[kGroupRows];
      RATM_UNROLL(kGroupRows)
      for (int r = 0; r < kGroupRows; ++r) {
        if constexpr (kAligned) {
          here[r] = reinterpret_cast<const Four<T>&>(*from[r]);
        } else {
          const int last = pixels.x.end - pixels.first - 4 * i - 1;
          RATM_UNROLL(4)
          for (int c = 0; c < 4; ++c) here[r].of[c] = from[r][Min(c, last)];
        }
        from[r] += 4 * kStep;
      }
      RATM_UNROLL(4)
      for (int c = 0; c < 4; ++c) {
        Group<A> column;
        RATM_UNROLL(kGroupRows)
        for (int r = 0; r < kGroupRows; ++r) {
          column.rows[r] = static_cast<A>(here[r].of[c]) - base;
        }
        to[c] = column;
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
  // one, four numbers a thread.
  template <typename G>
  RATM_DEVICE void CopyGrad(int thread, const Shape& shape, const Tile& tile,
                            const G* glimpse_grad) {
    constexpr int kFours = kTileSide / 4, kRows = kThreads / kFours;
    const int j = thread % kFours * 4;
    const int columns = Min(tile.columns - j, 4);
    if (columns <= 0) return;
    A scales[4];
    RATM_UNROLL(4)
    for (int c = 0; c < 4; ++c) scales[c] = this->scales[tile.rows + j + c];
    const G* from =
        glimpse_grad +
        static_cast<int64_t>(tile.row + thread / kFours) * shape.glimpse_row +
        (tile.column + j);
    const bool aligned =
        shape.glimpse_row % 4 == 0 && columns == 4 && IsAligned(from);
    RATM_UNROLL(kTileSide / kRows)
    for (int n = 0; n < kTileSide; n += kRows) {
      const int i = thread / kFours + n;
      if (i >= tile.rows) break;
      Four<G> here = {};
      if (aligned) {
        here = reinterpret_cast<const Four<G>&>(*from);
      } else {
        RATM_UNROLL(4)
        for (int c = 0; c < 4; ++c) {
          if (c < columns) here.of[c] = from[c];
        }
      }
      const A scale = this->scales[i];
      Group<A> scaled;
      RATM_UNROLL(4)
      for (int c = 0; c < 4; ++c) {
        scaled.rows[c] = static_cast<A>(here.of[c]) * scale * scales[c];
      }
      reinterpret_cast<Group<A>&>(grad[i][j]) = scaled;
      from += kRows * shape.glimpse_row;
    }
  }

  // By a thread for each column, in every warp: a warp takes some groups of
  // rows.
  RATM_DEVICE void AddColumn(int thread, const Shape& shape, const Tile& tile,
                             const Pixels& pixels, Sums& sums) {
    const int j = thread % kWarp;
    const int m = Min(j, tile.columns - 1);
    const Filter<A> filter = this->filters[tile.rows + m];
    const int first = First(filter, pixels.x);
    Group<A> weights[kTapGroups];
    RATM_UNROLL(kTapGroups)
    for (int k = 0; k < kTapGroups; ++k) weights[k] = column_weights[k][m];
    A dots[kTaps] = {};
    const int warp = thread / kWarp;
    const Seeing* seeing = &this->seeing[warp];
    const Seeing* last = &this->seeing[pixels.groups];
    const Group<A>* row_weights = this->row_weights[warp];
    const Group<A>* from =
        &this->pixels[warp * pixels.width + first - pixels.first];
    A(*to)[kLine] = &rows[warp * kGroupRows];
    RATM_UNROLL(1)
    for (; seeing < last; seeing += kWarps) {
      const Seeing seen = *seeing;
      Group<A> back = {};  // F_Y^T G
      const A* numbers = &grad[seen.first][j];
      const Group<A>* weight = row_weights + seen.first;
      const auto add = [&](int size) {
        RATM_UNROLL(4)
        for (int i = 0; i < size; ++i) {
          back.Add(numbers[i * kLine], weight[i]);
        }
        numbers += size * kLine;
        weight += size;
      };
      int left = seen.size;
      RATM_UNROLL(1)
      for (; left > 3; left -= 4) add(4);
      if (left > 1) {
        add(2);
        left -= 2;
      }
      if (left > 0) add(1);
      Group<A> row = {};
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
      for (int r = 0; r < kGroupRows; ++r) to[r][j] = row.rows[r];
      row_weights += kWarps * kTileSide;
      from += kWarps * pixels.width;
      to += kWarps * kGroupRows;
    }
    Derivative of = {};
    A t = filter.t(first);
    RATM_UNROLL(kTaps)
    for (int k = 0; k < kTaps; ++k, t += 1) {
      of.Add(weights[k / kGroupRows].rows[k % kGroupRows] * dots[k], t, t * t);
    }
    // As q is t (t + high + low).
    of.by_q += filter.high * of.by_t + filter.low * of.by_t;
    if (j < tile.columns) {
      sums.Add(kCenterX, of.by_mu(filter), of.by_sigma(filter),
               tile.column + j - 0.5 * (shape.columns - 1));
    }
  }

  // By a thread for each row, in every warp: a warp takes some taps.
  RATM_DEVICE void AddRow(int thread, const Shape& shape, const Tile& tile,
                          const Pixels& pixels, Sums& sums) {
    constexpr int kAtOnce = 4;
    const int i = thread % kWarp;
    if (i >= tile.rows) return;
    const Filter<A> filter = this->filters[i];
    Derivative of = {};
    for (int pixel = filter.taps.begin + thread / kWarp * kAtOnce;
         pixel < filter.taps.end; pixel += kWarps * kAtOnce) {
      A dots[kAtOnce] = {};
      const A* from = rows[pixel - pixels.y.begin];
      const A* line = grad[i];
      const auto add = [&](int size) {
        RATM_UNROLL(2)
        for (int j = 0; j < size; j += kGroupRows) {
          const Group<A> here = reinterpret_cast<const Group<A>&>(line[j]);
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
        from += size;
        line += size;
      };
      int left = tile.columns;
      RATM_UNROLL(1)
      for (; left > kGroupRows; left -= 2 * kGroupRows) add(2 * kGroupRows);
      if (left > 0) add(kGroupRows);
      left = filter.taps.end - pixel;
      A t = filter.t(pixel);
      RATM_UNROLL(kAtOnce)
      for (int n = 0; n < kAtOnce; ++n, t += 1) {
        const A q = filter.q(t);
        const A dot = filter.Exponential(q) * dots[n];
        of.Add(n < left ? dot : A{0}, t, q);
      }
    }
    sums.Add(kCenterY, of.by_mu(filter), of.by_sigma(filter),
             tile.row + i - 0.5 * (shape.rows - 1));
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_PROJECTION_H_
