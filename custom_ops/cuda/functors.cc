// The GPU functors: they find memory and launch the CUDA kernels.

#define EIGEN_USE_GPU

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/cuda/launch.h"
#include "custom_ops/glimpse.h"
#include "custom_ops/types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "unsupported/Eigen/CXX11/Tensor"

namespace ratm {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;

using GPUDevice = Eigen::GpuDevice;

// Numbers as the kernels have them.
#define RATM_CAST(T, CPU, CUDA)                                            \
  [[maybe_unused]] CUDA* Cuda(T* x) { return reinterpret_cast<CUDA*>(x); } \
  const CUDA* Cuda(const T* x) { return reinterpret_cast<const CUDA*>(x); }
RATM_TYPES(RATM_CAST, RATM_CAST)

absl::Status CheckSides(const GlimpseShape& shape) {
  for (int64_t side : {shape.height, shape.width * shape.channels, shape.rows,
                       shape.columns * shape.channels}) {
    if (side > kMaxSide) {
      return absl::InvalidArgumentError(
          absl::StrCat("a row or a column must have at most ", kMaxSide,
                       " numbers for the GPU, got ", side));
    }
  }
  return absl::OkStatus();
}

absl::Status Launched(cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the Gaussian glimpse did not launch: ", cudaGetErrorString(error)));
}

}  // namespace

template <typename T>
struct GaussianGlimpse<GPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const T* images, const ComputeType<T>* window,
                  GlimpseType<T>* glimpses) const {
    OP_REQUIRES_OK(context, CheckSides(shape));
    OP_REQUIRES_OK(context, Launched(LaunchGlimpse(
                                shape, Cuda(images), window, Cuda(glimpses),
                                context->eigen_device<GPUDevice>().stream())));
  }
};

template <typename T>
struct GaussianGlimpseGradWindow<GPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const T* images, const ComputeType<T>* window,
                  const GlimpseType<T>* grad,
                  ComputeType<T>* window_grad) const {
    OP_REQUIRES_OK(context, CheckSides(shape));
    Tensor scratch;
    OP_REQUIRES_OK(context,
                   context->allocate_temp(
                       tensorflow::DT_INT8,
                       tensorflow::TensorShape({GradWindowScratchBytes(shape)}),
                       &scratch));
    OP_REQUIRES_OK(context, Launched(LaunchGradWindow(
                                shape, Cuda(images), window, Cuda(grad),
                                scratch.data(), window_grad,
                                context->eigen_device<GPUDevice>().stream())));
  }
};

template <typename T>
struct GaussianGlimpseGradImages<GPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const ComputeType<T>* window, const T* grad,
                  T* images_grad) const {
    OP_REQUIRES_OK(context, CheckSides(shape));
    OP_REQUIRES_OK(context, Launched(LaunchGradImages(
                                shape, window, Cuda(grad), Cuda(images_grad),
                                context->eigen_device<GPUDevice>().stream())));
  }
};

#define RATM_INSTANTIATE(T, ...)                 \
  template struct GaussianGlimpse<GPUDevice, T>; \
  template struct GaussianGlimpseGradWindow<GPUDevice, T>;
#define RATM_INSTANTIATE_FLOATING(T, ...) \
  RATM_INSTANTIATE(T)                     \
  template struct GaussianGlimpseGradImages<GPUDevice, T>;
RATM_TYPES(RATM_INSTANTIATE, RATM_INSTANTIATE_FLOATING)

}  // namespace ratm
