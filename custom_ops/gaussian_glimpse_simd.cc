// Compiled with RATM_SIMD=generic|avx2|avx512 and the matching flags. All that
// is defined here, or in a header included here, must be private to that
// namespace: the linker merges equal inline functions of different objects, and
// a machine without AVX-512 must not be handed the AVX-512 one. Hence no
// containers or algorithms of the standard library.

#include "custom_ops/gaussian_glimpse_simd.h"

#include <math.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <new>
#include <type_traits>

namespace ratm {
namespace RATM_SIMD {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// Taps are summed by so many at a time, which keeps long sums accurate.
constexpr int64_t kChunk = 32;

template <typename A>
struct Lanes;

template <>
struct Lanes<float> {
  typedef float Vector __attribute__((vector_size(kVectorBytes)));
  typedef int32_t Bits __attribute__((vector_size(kVectorBytes)));
  typedef uint16_t Shorts __attribute__((vector_size(kVectorBytes / 2)));
  typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes / 4)));
  static constexpr int kCount = kVectorBytes / sizeof(float);
  // Taps further from mu than so many sigmas weigh less than the rounding.
  static constexpr double kReach = 6;
  static constexpr double kMaxOffset = 1e30;
};

template <>
struct Lanes<double> {
  typedef double Vector __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kCount = kVectorBytes / sizeof(double);
  static constexpr double kReach = 9;
  static constexpr double kMaxOffset = 1e100;
};

template <typename A>
using Vector = typename Lanes<A>::Vector;

