// The image rows summed up for the rows of a glimpse.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_LINES_H_
#define RATM_TF_CUSTOM_OPS_CUDA_LINES_H_

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/tiles.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

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

// The vectors of a warp's numbers that are summed up at once, at most.
constexpr int kVectors = 3;
// The taps whose pixels are asked for at once.
constexpr int kBatch = 4;
// Pixels between the taps of two columns are read too if no more than these.
constexpr int kMaxGap = 32;
// The pixels of a tile's level, on each axis.
constexpr int kLevelSide = 4;

// Asks for memory that will be read soon.
RATM_DEVICE inline void Prefetch(const void* address) {
#if defined(__CUDA_ARCH__)
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
#else
  static_cast<void>(address);
#endif
}

// The lines of a tile: the image rows summed up by kFilters filters for each
// glimpse row (F_Y and, of three, its derivatives), over the pixels that its
// columns see; so many rows and so many numbers at a time, for which they are
// in shared memory beside the weights that sum them up to a glimpse. Of three,
// they are those of the image less a level near its mean: the derivatives of
// both banks sum to zero, so that it would add rounding errors and nothing
// else.
//
// A pixel that is NaN or infinite reaches all rows of the groups that see it.
template <typename A, int kFilters>
struct Lines {
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / kWarp;

  // Of a float there is room for so many, of a double for half as many.
  static constexpr int kFloats = sizeof(A) / sizeof(float);
  static constexpr int kNumbers = (kFilters == 1 ? 1024 : 672) / kFloats;
  static constexpr int kRowWeights = 256 / kFloats;
  static constexpr int kColumnWeights = 768 / kFloats;

  Filter<A> filters[2 * kTileSide];
  A scales[2 * kTileSide];  // What the weights of a filter lack to sum to one.
  A level[kTileSide];       // By channel.
  Group<A> row_weights[kRowWeights][kFilters];  // By group, then by tap.
  A column_weights[kFilters][kColumnWeights];   // By tap, then by column.
  union {
    Moments<kFilters> moments[2 * kTileSide];
    Group<A> numbers[kFilters][kNumbers];  // By group, then by number.
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
    bool whole;   // Whether all weights fit into memory.
  } plan;

  // What is in shared memory: the lines of some groups, over some pixels.
  struct Part : Plan {
    int group;  // The first one.
    Range pixels;
    int length;  // The numbers of a line.
    bool first;  // Of the pixels for these groups,
    bool last;   // or the last.

    // The groups from the first one on.
    RATM_DEVICE int size() const {
      return Min(this->groups - group, kMaxGroups);
    }
    RATM_DEVICE Range rows(const Tile& tile, int g) const {
      const int begin = (group + g) * this->group_rows;
      return {begin, Min(begin + this->group_rows, tile.rows)};
    }
  };

  // Calls use(thread, part) for all parts.
  template <typename Block, typename T, typename Use>
  RATM_DEVICE void Read(const Block& block, const Shape& shape,
                        const Tiling& tiling, const Tile& tile, const T* image,
                        const A* window, Use use) {
    const Axis x_axis = XAxis(shape, window);
    const Axis y_axis = YAxis(shape, window);
    const double sigmas =
        kFilters == 1 ? Precision<A>::kReach : Precision<A>::kDerivativeReach;
    block.Phase([&](int thread) {
      // Some warps find the filters, others ask for the pixels.
      if (thread < kFinders) {
        tile.Locate(thread, kFinders, y_axis, x_axis, sigmas, filters);
        scales[thread] = 1;
      } else if (thread < kFinders + kFetchers) {
        if (thread == kFinders) {
          plan = MakePlan(tiling, tile, y_axis, x_axis, sigmas);
        }
        Fetch(thread - kFinders, shape, tile, image,
              About(y_axis, sigmas, tile.row, tile.rows),
              About(x_axis, sigmas, tile.column, tile.columns));
      }
    });
    const Bank<A> rows = {filters, tile.rows, y_axis.stride < 0};
    const Bank<A> columns = {filters + tile.rows, tile.columns,
                             x_axis.stride < 0};
    Part part;
    static_cast<Plan&>(part) = plan;
    // Weights that are all in memory are normalised when they are used up.
    const bool scaled = kFilters == 1 && part.whole;
    if (!scaled) {
      Normalise<kFilters>(block, tile.rows + tile.columns, filters, moments);
    }

    const Range support = columns.support();
    const auto next_pixels = [&](int begin) {
      Range next = {begin, support.end};
      if (next.size() <= part.most_pixels) return next;
      const Range taps = columns.taps(columns.FirstAfter(begin));
      next.begin = Max(begin, taps.begin);
      if (part.sparse) next.end = taps.end;
      next.end = Min(next.end, next.begin + part.most_pixels);
      return next;
    };

    Range weighed = {0, 0};
    for (part.group = 0; part.group < part.groups; part.group += kMaxGroups) {
      Range next = part.whole ? support : next_pixels(support.begin);
      for (part.first = true, part.last = false; !part.last;
           part.first = false) {
        part.pixels = next;
        part.length = next.size() * tile.channels;
        part.last = part.whole;
        if (!part.last) {
          next = next_pixels(next.end);
          part.last = next.size() <= 0;
        }
        for (int done = 0; done < part.most_taps; done += part.taps) {
          const bool weigh = done == 0 && weighed.end != part.pixels.end;
          block.Phase([&](int thread) {
            if (thread < kHalf) {
              WeighRows(thread, tile, rows, part, done);
            } else if (weigh) {
              WeighColumns(thread - kHalf, tiling.columns_log, columns, part);
            }
          });
          block.Phase([&](int thread) {
            if (scaled) Scale(thread, tiling.columns_log, tile, rows, part);
            SumUp(thread, shape, tile, image, rows, part, done);
          });
        }
        weighed = part.pixels;
        block.Phase([&](int thread) { use(thread, part); });
      }
    }
  }

