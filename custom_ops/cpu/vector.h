// Vectors of numbers: reading and writing, exponentials, transposes.
//
// Private to simd.cc, which is compiled once for each
// instruction set: see there why all of it is in unnamed namespaces.

#ifndef RATM_TF_CUSTOM_OPS_CPU_VECTOR_H_
#define RATM_TF_CUSTOM_OPS_CPU_VECTOR_H_

#include <math.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <type_traits>
#include <utility>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/simd.h"

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

template <typename A>
struct Lanes;

template <>
struct Lanes<float> {
  typedef float Vector __attribute__((vector_size(kVectorBytes)));
  typedef int32_t Bits __attribute__((vector_size(kVectorBytes)));
  typedef uint16_t Shorts __attribute__((vector_size(kVectorBytes / 2)));
  typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes / 4)));
  static constexpr int kCount = kVectorBytes / sizeof(float);
};

template <>
struct Lanes<double> {
  typedef double Vector __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kCount = kVectorBytes / sizeof(double);
};

template <typename A>
using Vector = typename Lanes<A>::Vector;

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
#if defined(__AVX512F__)
  return BitCast<Vector<float>>(_mm512_maskz_cvtph_ps(
      kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))));
#elif defined(__F16C__)
  return BitCast<Vector<float>>(
      _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
#else
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
#endif
}

template <typename A>
inline void Store(A* x, Vector<A> v) {
  memcpy(x, &v, sizeof(v));
}

// Writes numbers of double precision as the type of the sums, or as integers,
// which they must be; and reads the former.

inline void Narrow(Vector<double> v, double* x) { Store(x, v); }
inline Vector<double> Widened(const double* x) { return Load(x); }

typedef float HalfVector __attribute__((vector_size(kVectorBytes / 2)));

inline void Narrow(Vector<double> v, float* x) {
  const HalfVector narrow = __builtin_convertvector(v, HalfVector);
  memcpy(x, &narrow, sizeof(narrow));
}

inline Vector<double> Widened(const float* x) {
#if defined(__AVX512F__)
  return BitCast<Vector<double>>(
      _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(x)));
#else
  HalfVector narrow;
  memcpy(&narrow, x, sizeof(narrow));
  return __builtin_convertvector(narrow, Vector<double>);
#endif
}

inline void StoreWhole(Vector<double> v, int64_t* x) {
  // Adding it leaves integers in the lowest bits.
  const double magic = 0x1.8p52;
  const auto bits =
      BitCast<Lanes<double>::Bits>(v + magic) - BitCast<int64_t>(magic);
  memcpy(x, &bits, sizeof(bits));
}

// The numbers between two bounds. What is no number stays so: of it and
// another, these instructions give the second.
inline Vector<float> Clipped(Vector<float> v, float low, float high) {
  const Vector<float> lowest = Vector<float>{} + low;
  const Vector<float> highest = Vector<float>{} + high;
#if defined(__AVX512F__)
  const __m512 raised = _mm512_maskz_max_ps(kAllLanes, BitCast<__m512>(lowest),
                                            BitCast<__m512>(v));
  return BitCast<Vector<float>>(
      _mm512_maskz_min_ps(kAllLanes, BitCast<__m512>(highest), raised));
#elif defined(__AVX2__)
  const __m256 raised =
      _mm256_max_ps(BitCast<__m256>(lowest), BitCast<__m256>(v));
  return BitCast<Vector<float>>(
      _mm256_min_ps(BitCast<__m256>(highest), raised));
#else
  v = v < lowest ? lowest : v;
  return v > highest ? highest : v;
#endif
}

// Keeps a vector in a register: GCC would read it from memory for each use, and
// one that is not aligned costs two reads.
template <typename V>
inline void KeepInRegister(V& v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#else
  static_cast<void>(v);
#endif
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

// Writes a vector's worth of numbers below 2^16.
inline void StoreBits(Lanes<float>::Bits bits, uint16_t* x) {
#if defined(__AVX512F__)
  const __m256i shorts =
      _mm512_maskz_cvtepi32_epi16(kAllLanes, BitCast<__m512i>(bits));
#elif defined(__AVX2__)
  const __m256i all = BitCast<__m256i>(bits);
  const __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(all),
                                          _mm256_extracti128_si256(all, 1));
#else
  const auto shorts = __builtin_convertvector(bits, Lanes<float>::Shorts);
#endif
  memcpy(x, &shorts, sizeof(shorts));
}