template <typename T>
inline T Min(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
inline T Max(T a, T b) {
  return a < b ? b : a;
}

inline double Clip(double x, double low, double high) {
  return Min(Max(x, low), high);
}

inline int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

template <typename To, typename From>
inline To BitCast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

// Reads a vector's worth of numbers, converted to the type of the sums.

inline Vector<float> Load(const float* x) {
  Vector<float> v;
  memcpy(&v, x, sizeof(v));
  return v;
}

inline Vector<double> Load(const double* x) {
  Vector<double> v;
  memcpy(&v, x, sizeof(v));
  return v;
}

// GCC widens integers lane by lane unless asked for the instruction; and its
// unmasked 512-bit intrinsics warn of their own undefined operand.
#if defined(__AVX512F__)
constexpr __mmask16 kAllLanes = 0xffff;
#endif

inline Lanes<float>::Bits LoadBits(const uint8_t* x) {
#if defined(__AVX512F__)
  return BitCast<Lanes<float>::Bits>(_mm512_maskz_cvtepu8_epi32(
      kAllLanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
#elif defined(__AVX2__)
  return BitCast<Lanes<float>::Bits>(_mm256_cvtepu8_epi32(_mm_loadu_si64(x)));
#else
  Lanes<float>::Bytes v;
  memcpy(&v, x, sizeof(v));
  return __builtin_convertvector(v, Lanes<float>::Bits);
#endif
}

inline Lanes<float>::Bits LoadBits(const uint16_t* x) {
#if defined(__AVX512F__)
  return BitCast<Lanes<float>::Bits>(_mm512_maskz_cvtepu16_epi32(
      kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))));
#elif defined(__AVX2__)
  return BitCast<Lanes<float>::Bits>(_mm256_cvtepu16_epi32(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
#else
  Lanes<float>::Shorts v;
  memcpy(&v, x, sizeof(v));
  return __builtin_convertvector(v, Lanes<float>::Bits);
#endif
}

inline Vector<float> Load(const uint8_t* x) {
  return __builtin_convertvector(LoadBits(x), Vector<float>);
}

inline Vector<float> Load(const BFloat16* x) {
  return BitCast<Vector<float>>(LoadBits(&x->bits) << 16);
}

inline Vector<float> Load(const Half* x) {
  typedef Lanes<float>::Bits Bits;
  const Bits bits = LoadBits(&x->bits);
  const Bits magnitude = bits & 0x7fff;
  const Bits rebias = (magnitude << 13) + (112 << 23);
  // Subnormals go through integers, as TensorFlow flushes denormal floats.
  const Bits subnormal = BitCast<Bits>(
      __builtin_convertvector(magnitude, Vector<float>) * 0x1p-24f);
  Bits result = magnitude < 0x0400 ? subnormal : rebias;
  result = magnitude < 0x7c00 ? result : (rebias | 0x7f800000);
  return BitCast<Vector<float>>(result | ((bits & 0x8000) << 16));
}

template <typename A>
inline void Store(A* x, Vector<A> v) {
  memcpy(x, &v, sizeof(v));
}

// Converts one number, and rounds to nearest even.

inline float ToCompute(float x) { return x; }
inline double ToCompute(double x) { return x; }
inline float ToCompute(uint8_t x) { return x; }
inline float ToCompute(BFloat16 x) {
  return BitCast<float>(static_cast<uint32_t>(x.bits) << 16);
}
inline float ToCompute(Half x) {
  Half lanes[Lanes<float>::kCount] = {x};
  return Load(lanes)[0];
}

inline void FromCompute(float x, float* y) { *y = x; }
inline void FromCompute(double x, double* y) { *y = x; }

inline void FromCompute(float x, BFloat16* y) {
  const uint32_t bits = BitCast<uint32_t>(x);
  y->bits = x == x ? (bits + 0x7fff + ((bits >> 16) & 1)) >> 16 : 0x7fc0;
}

inline void FromCompute(float x, Half* y) {
  const uint32_t bits = BitCast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffff;
  uint32_t result;
  if (magnitude > 0x7f800000) {
    result = 0x7e00;
  } else if (magnitude >= (143u << 23)) {
    result = 0x7c00;
  } else if (magnitude < (113u << 23)) {
    // Adding one half lines the mantissa up with that of a subnormal.
    const float sum = BitCast<float>(magnitude) + 0.5f;
    result = BitCast<uint32_t>(sum) - BitCast<uint32_t>(0.5f);
  } else {
    result = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  }
  y->bits = static_cast<uint16_t>(result | ((bits >> 16) & 0x8000));
}

// Writes the first `count` lanes, `stride` numbers apart.
template <typename T, typename A>
inline void StoreLanes(Vector<A> v, int64_t count, int64_t stride, T* y) {
  A lanes[Lanes<A>::kCount];
  Store(lanes, v);
  for (int64_t i = 0; i < count; ++i) FromCompute(lanes[i], y + i * stride);
}

template <typename A>
inline A HorizontalSum(Vector<A> v) {
  A sum = 0;
  for (int i = 0; i < Lanes<A>::kCount; ++i) sum += v[i];
  return sum;
}

// exp(x) for x in [-80, 0], to within two units in the last place.

inline Vector<float> Exp(Vector<float> x) {
  const float magic = 0x1.8p23f;  // Adding it rounds to the nearest integer.
  const Vector<float> shifted = x * 1.44269504f + magic;
  const Vector<float> n = shifted - magic;
  const Vector<float> r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vector<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto exponent =
      BitCast<Lanes<float>::Bits>(shifted) - BitCast<int32_t>(magic);
  return p * BitCast<Vector<float>>((exponent + 127) << 23);
}

inline Vector<double> Exp(Vector<double> x) {
  const double magic = 0x1.8p52;
  const Vector<double> shifted = x * 1.4426950408889634 + magic;
  const Vector<double> n = shifted - magic;
  const Vector<double> r =
      (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  const Vector<double> rr = r * r;
  Vector<double> p = rr * 1.26177193074810590878e-4 + 3.02994407707441961300e-2;
  p = (p * rr + 9.99999999999999999910e-1) * r;
  Vector<double> q = rr * 3.00198505138664455042e-6 + 2.52448340349684104192e-3;
  q = q * rr + 2.27265548208155028766e-1;
  q = q * rr + 2.00000000000000000005e0;
  const Vector<double> y = 1.0 + 2.0 * (p / (q - p));
  const auto exponent =
      BitCast<Lanes<double>::Bits>(shifted) - BitCast<int64_t>(magic);
  return y * BitCast<Vector<double>>((exponent + 1023) << 52);
}

// Memory that grows to the largest size asked for, and keeps no contents.
template <typename A>
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { Free(); }

  A* Resize(int64_t size) {
    if (size > capacity_) {
      Free();
      data_ = static_cast<A*>(
          ::operator new(size * sizeof(A), std::align_val_t{kVectorBytes}));
      capacity_ = size;
    }
    return data_;
  }

  A* ResizeZeroed(int64_t size) {
    Resize(size);
    if (size > 0) memset(static_cast<void*>(data_), 0, size * sizeof(A));
    return data_;
  }

  A& operator[](int64_t i) { return data_[i]; }
  const A& operator[](int64_t i) const { return data_[i]; }

 private:
  void Free() { ::operator delete(data_, std::align_val_t{kVectorBytes}); }

  A* data_ = nullptr;
  int64_t capacity_ = 0;
};

// The pixels [begin, end).
struct Range {
  int64_t begin;
  int64_t end;

  int64_t size() const { return end - begin; }
  bool overlaps(Range other) const {
    return begin < other.end && other.begin < end;
  }
};

// One axis of a window.
struct Axis {
  double center;
  double sigma;
  double stride;
  int64_t size;    // Gaussians.
  int64_t length;  // Pixels.
};

template <typename A>
Axis XAxis(const GlimpseShape& shape, const A* window) {
  return {window[kCenterX], window[kSigmaX], window[kStrideX], shape.columns,
          shape.width};
}

template <typename A>
Axis YAxis(const GlimpseShape& shape, const A* window) {
  return {window[kCenterY], window[kSigmaY], window[kStrideY], shape.rows,
          shape.height};
}

template <typename A>
bool IsFinite(const A* window) {
  A product = 0;  // Stays zero unless a factor is NaN or infinite.
  for (int i = 0; i < kWindowSize; ++i) product *= window[i];
  return product == 0;
}

// Rows [first, first + size) of the filter bank of one axis, with only the taps
// that matter. Rows lie in panels of one vector: lane l of panel p is row
// p * kCount + l, and a panel holds the taps of all its rows, zero where a row
// has none.
template <typename A>
class FilterBank {
 public:
  static constexpr int kCount = Lanes<A>::kCount;

  // The filters of a bank: the weights F, and their derivatives.
  enum Filter { kWeight, kByMu, kBySigma, kFilters };

  void Build(const Axis& axis, int64_t first, int64_t size, bool derivatives) {
    size_ = size;
    const int64_t panels = CeilDiv(size, kCount);
    taps_.Resize(size);
    panels_.Resize(panels);
    offsets_.Resize(panels);
    nearest_.Resize(size);
    offset_of_mu_.Resize(size);
    sigma_ = Clip(axis.sigma, kMinSigma, 1e100);
    support_ = {axis.length, 0};
    int64_t numbers = 0;
    for (int64_t p = 0; p < panels; ++p) {
      Range panel = {axis.length, 0};
      for (int64_t i = p * kCount; i < Min((p + 1) * kCount, size); ++i) {
        FindTaps(axis, first + i, i);
        panel.begin = Min(panel.begin, taps_[i].begin);
        panel.end = Max(panel.end, taps_[i].end);
      }
      panels_[p] = panel;
      offsets_[p] = numbers;
      numbers += panel.size() * kCount;
      support_.begin = Min(support_.begin, panel.begin);
      support_.end = Max(support_.end, panel.end);
    }
    for (int f = 0; f < (derivatives ? kFilters : 1); ++f) {
      filters_[f].Resize(numbers);
    }
    for (int64_t p = 0; p < panels; ++p) {
      if (derivatives) {
        BuildPanel<true>(p);
      } else {
        BuildPanel<false>(p);
      }
    }
  }

  int64_t size() const { return size_; }
  int64_t panels() const { return CeilDiv(size_, kCount); }

  // The pixels under any row, under a row, and under the rows of a panel.
  Range support() const { return support_; }
  Range taps(int64_t i) const { return taps_[i]; }
  Range panel(int64_t p) const { return panels_[p]; }

  // A filter of row i at its first tap; the next is kCount numbers on.
  const A* row(Filter f, int64_t i) const {
    const int64_t p = i / kCount;
    return &filters_[f][offsets_[p] +
                        (taps_[i].begin - panels_[p].begin) * kCount +
                        i % kCount];
  }

  // A filter of a panel at its first pixel.
  const A* panel(Filter f, int64_t p) const {
    return &filters_[f][offsets_[p]];
  }

 private:
  // Finds the taps whose weight is above exp(-kReach^2 / 2) times that of the
  // pixel nearest to mu, and puts row i in terms of that pixel.
  void FindTaps(const Axis& axis, int64_t grid_index, int64_t i) {
    const double step = grid_index - 0.5 * (axis.size - 1);
    const double mu = Clip(axis.center + step * axis.stride, -1e100, 1e100);
    const double last = axis.length - 1;
    const double nearest = nearbyint(Clip(mu, 0, last));
    const double offset = nearest - mu;
    const double distance = fabs(offset);
    const double reach = Lanes<A>::kReach * sigma_;
    // mu - radius and mu + radius, from the nearest pixel, uncancelled.
    const double radius = sqrt(distance * distance + reach * reach);
    const double outer = radius + distance;
    const double inner = reach * (reach / outer);
    const double below = offset < 0 ? inner : outer;
    const double above = offset < 0 ? outer : inner;
    taps_[i].begin = static_cast<int64_t>(nearest - floor(Min(below, nearest)));
    taps_[i].end =
        static_cast<int64_t>(nearest + floor(Min(above, last - nearest))) + 1;
    nearest_[i] = static_cast<int64_t>(nearest);
    offset_of_mu_[i] = offset;
  }

  // With t = a - nearest, the exponent less its largest value is
  // -t (t + 2 (nearest - mu)) / (2 sigma^2). The second term comes as the sum
  // of two numbers, as t may cancel the first.
  template <bool kDerivatives>
  void BuildPanel(int64_t p) {
    typedef Vector<A> V;
    V first_tap = {}, past_tap = {}, start = {}, high = {}, low = {};
    for (int64_t i = p * kCount; i < Min((p + 1) * kCount, size_); ++i) {
      const int64_t lane = i % kCount;
      const double twice = Clip(2 * offset_of_mu_[i], -Lanes<A>::kMaxOffset,
                                Lanes<A>::kMaxOffset);
      high[lane] = static_cast<A>(twice);
      low[lane] = static_cast<A>(twice - high[lane]);
      first_tap[lane] = static_cast<A>(taps_[i].begin - nearest_[i]);
      past_tap[lane] = static_cast<A>(taps_[i].end - nearest_[i]);
      start[lane] = static_cast<A>(panels_[p].begin - nearest_[i]);
    }
    const A scale = static_cast<A>(-0.5 / (sigma_ * sigma_));
    const int64_t pixels = panels_[p].size();
    A* weight = &filters_[kWeight][offsets_[p]];

    V total = {}, total_t = {}, total_q = {};
    for (int64_t chunk = 0; chunk < pixels; chunk += kChunk) {
      V sum = {}, sum_t = {}, sum_q = {};
      for (int64_t a = chunk; a < Min(chunk + kChunk, pixels); ++a) {
        const V t = start + static_cast<A>(a);
        const V q = t * ((t + high) + low);
        V exponent = q * scale;
        exponent = exponent > A{-60} ? exponent : V{} - A{60};
        const auto inside = (t >= first_tap) & (t < past_tap);
        const V w = inside ? Exp(exponent) : V{};
        Store(weight + a * kCount, w);
        sum += w;
        if (kDerivatives) {
          sum_t += w * t;
          sum_q += w * q;
        }
      }
      total += sum;
      total_t += sum_t;
      total_q += sum_q;
    }

    const V normaliser = A{1} / (total > A{0} ? total : V{} + A{1});
    if (!kDerivatives) {
      for (int64_t a = 0; a < pixels; ++a) {
        Store(weight + a * kCount, Load(weight + a * kCount) * normaliser);
      }
      return;
    }
    // What rounding left of the centred moments would weigh the mean level of
    // the image, so a second pass takes it out.
    const V mean_t = total_t * normaliser;
    const V mean_q = total_q * normaliser;
    V rest_t = {}, rest_q = {};
    for (int64_t chunk = 0; chunk < pixels; chunk += kChunk) {
      V sum_t = {}, sum_q = {};
      for (int64_t a = chunk; a < Min(chunk + kChunk, pixels); ++a) {
        const V t = start + static_cast<A>(a);
        const V q = t * ((t + high) + low);
        const V w = Load(weight + a * kCount) * normaliser;
        Store(weight + a * kCount, w);
        sum_t += w * (t - mean_t);
        sum_q += w * (q - mean_q);
      }
      rest_t += sum_t;
      rest_q += sum_q;
    }
    const A by_mu = static_cast<A>(1 / (sigma_ * sigma_));
    const A by_sigma = static_cast<A>(1 / (sigma_ * sigma_ * sigma_));
    A* weight_by_mu = &filters_[kByMu][offsets_[p]];
    A* weight_by_sigma = &filters_[kBySigma][offsets_[p]];
    for (int64_t a = 0; a < pixels; ++a) {
      const V t = start + static_cast<A>(a);
      const V q = t * ((t + high) + low);
      const V w = Load(weight + a * kCount);
      Store(weight_by_mu + a * kCount, w * ((t - mean_t) - rest_t) * by_mu);
      Store(weight_by_sigma + a * kCount,
            w * ((q - mean_q) - rest_q) * by_sigma);
    }
  }

  int64_t size_ = 0;
  double sigma_ = 0;
  Range support_ = {0, 0};
  Buffer<Range> taps_;           // By row.
  Buffer<int64_t> nearest_;      // By row: the pixel nearest to mu,
  Buffer<double> offset_of_mu_;  // and that pixel less mu.
  Buffer<Range> panels_;         // By panel.
  Buffer<int64_t> offsets_;      // By panel: where it lies in the filters.
  Buffer<A> filters_[kFilters];
};

// The weights of a bank again, over some pixels, in panels whose lanes are
// pixels: for each, the weights of the rows that see any of them.
template <typename A>
class TransposedBank {
 public:
  static constexpr int kCount = Lanes<A>::kCount;

  void Build(const FilterBank<A>& bank, Range pixels) {
    const int64_t panels = CeilDiv(pixels.size(), kCount);
    panels_ = panels;
    rows_.Resize(panels);
    offsets_.Resize(panels);
    for (int64_t p = 0; p < panels; ++p) rows_[p] = {bank.size(), 0};
    ForEachPanelOfRow(bank, pixels, [&](int64_t i, int64_t p) {
      rows_[p].begin = Min(rows_[p].begin, i);
      rows_[p].end = Max(rows_[p].end, i + 1);
    });
    int64_t numbers = 0;
    for (int64_t p = 0; p < panels; ++p) {
      if (rows_[p].size() < 0) rows_[p] = {0, 0};
      offsets_[p] = numbers;
      numbers += rows_[p].size() * kCount;
    }
    A* weights = weights_.ResizeZeroed(numbers);
    ForEachPanelOfRow(bank, pixels, [&](int64_t i, int64_t p) {
      const Range taps = bank.taps(i);
      const A* row = bank.row(FilterBank<A>::kWeight, i);
      A* panel = weights + offsets_[p] + (i - rows_[p].begin) * kCount;
      const int64_t origin = pixels.begin + p * kCount;
      const int64_t end = Min(Min(taps.end, origin + kCount), pixels.end);
      for (int64_t a = Max(taps.begin, origin); a < end; ++a) {
        panel[a - origin] = row[(a - taps.begin) * kCount];
      }
    });
  }

  int64_t panels() const { return panels_; }
  Range rows(int64_t p) const { return rows_[p]; }
  const A* panel(int64_t p) const { return &weights_[offsets_[p]]; }

 private:
  template <typename F>
  static void ForEachPanelOfRow(const FilterBank<A>& bank, Range pixels, F f) {
    for (int64_t i = 0; i < bank.size(); ++i) {
      const Range taps = bank.taps(i);
      if (!taps.overlaps(pixels)) continue;
      const int64_t begin = Max(taps.begin, pixels.begin) - pixels.begin;
      const int64_t end = Min(taps.end, pixels.end) - pixels.begin;
      for (int64_t p = begin / kCount; p * kCount < end; ++p) f(i, p);
    }
  }

  int64_t panels_ = 0;
  Buffer<Range> rows_;
  Buffer<int64_t> offsets_;
  Buffer<A> weights_;
};

// Sums the taps of one glimpse row into kFilters lines, over kVectors vectors;
// the last vector starts at `last` and may overlap the one before.
template <int kVectors, int kFilters, typename T, typename A>
inline void SumTaps(const T* x, int64_t row_stride, int64_t taps,
                    const A* const* weights, int64_t last, A* const* lines) {
  typedef Vector<A> V;
  constexpr int kCount = Lanes<A>::kCount;
  V total[kFilters][kVectors] = {};
  for (int64_t chunk = 0; chunk < taps; chunk += kChunk) {
    V sum[kFilters][kVectors] = {};
    for (int64_t h = chunk; h < Min(chunk + kChunk, taps); ++h) {
      const T* row = x + h * row_stride;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const V pixels = Load(row + (v < kVectors - 1 ? v * kCount : last));
#pragma GCC unroll 3
        for (int f = 0; f < kFilters; ++f) {
          sum[f][v] += weights[f][h * kCount] * pixels;
        }
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 3
      for (int f = 0; f < kFilters; ++f) total[f][v] += sum[f][v];
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 3
    for (int f = 0; f < kFilters; ++f) {
      Store(lines[f] + (v < kVectors - 1 ? v * kCount : last), total[f][v]);
    }
  }
}

template <int kVectors, int kFilters, typename T, typename A>
void SumTile(const T* x, int64_t row_stride, const FilterBank<A>& bank,
             int64_t last, A* const* lines, int64_t line_stride) {
  for (int64_t i = 0; i < bank.size(); ++i) {
    const A* weights[kFilters];
    A* row_lines[kFilters];
    for (int f = 0; f < kFilters; ++f) {
      weights[f] = bank.row(static_cast<typename FilterBank<A>::Filter>(f), i);
      row_lines[f] = lines[f] + i * line_stride;
    }
    const Range taps = bank.taps(i);
    SumTaps<kVectors, kFilters>(x + taps.begin * row_stride, row_stride,
                                taps.size(), weights, last, row_lines);
  }
}

// The Y pass: lines[f][i] = sum over h of filter f of row i times image row h,
// for `length` numbers from x on, at least a vector of them. x is row zero.
template <int kFilters, typename T, typename A>
void SumRows(const T* x, int64_t row_stride, int64_t length,
             const FilterBank<A>& bank, A* const* lines, int64_t line_stride) {
  constexpr int kCount = Lanes<A>::kCount;
  constexpr int kVectors = kFilters == 1 || kVectorBytes == 64 ? 8 : 4;
  const auto tile = [&](auto vectors, int64_t origin, int64_t last) {
    A* tile_lines[kFilters];
    for (int f = 0; f < kFilters; ++f) tile_lines[f] = lines[f] + origin;
    SumTile<decltype(vectors)::value, kFilters>(x + origin, row_stride, bank,
                                                last, tile_lines, line_stride);
  };
  if (length >= kVectors * kCount) {
    constexpr int64_t kTile = kVectors * kCount;
    for (int64_t j = 0; j < length; j += kTile) {
      tile(std::integral_constant<int, kVectors>(), Min(j, length - kTile),
           kTile - kCount);
    }
    return;
  }
  switch (CeilDiv(length, kCount)) {
#define RATM_TILE(N)                                            \
  case N:                                                       \
    tile(std::integral_constant<int, N>(), 0, length - kCount); \
    break
    RATM_TILE(1);
    RATM_TILE(2);
    RATM_TILE(3);
    RATM_TILE(4);
    RATM_TILE(5);
    RATM_TILE(6);
    RATM_TILE(7);
    RATM_TILE(8);
#undef RATM_TILE
  }
}

// Calls f(constant, row) for all rows, by eights, fours and ones.
template <typename F>
inline void ForRowGroups(int64_t rows, F f) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) f(std::integral_constant<int, 8>(), row);
  for (; row + 4 <= rows; row += 4) f(std::integral_constant<int, 4>(), row);
  for (; row < rows; ++row) f(std::integral_constant<int, 1>(), row);
}

// sums[r] = sum over k of panel[k] times numbers[r * row_stride + k * stride].
template <int kRows, typename A>
inline void SumPanel(const A* panel, int64_t size, const A* numbers,
                     int64_t row_stride, int64_t stride,
                     Vector<A> (&total)[kRows]) {
  constexpr int kCount = Lanes<A>::kCount;
  for (int r = 0; r < kRows; ++r) total[r] = Vector<A>{};
  for (int64_t chunk = 0; chunk < size; chunk += kChunk) {
    Vector<A> sum[kRows] = {};
    for (int64_t k = chunk; k < Min(chunk + kChunk, size); ++k) {
      const Vector<A> weights = Load(panel + k * kCount);
      const A* number = numbers + k * stride;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sum[r] += weights * number[r * row_stride];
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) total[r] += sum[r];
  }
}

// The transposed X pass: lines_grad[i, a, c] = sum over columns m of F_X[m, a]
// times grad[i, c, m]. Lines are filled up to a whole number of vectors.
template <typename A>
void BackProject(const TransposedBank<A>& bank, const A* grad,
                 int64_t grad_stride, int64_t rows, int64_t channels,
                 A* lines_grad, int64_t line_stride) {
  constexpr int kCount = Lanes<A>::kCount;
  for (int64_t p = 0; p < bank.panels(); ++p) {
    const Range m = bank.rows(p);
    for (int64_t c = 0; c < channels; ++c) {
      ForRowGroups(rows, [&](auto group, int64_t i) {
        constexpr int kRows = decltype(group)::value;
        Vector<A> sums[kRows];
        SumPanel<kRows>(bank.panel(p), m.size(),
                        grad + (i * channels + c) * grad_stride + m.begin,
                        channels * grad_stride, 1, sums);
        A* line = lines_grad + i * line_stride + p * kCount * channels + c;
        for (int r = 0; r < kRows; ++r, line += line_stride) {
          if (channels == 1) {
            Store(line, sums[r]);
          } else {
            StoreLanes<A, A>(sums[r], kCount, channels, line);
          }
        }
      });
    }
  }
}

// Copies rows of grad [rows, columns, channels] to [rows, channels, stride].
template <typename T, typename A>
void SplitChannels(const T* grad, int64_t rows, int64_t columns,
                   int64_t channels, int64_t stride, A* split) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t c = 0; c < channels; ++c, split += stride) {
      const T* row = grad + i * columns * channels + c;
      for (int64_t m = 0; m < columns; ++m) {
        split[m] = ToCompute(row[m * channels]);
      }
      for (int64_t m = columns; m < stride; ++m) split[m] = 0;
    }
  }
}

