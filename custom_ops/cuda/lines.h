// The image rows summed up for the rows of a glimpse.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_LINES_H_
#define RATM_TF_CUSTOM_OPS_CUDA_LINES_H_

#include <cstdint>
#include <type_traits>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/projection.h"
#include "custom_ops/cuda/tiles.h"
#include "custom_ops/glimpse.h"

namespace ratm {
namespace blocks {

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
struct Lines : Located<A> {
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / kWarp;

  // Of a float there is room for so many, of a double for half as many.
  static constexpr int kFloats = sizeof(A) / sizeof(float);
  static constexpr int kNumbers = (kFilters == 1 ? 1024 : 672) / kFloats;
  static constexpr int kRowWeights = 256 / kFloats;
  static constexpr int kColumnWeights = 768 / kFloats;
  static constexpr int kTaps = kGroupRows;

  using Located<A>::filters;
  using Located<A>::scales;
  using Located<A>::level;
  using Located<A>::plan;

  Range spans[kMaxGroups];  // The image rows that a group's weights are for.
  Group<A> row_weights[kRowWeights][kFilters];  // By group, then by tap.
  // By kTaps taps, then by column, then by tap.
  Group<A> column_weights[kFilters][kColumnWeights / kTaps];
  Group<A> sums[2 * kTileSide];  // Of the weights, by lane.
  union {
    Moments<kFilters> moments[2 * kTileSide];
    Group<A> numbers[kFilters][kNumbers];  // By group, then by number.
  };

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

  // Finds the filters, and plans.
  template <typename Block, typename T>
  RATM_DEVICE void Locate(const Block& block, const Shape& shape,
                          const Tiling& tiling, const Tile& tile,
                          const T* image, const A* window) {
    const Axis x_axis = XAxis(shape, window);
    const Axis y_axis = YAxis(shape, window);
    const double sigmas =
        kFilters == 1 ? Precision<A>::kReach : Precision<A>::kDerivativeReach;
    block.Phase([&](int thread) {
      // Some warps find the filters, others ask for the pixels.
      if (thread < kFinders) {
        tile.Locate(thread, y_axis, x_axis, sigmas, filters);
        scales[thread] = 1;
      } else if (thread < kFinders + kFetchers) {
        if (thread == kFinders) {
          plan = MakePlan(shape, tiling, tile, y_axis, x_axis, sigmas);
        }
        Fetch(thread - kFinders, shape, tile, image,
              About(y_axis, sigmas, tile.row, tile.rows),
              About(x_axis, sigmas, tile.column, tile.columns));
      }
    });
  }

