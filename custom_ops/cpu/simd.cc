// Compiled with RATM_SIMD=generic|avx2|avx512 and the matching flags. All that
// is defined here, or in a header included here, must be private to that
// namespace: the linker merges equal inline functions of different objects, and
// a machine without AVX-512 must not be handed the AVX-512 one. Hence no
// containers or algorithms of the standard library.

#include "custom_ops/cpu/simd.h"

#include <math.h>
#include <string.h>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/banded.h"
#include "custom_ops/cpu/correlation.h"
#include "custom_ops/cpu/filters.h"
#include "custom_ops/cpu/inverted_residual.h"
#include "custom_ops/cpu/recurrence.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/vector.h"
#include "custom_ops/types.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

// The pixels of an image under the columns of a window, in runs of neighbours
// that some column sees. A run has those around it, too, that make its rows
// whole vectors, aligned with the image's rows if they can be. Where runs start
// depends on the window and the image's shape alone, as the sums over a row do
// not have the same bits from elsewhere.
template <typename T>
class Pixels {
 public:
  typedef ComputeType<T> A;
  static constexpr int kCount = Lanes<A>::kCount;

  struct Run {
    int64_t from;    // Where it starts in a row of the image,
    int64_t to;      // and in a line, which has all runs side by side.
    int64_t length;  // Numbers, at least a vector of them.
    // Those of its first column among all numbers of columns, and in the run.
    int64_t column;
    int64_t begin;
    int64_t size;
  };

  // Fewer pixels that no column sees than this do not part a run.
  static int64_t Gap(const GlimpseShape& shape) {
    return CeilDiv(2 * kCount, shape.channels);
  }

  void Read(const GlimpseShape& shape, const T* image,
            const FilterBank<A>& columns, const FilterBank<A>& rows,
            Scratch* scratch) {
    columns_ = &columns;
    rows_ = &rows;
    channels_ = shape.channels;
    image_ = {image, 0, shape.width * shape.channels};
    runs_ = New<Run>(scratch, columns.run_count());
    line_stride_ = 0;
    for (int64_t r = 0; r < run_count(); ++r) {
      Run& run = runs_[r];
      run.begin = columns.run(r).pixels.begin * channels_;
      run.size = columns.run(r).pixels.size() * channels_;
      run.column =
          (columns.run(r).packed - columns.support().begin) * channels_;
      run.from = run.begin;
      if (image_.stride % kCount == 0) run.from -= run.from % kCount;
      const int64_t end =
          Min(run.from + RoundUp(run.begin + run.size - run.from, kCount),
              image_.stride);
      run.from = Max(Min(run.from, end - kCount), int64_t{0});
      run.begin -= run.from;
      run.length = Max<int64_t>(end - run.from, kCount);
      run.to = line_stride_;
      line_stride_ += RoundUp(run.length, kCount);
    }
    copied_ = image_.stride < kCount;
    if (copied_) Copy([](int64_t) { return true; }, scratch);
  }

  int64_t run_count() const { return columns_->run_count(); }
  const Run& run(int64_t r) const { return runs_[r]; }

  // From one line to the next.
  int64_t line_stride() const { return line_stride_; }

  // Calls f(matrix, run) for the rows of the image in each run.
  template <typename F>
  void Visit(F f) const {
    for (int64_t r = 0; r < run_count(); ++r) {
      if (copied_) {
        f(copy_.from(runs_[r].to), runs_[r]);
      } else {
        f(image_.from(runs_[r].from), runs_[r]);
      }
    }
  }

  // Puts zeros where no Gaussian sees a pixel: zero times what stands there may
  // be NaN.
  void HideUnseen(Scratch* scratch) {
    bool* const seen =
        NewZeroed<bool>(scratch, columns_->support().size() * channels_);
    for (int64_t i = 0; i < columns_->size(); ++i) {
      const Range taps = columns_->taps(i);
      memset(seen + (taps.begin - columns_->support().begin) * channels_, true,
             taps.size() * channels_);
    }
    Copy([&](int64_t j) { return seen[j]; }, scratch);
    copied_ = true;
  }

 private:
  // Copies the rows that some Gaussian sees, with zeros where `seen` says false
  // of a number of a column, and around the columns.
  template <typename F>
  void Copy(F seen, Scratch* scratch) {
    A* to = NewZeroed<A>(scratch, rows_->support().size() * line_stride_);
    copy_ = {to, rows_->support().begin, line_stride_};
    for (int64_t r = 0; r < rows_->run_count(); ++r) {
      const Range rows = rows_->run(r).pixels;
      for (int64_t h = rows.begin; h < rows.end; ++h, to += line_stride_) {
        for (int64_t k = 0; k < run_count(); ++k) {
          const Run& run = runs_[k];
          const T* from = image_.row(h) + run.from + run.begin;
          for (int64_t j = 0; j < run.size; ++j) {
            if (seen(run.column + j)) {
              to[run.to + run.begin + j] = ToCompute(from[j]);
            }
          }
        }
      }
    }
  }