// The lines of some glimpse rows: the pixels under the window's columns, after
// the Y pass.
template <typename T, int kFilters>
class Lines {
 public:
  typedef ComputeType<T> A;
  static constexpr int kCount = Lanes<A>::kCount;

  void Read(const GlimpseShape& shape, const T* image, Range support,
            const FilterBank<A>& rows) {
    // A vector must fit the lines: they take in some more pixels, or lie in a
    // padded copy where a whole image row is shorter than a vector.
    const int64_t needed = Min(CeilDiv(kCount, shape.channels), shape.width);
    pixels_ = support;
    pixels_.begin = Max(Min(pixels_.begin, pixels_.end - needed), int64_t{0});
    pixels_.end = Max(pixels_.end, pixels_.begin + needed);
    const int64_t length = pixels_.size() * shape.channels;
    stride_ = RoundUp(pixels_.size(), kCount) * shape.channels;
    const int64_t numbers = rows.size() * stride_;
    A* data = data_.ResizeZeroed(kFilters * numbers);
    for (int f = 0; f < kFilters; ++f) lines_[f] = data + f * numbers;

    const int64_t row_stride = shape.width * shape.channels;
    if (length >= kCount) {
      SumRows<kFilters>(image + pixels_.begin * shape.channels, row_stride,
                        length, rows, lines_, stride_);
      return;
    }
    const Range support_y = rows.support();
    A* copy = narrow_.ResizeZeroed(shape.height * kCount);
    for (int64_t h = support_y.begin; h < support_y.end; ++h) {
      for (int64_t j = 0; j < length; ++j) {
        copy[h * kCount + j] = ToCompute(image[h * row_stride + j]);
      }
    }
    SumRows<kFilters>(copy, kCount, kCount, rows, lines_, stride_);
  }