  // Calls f(g, number) for the numbers of the tile and groups of rows that a
  // thread is to use. A number meets one thread only.
  template <typename F>
  RATM_DEVICE static void ForNumbers(int thread, const Tile& tile, int groups,
                                     F f) {
    constexpr int kMost = kTileWidth / kWarp;
    static_assert(kMost == 2);
    const int vectors = tile.width() > kWarp ? 2 : 1;
    for (int task = thread / kWarp; task < groups * vectors; task += kWarps) {
      const int g = vectors == 1 ? task : task / 2;
      const int number = (vectors == 1 ? 0 : task % 2 * kWarp) + thread % kWarp;
      if (number < tile.width()) f(g, number);
    }
  }

 private:
  static constexpr int kFinders = 2 * kTileSide;
  static constexpr int kFetchers = 2 * kWarp;
  // Half of the threads weigh rows, and half columns.
  static constexpr int kHalf = kThreads / 2;

  RATM_DEVICE static Plan MakePlan(const Tiling& tiling, const Tile& tile,
                                   const Axis& y, const Axis& x,
                                   double sigmas) {
    // So many taps has a filter at most.
    const auto most_taps = [&](const Axis& axis) {
      return Min(2 * sigmas * axis.sigma() + 3,
                 static_cast<double>(axis.length));
    };
    Plan plan;
    const bool apart = fabs(y.stride) > most_taps(y);
    plan.group_rows = apart ? 1 : kGroupRows;
    plan.groups = CeilDiv(tile.rows, plan.group_rows);
    plan.groups_log = apart ? CeilLog2(kMaxGroups) : tiling.groups_log;
    plan.taps = kRowWeights >> plan.groups_log;
    plan.most_taps = Min(most_taps(y) + (plan.group_rows - 1) * fabs(y.stride),
                         static_cast<double>(y.length));
    plan.most_pixels = (kNumbers >> plan.groups_log) / tile.channels;
    if (most_taps(x) > (kColumnWeights >> tiling.columns_log)) {
      plan.most_pixels =
          Min(plan.most_pixels, kColumnWeights >> tiling.columns_log);
    }
    plan.sparse = fabs(x.stride) > most_taps(x) + kMaxGap;
    const Range pixels =
        Support(x, sigmas * x.sigma(), tile.column, tile.column + tile.columns);
    plan.whole = plan.groups <= kMaxGroups && plan.most_taps <= plan.taps &&
                 most_taps(x) <= (kColumnWeights >> tiling.columns_log) &&
                 pixels.size() <= plan.most_pixels;
    return plan;
  }

  // Pixels of the image that some filters see, give or take one or two.
  RATM_DEVICE static Range About(const Axis& axis, double sigmas, int first,
                                 int filters) {
    const int last = static_cast<int>(axis.length) - 1;
    const float stride = static_cast<float>(axis.stride);
    const float a = static_cast<float>(axis.center) +
                    (first - 0.5f * (axis.size - 1)) * stride;
    const float b = a + (filters - 1) * stride;
    const float reach = static_cast<float>(sigmas * Max(axis.raw_sigma, 0.0));
    const auto pixel = [last](float x) {  // The first one if that is NaN.
      return static_cast<int>(Min(Max(0.0f, x), static_cast<float>(last)));
    };
    return {Min(pixel(Min(a, b) - reach), last),
            Min(pixel(Max(a, b) + reach), last) + 1};
  }