  const FilterBank<A>* columns_;
  const FilterBank<A>* rows_;
  int64_t channels_, line_stride_;
  bool copied_;
  Run* runs_;
  Matrix<const T> image_;
  Matrix<const A> copy_;
};

// Adds to the sums of a window what the rows of one of its banks, from `first`
// on, say of their mu and sigma.
void AddAxis(const double* by_mu, const double* by_sigma, const Axis& axis,
             int64_t first, int64_t size, double* center, double* sigma,
             double* stride) {
  double all_by_sigma = 0;
  for (int64_t i = 0; i < size; ++i) {
    *center += by_mu[i];
    *stride += axis.step(first + i) * by_mu[i];
    all_by_sigma += by_sigma[i];
  }
  if (!axis.sigma_is_floor()) *sigma += all_by_sigma;
}

bool AreFinite(const double* numbers, int64_t size) {
  double product = 0;
  for (int64_t i = 0; i < size; ++i) product *= numbers[i];
  return product == 0;
}

// Some rows of one glimpse on their way through both passes. After each pass
// the numbers are transposed: `across` matrices have those of all the glimpse
// rows side by side, for each channel of a column. So the X pass is the same
// product as the Y pass, and knows nothing of channels.
template <typename T>
class Passes {
 public:
  typedef ComputeType<T> A;

  explicit Passes(Scratch* scratch) : scratch_(scratch), top_(scratch->top) {}

  // The Y pass, for rows [first, first + size) of the glimpse of a window.
  void Read(const GlimpseShape& shape, const T* images, const A* windows,
            int64_t index, int64_t first, int64_t size, bool derivatives) {
    shape_ = shape;
    first_ = first;
    lanes_ = RoundUp(size, Lanes<A>::kCount);
    x_ = XAxis(shape, windows + index * kWindowSize);
    y_ = YAxis(shape, windows + index * kWindowSize);
    if (index != index_) {
      scratch_->top = top_;
      columns_.Build(x_, 0, shape.columns, derivatives, Pixels<T>::Gap(shape),
                     scratch_);
      index_ = index;
      columns_top_ = scratch_->top;
    }
    scratch_->top = columns_top_;
    rows_.Build(y_, first, size, derivatives, kRowGap, scratch_);
    const int64_t image_size = shape.height * shape.width * shape.channels;
    pixels_.Read(shape, images + index / shape.count * image_size, columns_,
                 rows_, scratch_);
    lines_ = New<A>(scratch_, size * line_stride());
    pixels_.Visit([&](const auto& image, const auto& run) {
      Multiply(rows_, image, run.length,
               Matrix<A>{lines_ + run.to, 0, line_stride()}, scratch_);
    });
    lines_across_ =
        New<A>(scratch_, columns_.support().size() * column_stride());
    for (int64_t r = 0; r < pixels_.run_count(); ++r) {
      const auto& run = pixels_.run(r);
      Transpose<true>(lines_ + run.to + run.begin, line_stride(), size,
                      run.size, lines_across_ + run.column * lanes_, lanes_);
    }
  }

  // The X pass, whose result is the glimpse.
  void WriteGlimpse(GlimpseType<T>* glimpse) {
    const int64_t row_size = shape_.columns * shape_.channels;
    A* across = New<A>(scratch_, row_size * lanes_);
    Multiply(columns_, LinesAcross(), column_stride(),
             Matrix<A>{across, 0, column_stride()}, scratch_);
    Transpose<false>(across, lanes_, row_size, rows_.size(), glimpse, row_size);
  }

