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
#include "custom_ops/cpu/filters.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/vector.h"
#include "custom_ops/types.h"

namespace ratm {
namespace RATM_SIMD {
namespace {

// The pixels of an image under the columns of a window, with those around them
// that make the rows whole vectors, aligned with the image's rows if they can
// be. Where they start depends on the window and the image's shape alone, as
// the sums over a row do not have the same bits from elsewhere.
template <typename T>
class Pixels {
 public:
  typedef ComputeType<T> A;
  static constexpr int kCount = Lanes<A>::kCount;

  void Read(const GlimpseShape& shape, const T* image, Range columns,
            Range rows, Scratch* scratch) {
    columns_ = columns;
    rows_ = rows;
    channels_ = shape.channels;
    begin_ = columns.begin * shape.channels;
    size_ = columns.size() * shape.channels;
    const int64_t stride = shape.width * shape.channels;
    int64_t begin = stride % kCount == 0 ? begin_ / kCount * kCount : begin_;
    const int64_t end =
        Min(begin + RoundUp(begin_ + size_ - begin, kCount), stride);
    begin = Max(Min(begin, end - kCount), int64_t{0});
    begin_ -= begin;
    length_ = end - begin;
    image_ = {image + begin, 0, stride};
    copied_ = length_ < kCount;
    if (copied_) Copy([](int64_t) { return true; }, scratch);
  }

  // The numbers in each row, at least a vector of them.
  int64_t length() const { return Max<int64_t>(length_, kCount); }

  // Of those, the ones under the window.
  Range columns() const { return columns_; }
  int64_t begin() const { return begin_; }
  int64_t size() const { return size_; }

  // Calls f(matrix) for the rows of the image.
  template <typename F>
  void Visit(F f) const {
    if (copied_) {
      f(copy_);
    } else {
      f(image_);
    }
  }

  // Puts zeros where no Gaussian sees a pixel: zero times what stands there may
  // be NaN.
  void HideUnseen(const FilterBank<A>& columns, Scratch* scratch) {
    bool* const seen = NewZeroed<bool>(scratch, length());
    for (int64_t i = 0; i < columns.size(); ++i) {
      const Range taps = columns.taps(i);
      memset(seen + begin_ + (taps.begin - columns_.begin) * channels_, true,
             taps.size() * channels_);
    }
    Copy([&](int64_t j) { return seen[j]; }, scratch);
    copied_ = true;
  }

 private:
  // Copies the rows, up to whole vectors, with zeros where nothing is seen.
  template <typename F>
  void Copy(F seen, Scratch* scratch) {
    const int64_t stride = RoundUp(length_, kCount);
    A* to = NewZeroed<A>(scratch, rows_.size() * stride);
    copy_ = {to, rows_.begin, stride};
    for (int64_t h = rows_.begin; h < rows_.end; ++h, to += stride) {
      for (int64_t j = 0; j < length_; ++j) {
        if (seen(j)) to[j] = ToCompute(image_.row(h)[j]);
      }
    }
  }

  Range columns_, rows_;
  int64_t channels_, begin_, size_, length_;
  bool copied_;
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
      columns_.Build(x_, 0, shape.columns, derivatives, scratch_);
      index_ = index;
      columns_top_ = scratch_->top;
    }
    scratch_->top = columns_top_;
    rows_.Build(y_, first, size, derivatives, scratch_);
    const int64_t image_size = shape.height * shape.width * shape.channels;
    pixels_.Read(shape, images + index / shape.count * image_size,
                 columns_.support(), rows_.support(), scratch_);
    line_stride_ = RoundUp(pixels_.length(), Lanes<A>::kCount);
    lines_ = New<A>(scratch_, size * line_stride_);
    pixels_.Visit([&](const auto& image) {
      Multiply(rows_, image, pixels_.length(),
               Matrix<A>{lines_, 0, line_stride_}, scratch_);
    });
    lines_across_ = New<A>(scratch_, pixels_.size() * lanes_);
    Transpose<true>(lines_ + pixels_.begin(), line_stride_, size,
                    pixels_.size(), lines_across_, lanes_);
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
      pixels_.HideUnseen(columns_, scratch_);
      memset(by_mu, 0, rows_.size() * sizeof(double));
      memset(by_sigma, 0, rows_.size() * sizeof(double));
      ContractRows(grad_lines, by_mu, by_sigma);
    }
    AddAxis(by_mu, by_sigma, y_, first_, rows_.size(), &sum[kCenterY],
            &sum[kSigmaY], &sum[kStrideY]);
  }