  Range pixels() const { return pixels_; }
  int64_t stride() const { return stride_; }
  const A* lines(int f) const { return lines_[f]; }

 private:
  Range pixels_;
  int64_t stride_;
  A* lines_[kFilters];
  Buffer<A> data_;
  Buffer<A> narrow_;
};

}  // namespace

template <typename T>
void Glimpse(const GlimpseShape& shape, const T* images,
             const ComputeType<T>* window, GlimpseType<T>* glimpses,
             int64_t begin, int64_t end) {
  typedef ComputeType<T> A;
  constexpr int kCount = Lanes<A>::kCount;
  const int64_t blocks = CeilDiv(shape.rows, kGlimpseRows);
  const int64_t image_size = shape.height * shape.width * shape.channels;
  const int64_t row_size = shape.columns * shape.channels;
  FilterBank<A> columns, rows;
  Lines<T, 1> lines;
  int64_t current = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t index = unit / blocks;
    const int64_t first = unit % blocks * kGlimpseRows;
    const int64_t size = Min(kGlimpseRows, shape.rows - first);
    const A* w = window + index * kWindowSize;
    GlimpseType<T>* glimpse =
        glimpses + (index * shape.rows + first) * row_size;
    if (!IsFinite(w)) {
      for (int64_t i = 0; i < size * row_size; ++i) {
        FromCompute(static_cast<A>(NAN), glimpse + i);
      }
      continue;
    }
    if (index != current) {
      columns.Build(XAxis(shape, w), 0, shape.columns, false);
      current = index;
    }
    rows.Build(YAxis(shape, w), first, size, false);
    lines.Read(shape, images + index / shape.count * image_size,
               columns.support(), rows);
    for (int64_t p = 0; p < columns.panels(); ++p) {
      const Range taps = columns.panel(p);
      const int64_t m = p * kCount;
      const int64_t valid = Min<int64_t>(kCount, shape.columns - m);
      for (int64_t c = 0; c < shape.channels; ++c) {
        ForRowGroups(size, [&](auto group, int64_t i) {
          constexpr int kRows = decltype(group)::value;
          Vector<A> sums[kRows];
          const int64_t at =
              (taps.begin - lines.pixels().begin) * shape.channels + c;
          SumPanel<kRows>(columns.panel(FilterBank<A>::kWeight, p), taps.size(),
                          lines.lines(0) + i * lines.stride() + at,
                          lines.stride(), shape.channels, sums);
          for (int r = 0; r < kRows; ++r) {
            StoreLanes<GlimpseType<T>, A>(
                sums[r], valid, shape.channels,
                glimpse + (i + r) * row_size + m * shape.channels + c);
          }
        });
      }
    }
  }
}