  // Adds the gradient with respect to the window, given that of the glimpse.
  void AddWindowGrad(const GlimpseType<T>* grad, double* sum) {
    const int64_t row_size = shape_.columns * shape_.channels;
    A* across = New<A>(scratch_, row_size * lanes_);
    Transpose<true>(grad, row_size, rows_.size(), row_size, across, lanes_);
    const Matrix<const A> grad_across = {across, 0, column_stride()};

    // The derivatives of F_X, against grad and the lines.
    double* by_mu = NewZeroed<double>(scratch_, columns_.size());
    double* by_sigma = NewZeroed<double>(scratch_, columns_.size());
    Contract(columns_, grad_across, LinesAcross(), column_stride(), by_mu,
             by_sigma, scratch_);
    AddAxis(by_mu, by_sigma, x_, 0, columns_.size(), &sum[kCenterX],
            &sum[kSigmaX], &sum[kStrideX]);

    // The derivatives of F_Y, against the gradient of the lines and the image.
    const A* grad_lines = GradLines(grad_across);
    by_mu = NewZeroed<double>(scratch_, rows_.size());
    by_sigma = NewZeroed<double>(scratch_, rows_.size());
    ContractRows(grad_lines, by_mu, by_sigma);
    if (!AreFinite(by_mu, rows_.size()) || !AreFinite(by_sigma, rows_.size())) {
      pixels_.HideUnseen(scratch_);
      memset(by_mu, 0, rows_.size() * sizeof(double));
      memset(by_sigma, 0, rows_.size() * sizeof(double));
      ContractRows(grad_lines, by_mu, by_sigma);
    }
    AddAxis(by_mu, by_sigma, y_, first_, rows_.size(), &sum[kCenterY],
            &sum[kSigmaY], &sum[kStrideY]);
  }

 private:
  // Rows of pixels that are not converted are read where they are.
  static constexpr int64_t kRowGap =
      std::is_same_v<T, A> ? FilterBank<A>::kNoGaps : 2;

  int64_t line_stride() const { return pixels_.line_stride(); }

  // From one column to the next of `across` matrices.
  int64_t column_stride() const { return shape_.channels * lanes_; }

  Matrix<const A> LinesAcross() const {
    return {lines_across_, columns_.support().begin, column_stride()};
  }

  // The gradient with respect to the lines, in their place.
  const A* GradLines(const Matrix<const A>& grad_across) {
    const Range all = columns_.support();
    A* across = New<A>(scratch_, all.size() * column_stride());
    MultiplyTransposed<false>(columns_, all, grad_across, column_stride(),
                              Matrix<A>{across, all.begin, column_stride()});
    memset(lines_, 0, rows_.size() * line_stride() * sizeof(A));
    for (int64_t r = 0; r < pixels_.run_count(); ++r) {
      const auto& run = pixels_.run(r);
      Transpose<false>(across + run.column * lanes_, lanes_, run.size,
                       rows_.size(), lines_ + run.to + run.begin,
                       line_stride());
    }
    return lines_;
  }

  void ContractRows(const A* grad_lines, double* by_mu, double* by_sigma) {
    pixels_.Visit([&](const auto& image, const auto& run) {
      Contract(rows_, Matrix<const A>{grad_lines + run.to, 0, line_stride()},
               image, run.length, by_mu, by_sigma, scratch_);
    });
  }

  Scratch* const scratch_;
  const Scratch::Top top_;
  Scratch::Top columns_top_;  // Above the bank of the columns.
  GlimpseShape shape_;
  int64_t index_ = -1;
  int64_t first_;
  int64_t lanes_;  // The glimpse rows, padded to whole vectors.
  Axis x_, y_;
  FilterBank<A> columns_, rows_;
  Pixels<T> pixels_;
  A *lines_, *lines_across_;
};

}  // namespace

template <typename T>
void Glimpse(const GlimpseShape& shape, const T* images,
             const ComputeType<T>* window, GlimpseType<T>* glimpses,
             int64_t begin, int64_t end, Scratch* scratch) {
  const int64_t blocks = CeilDiv(shape.rows, kGlimpseRows);
  const int64_t row_size = shape.columns * shape.channels;
  Passes<T> passes(scratch);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t index = unit / blocks;
    const int64_t first = unit % blocks * kGlimpseRows;
    const int64_t size = Min(kGlimpseRows, shape.rows - first);
    GlimpseType<T>* glimpse =
        glimpses + (index * shape.rows + first) * row_size;
    if (IsFinite(window + index * kWindowSize)) {
      passes.Read(shape, images, window, index, first, size, false);
      passes.WriteGlimpse(glimpse);
    } else {
      for (int64_t i = 0; i < size * row_size; ++i) {
        FromCompute(static_cast<ComputeType<T>>(NAN), glimpse + i);
      }
    }
  }
}