 private:
  // From one column to the next of `across` matrices.
  int64_t column_stride() const { return shape_.channels * lanes_; }

  Matrix<const A> LinesAcross() const {
    return {lines_across_, pixels_.columns().begin, column_stride()};
  }

  // The gradient with respect to the lines, in their place.
  const A* GradLines(const Matrix<const A>& grad_across) {
    A* across = New<A>(scratch_, pixels_.size() * lanes_);
    MultiplyTransposed(
        columns_, pixels_.columns(), grad_across, column_stride(),
        Matrix<A>{across, pixels_.columns().begin, column_stride()});
    memset(lines_, 0, rows_.size() * line_stride_ * sizeof(A));
    Transpose<false>(across, lanes_, pixels_.size(), rows_.size(),
                     lines_ + pixels_.begin(), line_stride_);
    return lines_;
  }

  void ContractRows(const A* grad_lines, double* by_mu, double* by_sigma) {
    pixels_.Visit([&](const auto& image) {
      Contract(rows_, Matrix<const A>{grad_lines, 0, line_stride_}, image,
               pixels_.length(), by_mu, by_sigma, scratch_);
    });
  }

  Scratch* const scratch_;
  const Scratch::Top top_;
  Scratch::Top columns_top_;  // Above the bank of the columns.
  GlimpseShape shape_;
  int64_t index_ = -1;
  int64_t first_;
  int64_t lanes_;  // The glimpse rows, padded to whole vectors.
  int64_t line_stride_;
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

template <typename T>
void GradImages(const GlimpseShape& shape, const ComputeType<T>* window,
                const T* grad, T* images_grad, int64_t begin, int64_t end,
                Scratch* scratch) {
  typedef ComputeType<T> A;
  typedef FilterBank<A> Bank;
  constexpr int kCount = Lanes<A>::kCount;
  constexpr int kVectors = 8;
  const int64_t tile_pixels = ImageTilePixels(shape);
  const int64_t tiles_x = CeilDiv(shape.width, tile_pixels);
  const int64_t tiles_y = CeilDiv(shape.height, kImageTileRows);
  const int64_t channels = shape.channels;
  const int64_t glimpse_size = shape.rows * shape.columns * channels;
  const int64_t lanes = RoundUp(shape.rows, kCount);
  Bank* const columns = New<Bank>(scratch, shape.count);
  Bank* const rows = New<Bank>(scratch, shape.count);
  A* const weights = New<A>(scratch, shape.count * shape.rows);
  const A** const sources = New<const A*>(scratch, shape.count * shape.rows);
  A* const grad_across = New<A>(scratch, shape.columns * channels * lanes);
  const Scratch::Top top = scratch->top;
  Scratch::Top banks_top = top;
  int64_t current = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t b = unit / (tiles_x * tiles_y);
    const int64_t y = unit / tiles_x % tiles_y * kImageTileRows;
    const int64_t x = unit % tiles_x * tile_pixels;
    const Range tile_y = {y, Min(y + kImageTileRows, shape.height)};
    const Range tile_x = {x, Min(x + tile_pixels, shape.width)};
    const A* windows = window + b * shape.count * kWindowSize;
    const auto seen = [&](int64_t k) {
      return IsFinite(windows + k * kWindowSize) &&
             columns[k].support().overlaps(tile_x) &&
             rows[k].support().overlaps(tile_y);
    };
    if (b != current) {
      scratch->top = top;
      for (int64_t k = 0; k < shape.count; ++k) {
        const A* w = windows + k * kWindowSize;
        if (!IsFinite(w)) continue;
        columns[k].Build(XAxis(shape, w), 0, shape.columns, false, scratch);
        rows[k].Build(YAxis(shape, w), 0, shape.rows, false, scratch);
      }
      current = b;
      banks_top = scratch->top;
    }
    scratch->top = banks_top;

    // The pixels of the tile that any window sees, and the gradients of the
    // lines of all windows there.
    Range pixels = {tile_x.end, tile_x.begin};
    for (int64_t k = 0; k < shape.count; ++k) {
      if (!seen(k)) continue;
      const Range support = columns[k].support();
      pixels.begin = Min(pixels.begin, Max(support.begin, tile_x.begin));
      pixels.end = Max(pixels.end, Min(support.end, tile_x.end));
    }
    if (pixels.size() < 0) pixels = {tile_x.begin, tile_x.begin};
    const int64_t length = pixels.size() * channels;
    const int64_t line_stride =
        RoundUp(RoundUp(pixels.size(), kCount) * channels, kVectors * kCount);
    const int64_t lines_size = shape.rows * line_stride;
    A* lines = NewZeroed<A>(scratch, shape.count * lines_size);
    A* lines_across = New<A>(scratch, length * lanes);
    for (int64_t k = 0; k < shape.count; ++k) {
      if (!seen(k)) continue;
      int64_t first = shape.rows, last = 0;
      for (int64_t i = 0; i < shape.rows; ++i) {
        if (!rows[k].taps(i).overlaps(tile_y)) continue;
        first = Min(first, i);
        last = Max(last, i + 1);
      }
      if (first >= last) continue;
      Transpose<true>(grad + (b * shape.count + k) * glimpse_size +
                          first * shape.columns * channels,
                      shape.columns * channels, last - first,
                      shape.columns * channels, grad_across, lanes);
      MultiplyTransposed(
          columns[k], pixels, Matrix<const A>{grad_across, 0, channels * lanes},
          channels * lanes,
          Matrix<A>{lines_across, pixels.begin, channels * lanes});
      Transpose<false>(lines_across, lanes, length, last - first,
                       lines + k * lines_size + first * line_stride,
                       line_stride);
    }

    // Each row of the tile gathers what the glimpse rows that see it owe it.
    for (int64_t h = tile_y.begin; h < tile_y.end; ++h) {
      int64_t count = 0;
      for (int64_t k = 0; k < shape.count; ++k) {
        if (!seen(k)) continue;
        for (int64_t i = 0; i < shape.rows; ++i) {
          const Range taps = rows[k].taps(i);
          if (h < taps.begin || h >= taps.end) continue;
          weights[count] = rows[k].row(Bank::kWeight, i)[h - taps.begin];
          sources[count] = lines + k * lines_size + i * line_stride;
          ++count;
        }
      }
      T* row = images_grad + (b * shape.height + h) * shape.width * channels;
      T* tile = row + tile_x.begin * channels;
      T* tile_end = row + tile_x.end * channels;
      T* out = row + pixels.begin * channels;
      if (count == 0) out = tile_end;
      memset(static_cast<void*>(tile), 0, (out - tile) * sizeof(T));
      if (count == 0) continue;
      for (int64_t j = 0; j < length; j += kVectors * kCount) {
        Vector<A> sum[kVectors] = {};
        for (int64_t s = 0; s < count; ++s) {
          const A weight = weights[s];
          const A* source = sources[s] + j;
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            sum[v] += weight * Load(source + v * kCount);
          }
        }
        for (int v = 0; v < kVectors; ++v) {
          const int64_t at = j + v * kCount;
          if (at >= length) break;
          StoreLanes<A>(out + at, sum[v], Min<int64_t>(kCount, length - at));
        }
      }
      out += length;
      memset(static_cast<void*>(out), 0, (tile_end - out) * sizeof(T));
    }
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

}  // namespace RATM_SIMD
}  // namespace ratm