// Writes a vector's worth of numbers, converted as one is.
template <typename A, typename T>
inline void StoreAs(Vector<A> v, T* x) {
  if constexpr (std::is_same_v<T, A>) {
    Store(x, v);
    return;
  }
  if constexpr (std::is_same_v<T, BFloat16>) {
    typedef Lanes<float>::Bits Bits;
    const Bits bits = BitCast<Bits>(v);
    const Bits rounded = (bits + (((bits >> 16) & 1) + 0x7fff)) >> 16 & 0xffff;
    StoreBits(v == v ? rounded : Bits{} + 0x7fc0, &x->bits);
    return;
  }
#if defined(__F16C__)
  if constexpr (std::is_same_v<T, Half>) {
#if defined(__AVX512F__)
    const __m256i halves = _mm512_maskz_cvtps_ph(kAllLanes, BitCast<__m512>(v),
                                                 _MM_FROUND_TO_NEAREST_INT);
#else
    const __m128i halves =
        _mm256_cvtps_ph(BitCast<__m256>(v), _MM_FROUND_TO_NEAREST_INT);
#endif
    memcpy(static_cast<void*>(x), &halves, sizeof(halves));
    return;
  }
#endif
  A lanes[Lanes<A>::kCount];
  Store(lanes, v);
  for (int i = 0; i < Lanes<A>::kCount; ++i) FromCompute(lanes[i], x + i);
}

// Reads the first `count` lanes, or writes them.

template <typename T>
inline auto LoadLanes(const T* x, int64_t count) {
  if (count == Lanes<ComputeType<T>>::kCount) return Load(x);
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    return BitCast<Vector<float>>(_mm512_maskz_loadu_ps((1 << count) - 1, x));
  }
#endif
  T lanes[Lanes<ComputeType<T>>::kCount] = {};
  memcpy(static_cast<void*>(lanes), x, count * sizeof(T));
  return Load(lanes);
}

template <typename A, typename T>
inline void StoreLanes(T* x, Vector<A> v, int64_t count) {
  constexpr int64_t kCount = Lanes<A>::kCount;
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    if (count < kCount) {
      _mm512_mask_storeu_ps(x, (1 << count) - 1, BitCast<__m512>(v));
      return;
    }
  }
#endif
  if (count == kCount) {
    StoreAs<A>(v, x);
  } else {
    T lanes[kCount];
    StoreAs<A>(v, lanes);
    memcpy(static_cast<void*>(x), lanes, count * sizeof(T));
  }
}

// Vectors of the numbers of lanes, for shuffles. Lists of constants, because
// compilers do not see through loops over lanes.
template <typename A,
          typename Sequence = std::make_integer_sequence<int, Lanes<A>::kCount>>
struct LaneNumbers;

template <typename A, int... l>
struct LaneNumbers<A, std::integer_sequence<int, l...>> {
  typedef typename Lanes<A>::Bits Bits;
  static constexpr int kCount = Lanes<A>::kCount;
  static constexpr int kPiece = 16 / sizeof(A);

  static Vector<A> All() { return Vector<A>{A{l}...}; }
  static Bits Flipped(int bit) { return Bits{l...} ^ bit; }

  // Of two vectors, the lanes without a bit, or those with it.
  template <int bit>
  static Bits Without() {
    return Bits{(l & bit ? kCount + l - bit : l)...};
  }
  template <int bit>
  static Bits With() {
    return Bits{(l & bit ? kCount + l : l + bit)...};
  }

  // The first half of each 16 bytes of two vectors, or the second, alternately.
  static Bits DealtLow() {
    return Bits{(l / kPiece * kPiece + l % kPiece / 2 + l % 2 * kCount)...};
  }
  static Bits DealtHigh() { return DealtLow() + kPiece / 2; }
};

// Lane l of the result is lane from[l] of a, or of b from kCount on.
template <typename A>
inline Vector<A> Shuffle(Vector<A> a, Vector<A> b,
                         typename Lanes<A>::Bits from) {
#if defined(__clang__)
  constexpr int kCount = Lanes<A>::kCount;
  Vector<A> v;
  for (int l = 0; l < kCount; ++l) {
    v[l] = from[l] < kCount ? a[from[l]] : b[from[l] - kCount];
  }
  return v;
#else
  return __builtin_shuffle(a, b, from);
#endif
}