template <typename T>
void GradWindow(const GlimpseShape& shape, const T* images,
                const ComputeType<T>* window, const GlimpseType<T>* grad,
                double* sums, int64_t begin, int64_t end, Scratch* scratch) {
  const int64_t blocks = CeilDiv(shape.rows, kGlimpseRows);
  const int64_t row_size = shape.columns * shape.channels;
  Passes<T> passes(scratch);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t index = unit / blocks;
    const int64_t first = unit % blocks * kGlimpseRows;
    const int64_t size = Min(kGlimpseRows, shape.rows - first);
    const bool finite = IsFinite(window + index * kWindowSize);
    double* sum = sums + unit * kWindowSize;
    for (int i = 0; i < kWindowSize; ++i) sum[i] = finite ? 0 : NAN;
    if (!finite) continue;
    passes.Read(shape, images, window, index, first, size, true);
    passes.AddWindowGrad(grad + (index * shape.rows + first) * row_size, sum);
  }
}

namespace {

// What windows add to a tile of the gradient of an image: sums, which are the
// gradient itself if that has their type.
template <typename T>
class GradTile {
 public:
  typedef ComputeType<T> A;

  GradTile(const GlimpseShape& shape, T* images_grad, int64_t unit,
           Scratch* scratch)
      : shape_(shape), scratch_(scratch) {
    const int64_t tile_pixels = ImageTilePixels(shape);
    const int64_t tiles_x = CeilDiv(shape.width, tile_pixels);
    const int64_t tiles_y = CeilDiv(shape.height, kImageTileRows);
    const int64_t y = unit / tiles_x % tiles_y * kImageTileRows;
    const int64_t x = unit % tiles_x * tile_pixels;
    image_ = unit / (tiles_x * tiles_y);
    rows_ = {y, Min(y + kImageTileRows, shape.height)};
    pixels_ = {x, Min(x + tile_pixels, shape.width)};
    numbers_ = pixels_.size() * shape.channels;
    const int64_t row_size = shape.width * shape.channels;
    out_ = {images_grad + image_ * shape.height * row_size + x * shape.channels,
            0, row_size};
  }

  int64_t image() const { return image_; }

  // Writes what all windows of the image add.
  void Write(const A* windows, const T* grad) {
    const Scratch::Top top = scratch_->top;
    int64_t* const seeing = New<int64_t>(scratch_, shape_.count);
    int64_t count = 0;
    Range touched = {rows_.end, rows_.begin};
    for (int64_t k = 0; k < shape_.count; ++k) {
      const A* window = windows + k * kWindowSize;
      if (!IsFinite(window)) continue;
      const Range rows = Seen(YAxis(shape_, window)) & rows_;
      const Range pixels = Seen(XAxis(shape_, window)) & pixels_;
      if (rows.size() <= 0 || pixels.size() <= 0) continue;
      touched = {Min(touched.begin, rows.begin), Max(touched.end, rows.end)};
      seeing[count++] = k;
    }
    for (int64_t h = rows_.begin; h < rows_.end; ++h) {
      if (kInPlace || !touched.contains(h)) {
        memset(static_cast<void*>(out_.row(h)), 0, numbers_ * sizeof(T));
      }
    }
    if (count > 0) Add(windows, grad, seeing, count, touched);
    scratch_->top = top;
  }

 private:
  typedef FilterBank<A> Bank;
  static constexpr int kCount = Lanes<A>::kCount;
  static constexpr bool kInPlace = std::is_same_v<T, A>;

  // The pixels of an axis that a window sees, and maybe a few more.
  static Range Seen(const Axis& axis) {
    return Support<int64_t>(axis, Precision<A>::kReach * axis.sigma(), 0,
                            axis.size);
  }

  void Add(const A* windows, const T* grad, const int64_t* seeing,
           int64_t count, Range touched) {
    const int64_t glimpse_size = shape_.rows * shape_.columns * shape_.channels;
    const bool in_place = kInPlace && numbers_ >= kCount;
    Matrix<A> sums;
    if constexpr (kInPlace) sums = out_;
    if (!in_place) {
      const int64_t stride = RoundUp(numbers_, kCount);
      sums = {NewZeroed<A>(scratch_, touched.size() * stride), touched.begin,
              stride};
    }
    for (int64_t s = 0; s < count; ++s) {
      const Scratch::Top top = scratch_->top;
      AddWindow(windows + seeing[s] * kWindowSize,
                grad + seeing[s] * glimpse_size, sums);
      scratch_->top = top;
    }
    if (in_place) return;
    for (int64_t h = touched.begin; h < touched.end; ++h) {
      for (int64_t j = 0; j < numbers_; j += kCount) {
        StoreLanes<A>(out_.row(h) + j, Load(sums.row(h) + j),
                      Min<int64_t>(kCount, numbers_ - j));
      }
    }
  }