template <typename T>
void GradWindow(const GlimpseShape& shape, const T* images,
                const ComputeType<T>* window, const GlimpseType<T>* grad,
                double* sums, int64_t begin, int64_t end) {
  typedef ComputeType<T> A;
  typedef FilterBank<A> Bank;
  constexpr int kCount = Lanes<A>::kCount;
  const int64_t blocks = CeilDiv(shape.rows, kGradWindowRows);
  const int64_t image_size = shape.height * shape.width * shape.channels;
  const int64_t row_size = shape.columns * shape.channels;
  const int64_t grad_stride = RoundUp(shape.columns, kCount);
  Bank columns, rows;
  TransposedBank<A> transposed;
  Lines<T, Bank::kFilters> lines;
  Buffer<A> split_grad, lines_grad;
  A* g = split_grad.Resize(kGradWindowRows * shape.channels * grad_stride);
  int64_t current = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t index = unit / blocks;
    const int64_t first = unit % blocks * kGradWindowRows;
    const int64_t size = Min(kGradWindowRows, shape.rows - first);
    const A* w = window + index * kWindowSize;
    double* sum = sums + unit * kWindowSize;
    for (int i = 0; i < kWindowSize; ++i) sum[i] = IsFinite(w) ? 0 : NAN;
    if (!IsFinite(w)) continue;

    const bool changed = index != current;
    if (changed) {
      columns.Build(XAxis(shape, w), 0, shape.columns, true);
      current = index;
    }
    rows.Build(YAxis(shape, w), first, size, true);
    lines.Read(shape, images + index / shape.count * image_size,
               columns.support(), rows);
    if (changed) transposed.Build(columns, lines.pixels());
    SplitChannels(grad + (index * shape.rows + first) * row_size, size,
                  shape.columns, shape.channels, grad_stride, g);

    // Columns: the lines through the derivatives of F_X, against grad.
    for (int64_t p = 0; p < columns.panels(); ++p) {
      const Range taps = columns.panel(p);
      const int64_t m = p * kCount;
      Vector<A> by_mu = {}, by_sigma = {};
      for (int64_t c = 0; c < shape.channels; ++c) {
        const A* line = lines.lines(Bank::kWeight) +
                        (taps.begin - lines.pixels().begin) * shape.channels +
                        c;
        ForRowGroups(size, [&](auto group, int64_t i) {
          constexpr int kRows = decltype(group)::value;
          Vector<A> derivatives[kRows];
          const A* row_grad = g + (i * shape.channels + c) * grad_stride + m;
          const int64_t step = shape.channels * grad_stride;
          SumPanel<kRows>(columns.panel(Bank::kByMu, p), taps.size(),
                          line + i * lines.stride(), lines.stride(),
                          shape.channels, derivatives);
          for (int r = 0; r < kRows; ++r) {
            by_mu += Load(row_grad + r * step) * derivatives[r];
          }
          SumPanel<kRows>(columns.panel(Bank::kBySigma, p), taps.size(),
                          line + i * lines.stride(), lines.stride(),
                          shape.channels, derivatives);
          for (int r = 0; r < kRows; ++r) {
            by_sigma += Load(row_grad + r * step) * derivatives[r];
          }
        });
      }
      for (int l = 0; l < Min<int64_t>(kCount, shape.columns - m); ++l) {
        sum[kCenterX] += by_mu[l];
        sum[kStrideX] += (m + l - 0.5 * (shape.columns - 1)) * by_mu[l];
        sum[kSigmaX] += by_sigma[l];
      }
    }

    // Rows: grad through F_X, against the lines of the derivatives of F_Y.
    A* back = lines_grad.Resize(size * lines.stride());
    BackProject(transposed, g, grad_stride, size, shape.channels, back,
                lines.stride());
    for (int64_t i = 0; i < size; ++i) {
      const int64_t at = i * lines.stride();
      double by_mu = 0, by_sigma = 0;
      for (int64_t chunk = 0; chunk < lines.stride();
           chunk += kChunk * kCount) {
        Vector<A> chunk_by_mu = {}, chunk_by_sigma = {};
        const int64_t chunk_end = Min(chunk + kChunk * kCount, lines.stride());
        for (int64_t j = chunk; j < chunk_end; j += kCount) {
          const Vector<A> v = Load(back + at + j);
          chunk_by_mu += v * Load(lines.lines(Bank::kByMu) + at + j);
          chunk_by_sigma += v * Load(lines.lines(Bank::kBySigma) + at + j);
        }
        by_mu += HorizontalSum<A>(chunk_by_mu);
        by_sigma += HorizontalSum<A>(chunk_by_sigma);
      }
      sum[kCenterY] += by_mu;
      sum[kStrideY] += (first + i - 0.5 * (shape.rows - 1)) * by_mu;
      sum[kSigmaY] += by_sigma;
    }
    // The floor of sigma is flat.
    if (w[kSigmaX] < kMinSigma) sum[kSigmaX] = 0;
    if (w[kSigmaY] < kMinSigma) sum[kSigmaY] = 0;
  }
}