  // Calls use(thread, part) for all parts of a tile, which is located.
  template <typename Block, typename T, typename Use>
  RATM_DEVICE void Read(const Block& block, const Shape& shape,
                        const Tiling& tiling, const Tile& tile, const T* image,
                        const A* window, Use use) {
    const Bank<A> rows = {filters, tile.rows, window[kStrideY] < 0};
    const Bank<A> columns = {filters + tile.rows, tile.columns,
                             window[kStrideX] < 0};
    Part part;
    static_cast<Plan&>(part) = plan;
    const Range support = columns.support();
    // Weighs the taps of all groups from `done` on, and sums up their rows.
    const auto sum_up = [&](bool weigh_columns, int done) {
      block.Phase([&](int thread) {
        WeighRows(thread, tile, rows, part, done);
        if (weigh_columns) {
          WeighColumns(thread, tiling.columns_log, tile, columns, part);
        }
      });
      block.Phase([&](int thread) {
        if (kFilters == 1 && part.whole) Scale(thread, tile);
        SumUp(thread, shape, tile, image, part, done);
      });
    };
    if (kFilters == 1 && part.whole) {
      // Weights that are all in memory are normalised when they are used up.
      part.group = 0;
      part.first = part.last = true;
      part.pixels = Widen(support, shape, tile, part);
      part.length = part.pixels.size() * tile.channels;
      sum_up(true, 0);
      block.Phase([&](int thread) { use(thread, part); });
      return;
    }
    Normalise<kFilters>(block, tile.rows + tile.columns, filters, moments);

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
      Range next = next_pixels(support.begin);
      for (part.first = true, part.last = false; !part.last;
           part.first = false) {
        part.pixels = next;
        part.length = next.size() * tile.channels;
        next = next_pixels(next.end);
        part.last = next.size() <= 0;
        for (int done = 0; done < part.most_taps; done += part.taps) {
          sum_up(done == 0 && weighed.end != part.pixels.end, done);
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

  RATM_DEVICE static Plan MakePlan(const Shape& shape, const Tiling& tiling,
                                   const Tile& tile, const Axis& y,
                                   const Axis& x, double sigmas) {
    // So many taps has a filter at most.
    const auto most_taps = [&](const Axis& axis) {
      return Min(2 * sigmas * axis.sigma() + 3,
                 static_cast<double>(axis.length));
    };
    Plan plan;
    plan.whole =
        kFilters > 1 && Projection<A>::Holds(shape, tile, y, x, sigmas);
    if (plan.whole) return plan;
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
    if (kFilters > 1) return plan;
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
    constexpr int kRows = kFetchers / kLanes;
    RATM_UNROLL(1)
    for (int i = thread % kLanes * kLine; i < length; i += kLanes * kLine) {
      const T* line = corner + thread / kLanes * row_size + i;
      RATM_UNROLL(1)
      for (int h = thread / kLanes; h < rows.size(); h += kRows) {
        Prefetch(line);
        line += kRows * row_size;
      }
    }
    if constexpr (kFilters == 1) return;
    // From the pixel before, or from the first one.
    const auto step = [](Range range, int i) {
      const auto pixel = [&](int i) {
        return range.size() * (2 * i + 1) / (2 * kLevelSide);
      };
      return i > 0 ? pixel(i) - pixel(i - 1) : pixel(0);
    };
    for (int c = thread; c < tile.channels; c += kFetchers) {
      A sum = 0;
      const T* row = corner + tile.channel + c;
      RATM_UNROLL(kLevelSide)
      for (int i = 0; i < kLevelSide; ++i) {
        row += step(rows, i) * row_size;
        const T* from = row;
        RATM_UNROLL(kLevelSide)
        for (int j = 0; j < kLevelSide; ++j) {
          from += step(columns, j) * channels;
          sum += static_cast<A>(*from);
        }
      }
      level[c] = sum / (kLevelSide * kLevelSide);
    }
  }

  // As many pixels of a row as make whole vectors, where there are so many.
  RATM_DEVICE static Range Widen(Range pixels, const Shape& shape,
                                 const Tile& tile, const Plan& plan) {
    const int size = RoundUp(pixels.size(), kWarp);
    if (tile.channels > 1 || size > Min(shape.width, plan.most_pixels)) {
      return pixels;
    }
    const int begin = Min(pixels.begin, shape.width - size);
    return {begin, begin + size};
  }

  // Calls write(k, weights) for every kLanes-th weight of a filter, from the
  // lane's on, of pixel first + k, up to k = size. Returns the sum of the first
  // filter's.
  template <typename Write>
  RATM_DEVICE static A Weigh(const Filter<A>& filter, int first, int lane,
                             int size, Write write) {
    A sum = 0;
    A t = filter.t(first + lane);
    RATM_UNROLL(1)
    for (int k = lane; k < size; k += kLanes, t += kLanes) {
      A weights[kFilters];
      filter.Weigh(first + k, t, weights);
      write(k, weights);
      sum += weights[0];
    }
    return sum;
  }

  // Writes the weights of the columns' taps among the pixels.
  RATM_DEVICE void WeighColumns(int thread, int log, const Tile& tile,
                                const Bank<A>& columns, const Part& part) {
    static_assert(kThreads == kTileSide * kLanes && kLanes == kTaps);
    const int m = thread / kLanes, lane = thread % kLanes;
    if (m >= columns.size) return;
    const Filter<A> filter = columns.filters[m];
    const Range taps = filter.taps & part.pixels;
    Group<A>* to = &column_weights[0][m];
    sums[tile.rows + m].rows[lane] =
        Weigh(filter, taps.begin, lane, taps.size(),
              [&](int, const A(&weights)[kFilters]) {
                for (int f = 0; f < kFilters; ++f) {
                  to[f * kColumnWeights / kTaps].rows[lane] = weights[f];
                }
                to += 1 << log;
              });
  }

  // Writes the weights of each group's taps, from tap `done` on.
  RATM_DEVICE void WeighRows(int thread, const Tile& tile, const Bank<A>& bank,
                             const Part& part, int done) {
    static_assert(kThreads == kMaxGroups * kGroupRows * kLanes);
    const int lane = thread % kLanes;
    const int r = thread / kLanes % kGroupRows;
    const int g = thread / kLanes / kGroupRows;
    if (g >= part.size()) return;
    const Range rows = part.rows(tile, g);
    Range taps = bank.support(rows.begin, rows.end);
    taps.begin += done;
    taps.end = Min(taps.end, taps.begin + part.taps);
    if (r == 0 && lane == 0) spans[g] = taps;
    const int i = rows.begin + r;
    Filter<A> filter = bank.filters[Min(i, rows.end - 1)];
    if (i >= rows.end) filter.taps = {0, 0};
    Group<A>* to = row_weights[g * part.taps + lane];
    const A sum = Weigh(filter, taps.begin, lane, RoundUp(taps.size(), kBatch),
                        [&](int, const A(&weights)[kFilters]) {
                          for (int f = 0; f < kFilters; ++f) {
                            to[f].rows[r] = weights[f];
                          }
                          to += kLanes * kFilters;
                        });
    if (i < rows.end) sums[i].rows[lane] = sum;
  }

  // Sets the scales of the filters, all of whose weights are there.
  RATM_DEVICE void Scale(int thread, const Tile& tile) {
    // The last warps have the least to do beside.
    const int i = kThreads - 1 - thread;
    if (i >= tile.rows + tile.columns) return;
    const Group<A> sum = sums[i];
    scales[i] = 1 / ((sum.rows[0] + sum.rows[1]) + (sum.rows[2] + sum.rows[3]));
  }

  // Sums up the image rows that these weights are for. A warp takes a group,
  // and some vectors of numbers.
  template <typename T>
  RATM_DEVICE void SumUp(int thread, const Shape& shape, const Tile& tile,
                         const T* image, const Part& part, int done) {
    // Vectors are neighbours in the image if the tile has all channels.
    const int most = tile.channels == shape.channels ? kVectors : 1;
    const int64_t row_size = shape.image_row;
    const T* corner = image + part.pixels.begin * shape.channels + tile.channel;
    const unsigned vectors = CeilDiv<unsigned, unsigned>(part.length, kWarp);
    const int parts =
        most == 1 ? vectors : CeilDiv(vectors, unsigned{kVectors});
    for (int task = thread / kWarp; task < parts << part.groups_log;
         task += kWarps) {
      const int g = task & ((1 << part.groups_log) - 1);
      const int first = (task >> part.groups_log) * most;
      if (g >= part.size()) continue;
      const Range taps = spans[g];
      const int size = taps.size();
      if (size <= 0) continue;
      const T* row = corner + static_cast<int64_t>(taps.begin) * row_size;
      const int number = first * kWarp + thread % kWarp;
      const auto sum_up = [&](auto vectors, auto full) {
        SumUpVectors<decltype(vectors)::value, decltype(full)::value>(
            shape, tile, row, g, number, part, size, done);
      };
      using std::integral_constant;
      const int here = Min(static_cast<int>(vectors) - first, most);
      if (here == 1) {
        sum_up(integral_constant<int, 1>(), std::false_type());
      } else if (here == 2) {
        sum_up(integral_constant<int, 2>(), std::false_type());
      } else if (part.length % kWarp > 0) {
        sum_up(integral_constant<int, 3>(), std::false_type());
      } else {
        sum_up(integral_constant<int, 3>(), std::true_type());
      }
    }
  }

  template <int kVectors, bool kFull, typename T>
  RATM_DEVICE void SumUpVectors(const Shape& shape, const Tile& tile,
                                const T* row, int g, int number,
                                const Part& part, int size, int done) {
    // Of the last vector, lanes past the line read its last number; a full one
    // has none.
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
          const T* x = kFull || v < kVectors - 1 ? from + v * kWarp : from_last;
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
      if (!kFull && i >= part.length) break;
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
