// The functors behind the Gaussian glimpse ops, one declaration for all
// devices. T is the type of the images.

#ifndef RATM_TF_CUSTOM_OPS_GLIMPSE_H_
#define RATM_TF_CUSTOM_OPS_GLIMPSE_H_

#include <cstdint>
#include <type_traits>

namespace tensorflow {
class OpKernelContext;
}  // namespace tensorflow

namespace ratm {

// Images are [batch, height, width, channels], windows [batch, count, 6] and
// glimpses [batch, count, rows, columns, channels].
struct GlimpseShape {
  int64_t batch;
  int64_t count;
  int64_t height;
  int64_t width;
  int64_t channels;
  int64_t rows;
  int64_t columns;
};

// The numbers of a window, in pixels.
enum WindowIndex {
  kCenterX,
  kCenterY,
  kSigmaX,
  kSigmaY,
  kStrideX,
  kStrideY,
  kWindowSize
};

// Smaller (and negative) standard deviations count as this many pixels.
constexpr double kMinSigma = 1e-6;

// The type of the windows, and of sums.
template <typename T>
using ComputeType =
    std::conditional_t<std::is_same_v<T, double>, double, float>;

// The type of the glimpses, and of gradients with respect to the images.
template <typename T>
using GlimpseType = std::conditional_t<std::is_same_v<T, uint8_t>, float, T>;

// glimpse = F_Y x F_X^T, for each channel alone. A window that is not finite
// gives NaN. A functor that fails says so through the context.
template <typename Device, typename T>
struct GaussianGlimpse {
  void operator()(tensorflow::OpKernelContext* context,
                  const GlimpseShape& shape, const T* images,
                  const ComputeType<T>* window, GlimpseType<T>* glimpses) const;
};

// The gradient with respect to the window, given that of the glimpses.
template <typename Device, typename T>
struct GaussianGlimpseGradWindow {
  void operator()(tensorflow::OpKernelContext* context,
                  const GlimpseShape& shape, const T* images,
                  const ComputeType<T>* window, const GlimpseType<T>* grad,
                  ComputeType<T>* window_grad) const;
};

// The gradient with respect to the images, given that of the glimpses. Windows
// that are not finite add nothing.
template <typename Device, typename T>
struct GaussianGlimpseGradImages {
  void operator()(tensorflow::OpKernelContext* context,
                  const GlimpseShape& shape, const ComputeType<T>* window,
                  const T* grad, T* images_grad) const;
};

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_GLIMPSE_H_