  void AddWindow(const A* window, const T* grad, const Matrix<A>& sums) {
    const int64_t channels = shape_.channels;
    const int64_t row_size = shape_.columns * channels;
    Bank columns, rows;
    columns.Build(XAxis(shape_, window), 0, shape_.columns, false,
                  Pixels<A>::Gap(shape_), scratch_);
    rows.Build(YAxis(shape_, window), 0, shape_.rows, false, Bank::kNoGaps,
               scratch_);
    int64_t first = shape_.rows, last = 0;
    for (int64_t i = 0; i < shape_.rows; ++i) {
      if (!rows.taps(i).overlaps(rows_)) continue;
      first = Min(first, i);
      last = Max(last, i + 1);
    }
    if (first >= last) return;
    const int64_t lanes = RoundUp(last - first, kCount);
    const int64_t column_stride = channels * lanes;
    A* const grad_across = New<A>(scratch_, row_size * lanes);
    Transpose<true>(grad + first * row_size, row_size, last - first, row_size,
                    grad_across, lanes);
    for (int64_t r = 0; r < columns.run_count(); ++r) {
      const auto& run = columns.run(r);
      const Range pixels = run.pixels & pixels_;
      if (pixels.size() <= 0) continue;
      const int64_t packed = run.packed - run.pixels.begin;
      const int64_t numbers = pixels.size() * channels;
      A* const lines_across = New<A>(scratch_, numbers * lanes);
      MultiplyTransposed<false>(
          columns, {pixels.begin + packed, pixels.end + packed},
          Matrix<const A>{grad_across, 0, column_stride}, column_stride,
          Matrix<A>{lines_across, pixels.begin + packed, column_stride});
      // At least a vector of numbers, within the tile if that has so many.
      const int64_t at = (pixels.begin - pixels_.begin) * channels;
      const int64_t length = Max<int64_t>(numbers, kCount);
      const int64_t begin = Max(Min(at, numbers_ - length), int64_t{0});
      const int64_t stride = RoundUp(length, kCount);
      A* const lines = NewZeroed<A>(scratch_, (last - first) * stride);
      Transpose<false>(lines_across, lanes, numbers, last - first,
                       lines + at - begin, stride);
      MultiplyTransposed<true>(rows, rows.support() & rows_,
                               Matrix<const A>{lines, first, stride}, length,
                               sums.from(begin));
    }
  }

  const GlimpseShape& shape_;
  Scratch* const scratch_;
  int64_t image_, numbers_;
  Range rows_, pixels_;
  Matrix<T> out_;
};

}  // namespace

template <typename T>
void GradImages(const GlimpseShape& shape, const ComputeType<T>* window,
                const T* grad, T* images_grad, int64_t begin, int64_t end,
                Scratch* scratch) {
  const int64_t glimpse_size = shape.rows * shape.columns * shape.channels;
  for (int64_t unit = begin; unit < end; ++unit) {
    GradTile<T> tile(shape, images_grad, unit, scratch);
    const int64_t first = tile.image() * shape.count;
    tile.Write(window + first * kWindowSize, grad + first * glimpse_size);
  }
}

#define RATM_INSTANTIATE(_, T, ...)                                         \
  template void Glimpse<T>(const GlimpseShape&, const T*,                   \
                           const ComputeType<T>*, GlimpseType<T>*, int64_t, \
                           int64_t, Scratch*);                              \
  template void GradWindow<T>(const GlimpseShape&, const T*,                \
                              const ComputeType<T>*, const GlimpseType<T>*, \
                              double*, int64_t, int64_t, Scratch*);
#define RATM_INSTANTIATE_FLOATING(_, T, ...)                              \
  RATM_INSTANTIATE(_, T)                                                  \
  template void GradImages<T>(const GlimpseShape&, const ComputeType<T>*, \
                              const T*, T*, int64_t, int64_t, Scratch*);
RATM_TYPES(RATM_INSTANTIATE, RATM_INSTANTIATE_FLOATING)

#define RATM_INSTANTIATE_RECURRENCE(T)                                      \
  template void Recurrence<T>(const RecurrenceShape&,                       \
                              const RecurrenceArrays<T>&, int64_t, int64_t, \
                              Scratch*);                                    \
  template void RecurrenceGrad<T>(const RecurrenceShape&,                   \
                                  const RecurrenceGradArrays<T>&, int64_t,  \
                                  int64_t, Scratch*);                       \
  template void RecurrenceWeightGrad<T>(const RecurrenceShape&,             \
                                        const RecurrenceGradArrays<T>&,     \
                                        int64_t, int64_t, Scratch*);
RATM_INSTANTIATE_RECURRENCE(uint8_t)
RATM_INSTANTIATE_RECURRENCE(float)

}  // namespace RATM_SIMD
}  // namespace ratm