  // Asks for the pixels under the window, and sets the level to the mean of
  // some of them.
  template <typename T>
  RATM_DEVICE void Fetch(int thread, const Shape& shape, const Tile& tile,
                         const T* image, Range rows, Range columns) {
    constexpr int kLine = 128 / sizeof(T);
    const int channels = shape.channels;
    const int64_t row_size = shape.image_row;
    const T* corner = image + rows.begin * row_size + columns.begin * channels;
    const int length = columns.size() * channels;
    for (int h = thread / kLanes; h < rows.size(); h += kFetchers / kLanes) {
      for (int i = thread % kLanes * kLine; i < length; i += kLanes * kLine) {
        Prefetch(corner + h * row_size + i);
      }
    }
    if constexpr (kFilters == 1) return;
    const auto pixel = [](Range range, int i) {
      return range.size() * (2 * i + 1) / (2 * kLevelSide);
    };
    for (int c = thread; c < tile.channels; c += kFetchers) {
      A sum = 0;
      RATM_UNROLL(kLevelSide)
      for (int i = 0; i < kLevelSide; ++i) {
        const T* row = corner + pixel(rows, i) * row_size + tile.channel + c;
        RATM_UNROLL(kLevelSide)
        for (int j = 0; j < kLevelSide; ++j) {
          sum += static_cast<A>(row[pixel(columns, j) * channels]);
        }
      }
      level[c] = sum / (kLevelSide * kLevelSide);
    }
  }

  // Writes the weights of the columns' taps among the pixels, by kHalf threads.
  RATM_DEVICE void WeighColumns(int thread, int log, const Bank<A>& columns,
                                const Part& part) {
    const int m = thread & ((1 << log) - 1);
    if (m >= columns.size) return;
    const Filter<A> filter = columns.filters[m];
    const Range taps = filter.taps & part.pixels;
    const int size = taps.size();
    for (int k = thread >> log; k < size; k += kHalf >> log) {
      A weights[kFilters];
      filter.Weigh(taps.begin + k, weights);
      for (int f = 0; f < kFilters; ++f) {
        column_weights[f][(k << log) + m] = weights[f];
      }
    }
  }

  // Writes the weights of each group's taps, from tap `done` on. By kHalf
  // threads.
  RATM_DEVICE void WeighRows(int thread, const Tile& tile, const Bank<A>& bank,
                             const Part& part, int done) {
    constexpr int kStep = kWarp / kGroupRows;
    const int r = thread % kGroupRows;
    for (int g = thread / kWarp; g < part.size(); g += kHalf / kWarp) {
      const Range rows = part.rows(tile, g);
      const Range taps = bank.support(rows.begin, rows.end);
      const int size = RoundUp(Min(taps.size() - done, part.taps), kBatch);
      Filter<A> filter = bank.filters[Min(rows.begin + r, rows.end - 1)];
      if (r >= rows.size()) filter.taps = {0, 0};
      for (int k = thread % kWarp / kGroupRows; k < size; k += kStep) {
        A weights[kFilters];
        filter.Weigh(taps.begin + done + k, weights);
        for (int f = 0; f < kFilters; ++f) {
          row_weights[g * part.taps + k][f].rows[r] = weights[f];
        }
      }
    }
  }

  // Sets the scales of the filters, all of whose weights are there.
  RATM_DEVICE void Scale(int thread, int log, const Tile& tile,
                         const Bank<A>& rows, const Part& part) {
    // The last warps have the least to do beside.
    const int warp = kWarps - 1 - thread / kWarp;
    const int i = thread % kWarp;
    double sum = 0;
    static_assert(kTileSide == kWarp);
    if (warp == 0 && i < tile.rows) {
      const int g = i / part.group_rows;
      const Range group = part.rows(tile, g);
      const Range taps = filters[i].taps;
      const Group<A>* weights =
          row_weights[g * part.taps + taps.begin -
                      rows.support(group.begin, group.end).begin];
      for (int k = 0; k < taps.size(); ++k) {
        sum += weights[k * kFilters].rows[i - group.begin];
      }
      scales[i] = static_cast<A>(1 / sum);
    } else if (warp == 1 && i < tile.columns) {
      const int taps = filters[tile.rows + i].taps.size();
      for (int k = 0; k < taps; ++k) sum += column_weights[0][(k << log) + i];
      scales[tile.rows + i] = static_cast<A>(1 / sum);
    }
  }

