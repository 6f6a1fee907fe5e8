// The GPU functors: they find memory and launch the CUDA kernels.

#define EIGEN_USE_GPU

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/gaussian_glimpse.h"
#include "custom_ops/gaussian_glimpse_cuda.h"
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

// The 16-bit types of the kernels, which know no Eigen.
template <typename T>
using CudaType = std::conditional_t<
    std::is_same_v<T, Eigen::half>, __half,
    std::conditional_t<std::is_same_v<T, Eigen::bfloat16>, __nv_bfloat16, T>>;

template <typename T>
const CudaType<T>* Cuda(const T* x) {
  return reinterpret_cast<const CudaType<T>*>(x);
}
template <typename T>
CudaType<T>* Cuda(T* x) {
  return reinterpret_cast<CudaType<T>*>(x);
}

absl::Status Launched(cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the Gaussian glimpse did not launch: ", cudaGetErrorString(error)));
}

absl::Status AllocateScratch(OpKernelContext* context, int64_t bytes,
                             Tensor* scratch) {
  return context->allocate_temp(tensorflow::DT_INT8,
                                tensorflow::TensorShape({bytes}), scratch);
}

}  // namespace

template <typename T>
struct GaussianGlimpse<GPUDevice, T> {
  void operator()(OpKernelContext* context, const GlimpseShape& shape,
                  const T* images, const ComputeType<T>* window,
                  GlimpseType<T>* glimpses) const {
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
    Tensor scratch;
    OP_REQUIRES_OK(
        context,
        AllocateScratch(context, GradWindowScratchBytes<CudaType<T>>(shape),
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
    Tensor scratch;
    OP_REQUIRES_OK(
        context,
        AllocateScratch(context, GradImagesScratchBytes<CudaType<T>>(shape),
                        &scratch));
    OP_REQUIRES_OK(context, Launched(LaunchGradImages(
                                shape, window, Cuda(grad), scratch.data(),
                                Cuda(images_grad),
                                context->eigen_device<GPUDevice>().stream())));
  }
};

#define RATM_INSTANTIATE(T)                      \
  template struct GaussianGlimpse<GPUDevice, T>; \
  template struct GaussianGlimpseGradWindow<GPUDevice, T>;
#define RATM_INSTANTIATE_FLOATING(T) \
  RATM_INSTANTIATE(T)                \
  template struct GaussianGlimpseGradImages<GPUDevice, T>;

RATM_INSTANTIATE(uint8_t)
RATM_INSTANTIATE_FLOATING(Eigen::bfloat16)
RATM_INSTANTIATE_FLOATING(Eigen::half)
RATM_INSTANTIATE_FLOATING(float)
RATM_INSTANTIATE_FLOATING(double)

}  // namespace ratm