template <typename T>
void GradImages(const GlimpseShape& shape, const ComputeType<T>* window,
                const T* grad, T* images_grad, int64_t begin, int64_t end) {
  typedef ComputeType<T> A;
  typedef FilterBank<A> Bank;
  constexpr int kCount = Lanes<A>::kCount;
  constexpr int kVectors = 8;
  const int64_t tile_pixels = TilePixels(shape);
  const int64_t tiles_x = CeilDiv(shape.width, tile_pixels);
  const int64_t tiles_y = CeilDiv(shape.height, kTileRows);
  const int64_t channels = shape.channels;
  const int64_t glimpse_size = shape.rows * shape.columns * channels;
  const int64_t grad_stride = RoundUp(shape.columns, kCount);
  Buffer<A> split_grad, lines_grad, weights;
  Buffer<const A*> sources;
  TransposedBank<A> transposed;
  Bank* const columns = new Bank[shape.count];
  Bank* const rows = new Bank[shape.count];
  weights.Resize(shape.count * shape.rows);
  sources.Resize(shape.count * shape.rows);
  A* g = split_grad.Resize(shape.rows * channels * grad_stride);
  int64_t current = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t b = unit / (tiles_x * tiles_y);
    const int64_t y = unit / tiles_x % tiles_y * kTileRows;
    const int64_t x = unit % tiles_x * tile_pixels;
    const Range tile_y = {y, Min(y + kTileRows, shape.height)};
    const Range tile_x = {x, Min(x + tile_pixels, shape.width)};
    const A* windows = window + b * shape.count * kWindowSize;
    const auto seen = [&](int64_t k) {
      return IsFinite(windows + k * kWindowSize) &&
             columns[k].support().overlaps(tile_x) &&
             rows[k].support().overlaps(tile_y);
    };
    if (b != current) {
      for (int64_t k = 0; k < shape.count; ++k) {
        const A* w = windows + k * kWindowSize;
        if (!IsFinite(w)) continue;
        columns[k].Build(XAxis(shape, w), 0, shape.columns, false);
        rows[k].Build(YAxis(shape, w), 0, shape.rows, false);
      }
      current = b;
    }

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
    A* lines = lines_grad.ResizeZeroed(shape.count * lines_size);
    for (int64_t k = 0; k < shape.count; ++k) {
      if (!seen(k)) continue;
      int64_t first = shape.rows, last = 0;
      for (int64_t i = 0; i < shape.rows; ++i) {
        if (!rows[k].taps(i).overlaps(tile_y)) continue;
        first = Min(first, i);
        last = Max(last, i + 1);
      }
      if (first >= last) continue;
      transposed.Build(columns[k], pixels);
      SplitChannels(grad + (b * shape.count + k) * glimpse_size +
                        first * shape.columns * channels,
                    last - first, shape.columns, channels, grad_stride, g);
      BackProject(transposed, g, grad_stride, last - first, channels,
                  lines + k * lines_size + first * line_stride, line_stride);
    }

    // Each row of the tile gathers what the glimpse rows that see it owe it.
    for (int64_t h = tile_y.begin; h < tile_y.end; ++h) {
      int64_t count = 0;
      for (int64_t k = 0; k < shape.count; ++k) {
        if (!seen(k)) continue;
        for (int64_t i = 0; i < shape.rows; ++i) {
          const Range taps = rows[k].taps(i);
          if (h < taps.begin || h >= taps.end) continue;
          weights[count] =
              rows[k].row(Bank::kWeight, i)[(h - taps.begin) * kCount];
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
          StoreLanes<T, A>(sum[v], Min<int64_t>(kCount, length - at), 1,
                           out + at);
        }
      }
      out += length;
      memset(static_cast<void*>(out), 0, (tile_end - out) * sizeof(T));
    }
  }
  delete[] columns;
  delete[] rows;
}

#define RATM_INSTANTIATE(T)                                                 \
  template void Glimpse<T>(const GlimpseShape&, const T*,                   \
                           const ComputeType<T>*, GlimpseType<T>*, int64_t, \
                           int64_t);                                        \
  template void GradWindow<T>(const GlimpseShape&, const T*,                \
                              const ComputeType<T>*, const GlimpseType<T>*, \
                              double*, int64_t, int64_t);
#define RATM_INSTANTIATE_FLOATING(T)                                      \
  RATM_INSTANTIATE(T)                                                     \
  template void GradImages<T>(const GlimpseShape&, const ComputeType<T>*, \
                              const T*, T*, int64_t, int64_t);

RATM_INSTANTIATE(uint8_t)
RATM_INSTANTIATE_FLOATING(BFloat16)
RATM_INSTANTIATE_FLOATING(Half)
RATM_INSTANTIATE_FLOATING(float)
RATM_INSTANTIATE_FLOATING(double)

}  // namespace RATM_SIMD
}  // namespace ratm