// Returns the sum of all lanes in each.
template <typename A>
inline Vector<A> SumLanes(Vector<A> v) {
#pragma GCC unroll 4
  for (int step = Lanes<A>::kCount / 2; step > 0; step /= 2) {
    v += Shuffle<A>(v, v, LaneNumbers<A>::Flipped(step));
  }
  return v;
}

// 2^f = 1 + f P(f) for f in [-1/2, 1/2]: the coefficients of P, fitted at
// Chebyshev's points. Adding kMagic rounds to the nearest integer, and leaves
// it in the lowest bits.
template <typename A>
struct PowerOfTwo;

template <>
struct PowerOfTwo<float> {
  typedef uint32_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr float kMagic = 0x1.8p23f;
  static constexpr int kMantissa = 23;
  static constexpr float kCoefficients[] = {0.693147188f,    0.2402265076f,
                                            0.05550357114f,  0.009618082557f,
                                            0.001339086336f, 0.0001545316295f};
};

template <>
struct PowerOfTwo<double> {
  typedef uint64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr double kMagic = 0x1.8p52;
  static constexpr int kMantissa = 52;
  static constexpr double kCoefficients[] = {
      0.69314718055994529,    0.24022650695910097,    0.055504108664821597,
      0.0096181291076068882,  0.0013333558146416936,  0.0001540353044173605,
      1.5252733829836119e-05, 1.3215442587921689e-06, 1.0178062445845774e-07,
      7.0725859492692234e-09, 4.4549605981865186e-10};
};

// 2^x for x in [-120, 0], to within two units in the last place.
template <typename A>
inline Vector<A> Exp2(Vector<A> x) {
  typedef PowerOfTwo<A> P;
  constexpr int kTerms = sizeof(P::kCoefficients) / sizeof(A);
  const Vector<A> shifted = x + P::kMagic;
  const Vector<A> f = x - (shifted - P::kMagic);
  Vector<A> p = Vector<A>{} + P::kCoefficients[kTerms - 1];
#pragma GCC unroll 16
  for (int i = kTerms - 2; i >= 0; --i) p = p * f + P::kCoefficients[i];
  p = p * f + A{1};
  typedef typename P::Bits Bits;  // Which may overflow.
  return BitCast<Vector<A>>(BitCast<Bits>(p) +
                            (BitCast<Bits>(shifted) << P::kMantissa));
}

// Swaps pieces of `step` lanes across the diagonal of a square of vectors.
template <typename A, int step>
inline void SwapPieces(Vector<A> (&v)[Lanes<A>::kCount]) {
  constexpr int kCount = Lanes<A>::kCount;
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) {
    if (i & step) continue;
    const Vector<A> a = v[i], b = v[i + step];
    v[i] = Shuffle<A>(a, b, LaneNumbers<A>::template Without<step>());
    v[i + step] = Shuffle<A>(a, b, LaneNumbers<A>::template With<step>());
  }
}

// Transposes a square of vectors: first its squares of 16 bytes, as few
// instructions cross their borders and those are slow; then, within these, each
// round deals the first half of the vectors and the second out alternately.
template <typename A>
inline void TransposeSquare(Vector<A> (&v)[Lanes<A>::kCount]) {
  constexpr int kCount = Lanes<A>::kCount;
  constexpr int kPiece = LaneNumbers<A>::kPiece;
  if constexpr (kCount > 2 * kPiece) SwapPieces<A, 2 * kPiece>(v);
  if constexpr (kCount > kPiece) SwapPieces<A, kPiece>(v);
#pragma GCC unroll 2
  for (int round = 1; round < kPiece; round *= 2) {
    Vector<A> dealt[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount / 2; ++i) {
      const int row = i / (kPiece / 2) * kPiece + i % (kPiece / 2);
      const Vector<A> a = v[row], b = v[row + kPiece / 2];
      dealt[2 * i] = Shuffle<A>(a, b, LaneNumbers<A>::DealtLow());
      dealt[2 * i + 1] = Shuffle<A>(a, b, LaneNumbers<A>::DealtHigh());
    }
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) v[i] = dealt[i];
  }
}

}  // namespace
}  // namespace RATM_SIMD
}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_VECTOR_H_
