// The CPU functors: they choose an instruction set and share the work out.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "Eigen/Core"
#include "custom_ops/axis.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/work.h"
#include "custom_ops/glimpse.h"
#include "custom_ops/types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"

namespace ratm {
namespace {

using CPUDevice = Eigen::ThreadPoolDevice;
using tensorflow::OpKernelContext;

// Numbers as the arithmetic has them.
#define RATM_CAST(T, CPU, ...)                          \
  CPU* Simd(T* x) { return reinterpret_cast<CPU*>(x); } \
  const CPU* Simd(const T* x) { return reinterpret_cast<const CPU*>(x); }
RATM_TYPES(RATM_CAST, RATM_CAST)

template <typename T>
using SimdType =
    std::remove_pointer_t<decltype(Simd(static_cast<T*>(nullptr)))>;

// A rough time for one pass over the average window of images of type T, in
// nanoseconds: products, and what is read for them, which is all that an axis
// spans, or only the taps of each Gaussian.
template <typename T>
double WindowCost(const GlimpseShape& shape, const ComputeType<T>* window) {
  constexpr double kProduct = 0.03;
  constexpr double kConversion = std::is_same_v<T, ComputeType<T>> ? 0 : 0.1;
  constexpr double kLine = 1.5;
  constexpr double kLineBytes = 64;
  // Min takes its first operand, which is none, where the second is NaN.
  const auto taps = [](double sigma, double length) {
    return Min(length, 12 * std::fabs(sigma) + 1);
  };
  const auto span = [](double size, double taps, double stride, double length) {
    return Min(length, (size - 1) * Min(taps, std::fabs(stride)) + taps);
  };
  const int64_t windows = shape.batch * shape.count;
  const int64_t step = std::max<int64_t>(windows / 16, 1);
  double cost = 0;
  int64_t sampled = 0;
  for (int64_t i = 0; i < windows; i += step, ++sampled) {
    const auto* w = window + i * kWindowSize;
    const double taps_y = taps(w[kSigmaY], shape.height);
    const double taps_x = taps(w[kSigmaX], shape.width);
    const double height = span(shape.rows, taps_y, w[kStrideY], shape.height);
    const double width = span(shape.columns, taps_x, w[kStrideX], shape.width);
    const double runs = std::fabs(w[kStrideX]) > taps_x ? shape.columns : 1;
    const double products =
        shape.rows * (taps_y * width + taps_x * shape.columns);
    cost += kProduct * products * shape.channels +
            kConversion * height * width * shape.channels +
            kLine * height *
                (runs + width * shape.channels * sizeof(T) / kLineBytes);
  }
  return cost / sampled + 25 * (shape.rows + shape.columns) + 200;
}

}  // namespace

template <typename T>
struct GaussianGlimpse<CPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const T* images, const ComputeType<T>* window,
                  GlimpseType<T>* glimpses) const {
    OP_REQUIRES_OK(context, Chosen().status);
    const auto run = RATM_CHOSEN(Glimpse<SimdType<T>>);
    const int64_t blocks = CeilDiv(shape.rows, kGlimpseRows);
    ForUnits(context, shape.batch * shape.count * blocks,
             WindowCost<T>(shape, window) / blocks,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               run(shape, Simd(images), window, Simd(glimpses), begin, end,
                   scratch);
             });
  }
};

template <typename T>
struct GaussianGlimpseGradWindow<CPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const T* images, const ComputeType<T>* window,
                  const GlimpseType<T>* grad,
                  ComputeType<T>* window_grad) const {
    OP_REQUIRES_OK(context, Chosen().status);
    const auto run = RATM_CHOSEN(GradWindow<SimdType<T>>);
    const int64_t windows = shape.batch * shape.count;
    if (shape.channels == 0) {
      for (int64_t i = 0; i < windows; ++i) {
        std::fill_n(window_grad + i * kWindowSize, kWindowSize,
                    IsFinite(window + i * kWindowSize) ? 0 : NAN);
      }
      return;
    }
    const int64_t blocks = CeilDiv(shape.rows, kGlimpseRows);
    tensorflow::Tensor memory;
    OP_REQUIRES_OK(
        context,
        context->allocate_temp(
            tensorflow::DT_DOUBLE,
            tensorflow::TensorShape({windows, blocks, kWindowSize}), &memory));
    double* const sums = memory.flat<double>().data();
    ForUnits(context, windows * blocks,
             2.2 * WindowCost<T>(shape, window) / blocks,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               run(shape, Simd(images), window, Simd(grad), sums, begin, end,
                   scratch);
             });
    if (!context->status().ok()) return;
    for (int64_t i = 0; i < windows; ++i) {
      for (int j = 0; j < kWindowSize; ++j) {
        double total = 0;
        for (int64_t block = 0; block < blocks; ++block) {
          total += sums[(i * blocks + block) * kWindowSize + j];
        }
        window_grad[i * kWindowSize + j] = static_cast<ComputeType<T>>(total);
      }
    }
  }
};

template <typename T>
struct GaussianGlimpseGradImages<CPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const ComputeType<T>* window, const T* grad,
                  T* images_grad) const {
    OP_REQUIRES_OK(context, Chosen().status);
    const auto run = RATM_CHOSEN(GradImages<SimdType<T>>);
    const int64_t tiles = CeilDiv(shape.height, kImageTileRows) *
                          CeilDiv(shape.width, ImageTilePixels(shape));
    const double fill_cost = 0.2 * shape.height * shape.width * shape.channels;
    const double image_cost =
        shape.count > 0 ? shape.count * WindowCost<T>(shape, window) : 0;
    ForUnits(context, shape.batch * tiles, (2 * image_cost + fill_cost) / tiles,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               run(shape, window, Simd(grad), Simd(images_grad), begin, end,
                   scratch);
             });
  }
};

#define RATM_INSTANTIATE(T, ...)                 \
  template struct GaussianGlimpse<CPUDevice, T>; \
  template struct GaussianGlimpseGradWindow<CPUDevice, T>;
#define RATM_INSTANTIATE_FLOATING(T, ...) \
  RATM_INSTANTIATE(T)                     \
  template struct GaussianGlimpseGradImages<CPUDevice, T>;
RATM_TYPES(RATM_INSTANTIATE, RATM_INSTANTIATE_FLOATING)

}  // namespace ratm
