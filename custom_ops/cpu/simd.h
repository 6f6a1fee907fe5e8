// The arithmetic of the CPU functors. It is compiled once for each instruction
// set, each in a namespace of its own, and the functors choose at run time.
//
// Work is cut into units that do not depend on the number of threads; a call
// does the units [begin, end). It throws std::bad_alloc where there is no
// memory.

#ifndef RATM_TF_CUSTOM_OPS_CPU_SIMD_H_
#define RATM_TF_CUSTOM_OPS_CPU_SIMD_H_

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/glimpse.h"

namespace ratm {

// Numbers of 16 bits, laid out as TensorFlow's types of the same names.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

// A unit of Glimpse or GradWindow is so many rows of one glimpse.
constexpr int64_t kGlimpseRows = 32;

// A unit of GradImages is a tile of one image: so many rows, by as many pixels
// as hold so many numbers.
constexpr int64_t kImageTileRows = 256;
constexpr int64_t kImageTileNumbers = 1024;

namespace {
inline int64_t ImageTilePixels(const GlimpseShape& shape) {
  return Max(kImageTileNumbers / shape.channels, int64_t{1});
}
}  // namespace

// Maps are [cells, cells, channels] and have frequencies [rows, columns]; a row
// of these is real parts [columns, channels], then imaginary ones.
struct CorrelationShape {
  int64_t cells;
  int64_t channels;
  int64_t rows;
  int64_t columns;
};

// Glimpses are [pixels, channels] in rows of so many columns, histograms have
// size = bins^channels colours, likelihoods are [cells, cells].
struct ColourShape {
  int64_t pixels;
  int64_t columns;
  int64_t channels;
  int64_t bins;
  int64_t size;
  int64_t cells;
};

// Maps [rows, columns, channels] become expanded ones by a convolution of so
// many rows and columns, these convolved ones by 3 x 3 of each alone, and those
// the ones that go out.
struct ResidualShape {
  int64_t rows;
  int64_t columns;
  int64_t channels;
  int64_t size;
  int64_t expand_stride;
  int64_t expanded_rows;
  int64_t expanded_columns;
  int64_t expanded;
  int64_t stride;
  int64_t out_rows;
  int64_t out_columns;
  int64_t out;
};

// The arrays of Ratm>InvertedResidual, by their names there.
struct ResidualArrays {
  const float* maps;
  const float* expand;
  const float* expand_bias;
  const float* depthwise;
  const float* depthwise_bias;
  const float* project;
  const float* project_bias;
  float* out;
};

// There are so many sequences of so many steps; the glimpse's own batch and
// count are 1. Sequences may share one video.
struct RecurrenceShape {
  GlimpseShape glimpse;
  int64_t batch;
  int64_t steps;
  int64_t units;
  bool shared;
  float min_sigma;
};

// The arrays of Ratm>Recurrence, by their names there.
template <typename T>
struct RecurrenceArrays {
  const T* frames;
  const float* activations;
  const float* hidden;
  const float* window_bias;
  const float* kernel;
  const float* recurrent_kernel;
  const float* bias;
  const float* window_kernel;
  float* windows;
  float* glimpses;
  float* last_hidden;
  float* last_activations;
  float* hiddens;
  float* following;
};

// And those of Ratm>RecurrenceGrad, with its kernels transposed.
template <typename T>
struct RecurrenceGradArrays {
  const T* frames;
  const float* activations;
  const float* hidden;
  const float* kernel_across;
  const float* recurrent_kernel_across;
  const float* window_kernel_across;
  const float* windows;
  const float* glimpses;
  const float* hiddens;
  const float* following;
  const float* by_windows;
  const float* by_glimpses;
  const float* by_last_hidden;
  const float* by_last_activations;
  // For each step the hidden units before it, and the gradients of Eq. 1 and 5.
  float* before;
  float* totals;
  float* updates;
  float* by_activations;
  float* by_hidden;
  float* by_window_bias;
  float* by_kernel;
  float* by_recurrent_kernel;
  float* by_bias;
  float* by_window_kernel;
};

#define RATM_DECLARE_SIMD(NAMESPACE)                                           \
  namespace NAMESPACE {                                                        \
  template <typename T>                                                        \
  void Glimpse(const GlimpseShape& shape, const T* images,                     \
               const ComputeType<T>* window, GlimpseType<T>* glimpses,         \
               int64_t begin, int64_t end, Scratch* scratch);                  \
  /* Writes kWindowSize sums for each unit; their total is the gradient. */    \
  template <typename T>                                                        \
  void GradWindow(const GlimpseShape& shape, const T* images,                  \
                  const ComputeType<T>* window, const GlimpseType<T>* grad,    \
                  double* sums, int64_t begin, int64_t end, Scratch* scratch); \
  template <typename T>                                                        \
  void GradImages(const GlimpseShape& shape, const ComputeType<T>* window,     \
                  const T* grad, T* images_grad, int64_t begin, int64_t end,   \
                  Scratch* scratch);                                           \
  /* A unit is a sequence. */                                                  \
  template <typename T>                                                        \
  void Recurrence(const RecurrenceShape& shape,                                \
                  const RecurrenceArrays<T>& arrays, int64_t begin,            \
                  int64_t end, Scratch* scratch);                              \
  template <typename T>                                                        \
  void RecurrenceGrad(const RecurrenceShape& shape,                            \
                      const RecurrenceGradArrays<T>& arrays, int64_t begin,    \
                      int64_t end, Scratch* scratch);                          \
  /* A unit is a row of the kernel, then of the recurrent one; then the rest.  \
   */                                                                          \
  template <typename T>                                                        \
  void RecurrenceWeightGrad(const RecurrenceShape& shape,                      \
                            const RecurrenceGradArrays<T>& arrays,             \
                            int64_t begin, int64_t end, Scratch* scratch);     \
  /* A unit of what follows is a window. */                                    \
  void CorrelationFit(const CorrelationShape& shape, const float* maps,        \
                      const float* rows, const float* columns,                 \
                      const float* label, float* numerators, float* powers,    \
                      int64_t begin, int64_t end, Scratch* scratch);           \
  void CorrelationSolve(const CorrelationShape& shape,                         \
                        const float* numerators, const float* powers,          \
                        float ridge, int64_t rounds, const float* to_columns,  \
                        const float* rows_inside, const float* columns_inside, \
                        float* filters, int64_t begin, int64_t end,            \
                        Scratch* scratch);                                     \
  /* Each filter is for so many windows. */                                    \
  void CorrelationRespond(const CorrelationShape& shape, const float* filters, \
                          const float* maps, int64_t count, const float* rows, \
                          const float* columns, const float* from_columns,     \
                          const float* from_rows, float* responses,            \
                          int64_t begin, int64_t end, Scratch* scratch);       \
  void ResponsePeak(int64_t cells, const float* responses, float* places,      \
                    float* heights, float* sharpnesses, int64_t begin,         \
                    int64_t end);                                              \
  void ColourHistograms(const ColourShape& shape, const float* glimpses,       \
                        const float* areas, float neighbours,                  \
                        float* histograms, int64_t begin, int64_t end,         \
                        Scratch* scratch);                                     \
  void ColourLikelihood(const ColourShape& shape, const float* histograms,     \
                        const float* glimpses, const float* rows,              \
                        const float* columns, float doubt, float* likelihoods, \
                        int64_t begin, int64_t end, Scratch* scratch);         \
  void Standardized(int64_t rows, int64_t width, int64_t channels,             \
                    bool centred, float ridge, float floor, const float* maps, \
                    float* out, int64_t begin, int64_t end, Scratch* scratch); \
  void InvertedResidual(const ResidualShape& shape,                            \
                        const ResidualArrays& arrays, int64_t begin,           \
                        int64_t end, Scratch* scratch);                        \
  }

RATM_DECLARE_SIMD(generic)
RATM_DECLARE_SIMD(avx2)
RATM_DECLARE_SIMD(avx512)

#undef RATM_DECLARE_SIMD

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_SIMD_H_