  // Sums up the image rows that these weights are for. A warp takes a group,
  // and some vectors of numbers.
  template <typename T>
  RATM_DEVICE void SumUp(int thread, const Shape& shape, const Tile& tile,
                         const T* image, const Bank<A>& bank, const Part& part,
                         int done) {
    // Vectors are neighbours in the image if the tile has all channels.
    const int most = tile.channels == shape.channels ? kVectors : 1;
    const unsigned vectors = CeilDiv<unsigned, unsigned>(part.length, kWarp);
    const int parts =
        most == 1 ? vectors : CeilDiv(vectors, unsigned{kVectors});
    for (int task = thread / kWarp; task < parts << part.groups_log;
         task += kWarps) {
      const int g = task & ((1 << part.groups_log) - 1);
      const int first = (task >> part.groups_log) * most;
      if (g >= part.size()) continue;
      const Range rows = part.rows(tile, g);
      const Range taps = bank.support(rows.begin, rows.end);
      const int size = Min(taps.size() - done, part.taps);
      if (size <= 0) continue;
      const T* row = image +
                     static_cast<int64_t>(taps.begin + done) * shape.image_row +
                     part.pixels.begin * shape.channels + tile.channel;
      const int number = first * kWarp + thread % kWarp;
      switch (Min(static_cast<int>(vectors) - first, most)) {
        case 1:
          SumUpVectors<1>(shape, tile, row, g, number, part, size, done);
          break;
        case 2:
          SumUpVectors<2>(shape, tile, row, g, number, part, size, done);
          break;
        default:
          SumUpVectors<3>(shape, tile, row, g, number, part, size, done);
      }
    }
  }

  template <int kVectors, typename T>
  RATM_DEVICE void SumUpVectors(const Shape& shape, const Tile& tile,
                                const T* row, int g, int number,
                                const Part& part, int size, int done) {
    // Of the last vector, lanes past the line read its last number.
    constexpr int kLast = (kVectors - 1) * kWarp;
    const int last = Min(number + kLast, part.length - 1);
    const T* from = row + number;
    const T* from_last = row + tile.offset_of(shape, last);
    A base[kVectors] = {};
    if constexpr (kFilters > 1) {
      RATM_UNROLL(kVectors)
      for (int v = 0; v < kVectors; ++v) {
        const int i = v < kVectors - 1 ? number + v * kWarp : last;
        base[v] = level[tile.channel_of(i)];
      }
    }
    Group<A> sums[kFilters][kVectors] = {};
    const Group<A>* weights = row_weights[g * part.taps];
    const int64_t row_size = shape.image_row;
    const auto add = [&](auto all, int taps) {
      A pixels[kBatch][kVectors];
      RATM_UNROLL(kBatch)
      for (int j = 0; j < kBatch; ++j) {
        RATM_UNROLL(kVectors)
        for (int v = 0; v < kVectors; ++v) {
          const T* x = v < kVectors - 1 ? from + v * kWarp : from_last;
          pixels[j][v] = static_cast<A>(*x) - base[v];
        }
        // Past the last tap, where weights are zero, it is read again.
        if (decltype(all)::value || j + 1 < taps) {
          from += row_size;
          from_last += row_size;
        }
      }
      RATM_UNROLL(kBatch)
      for (int j = 0; j < kBatch; ++j, weights += kFilters) {
        RATM_UNROLL(kFilters)
        for (int f = 0; f < kFilters; ++f) {
          const Group<A> weight = weights[f];
          RATM_UNROLL(kVectors)
          for (int v = 0; v < kVectors; ++v) {
            sums[f][v].Add(pixels[j][v], weight);
          }
        }
      }
    };
    int k = 0;
    RATM_UNROLL(1)
    for (; k + kBatch <= size; k += kBatch) add(std::true_type(), kBatch);
    if (k < size) add(std::false_type(), size - k);
    RATM_UNROLL(kVectors)
    for (int v = 0; v < kVectors; ++v) {
      const int i = number + v * kWarp;
      if (i >= part.length) break;
      RATM_UNROLL(kFilters)
      for (int f = 0; f < kFilters; ++f) {
        Group<A>* line = &numbers[f][g * part.length];
        if (done > 0) sums[f][v].Add(1, line[i]);
        line[i] = sums[f][v];
      }
    }
  }
};

}  // namespace blocks
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_LINES_H_
