// The CUDA kernels, launched on a stream. T is the type of the images: uint8_t,
// __nv_bfloat16, __half, float or double. All pointers are to device memory.
// There must be at least one pixel, and one row and column in a glimpse.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_LAUNCH_H_
#define RATM_TF_CUSTOM_OPS_CUDA_LAUNCH_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "custom_ops/glimpse.h"

namespace ratm {

// The most numbers of a row or column, of images as of glimpses.
constexpr int64_t kMaxSide = 1 << 30;

template <typename T>
cudaError_t LaunchGlimpse(const GlimpseShape& shape, const T* images,
                          const ComputeType<T>* window,
                          GlimpseType<T>* glimpses, cudaStream_t stream);

// The gradient with respect to the window needs so many bytes of scratch
// memory, maybe none.
int64_t GradWindowScratchBytes(const GlimpseShape& shape);

template <typename T>
cudaError_t LaunchGradWindow(const GlimpseShape& shape, const T* images,
                             const ComputeType<T>* window,
                             const GlimpseType<T>* grad, void* scratch,
                             ComputeType<T>* window_grad, cudaStream_t stream);

// T is not uint8_t.
template <typename T>
cudaError_t LaunchGradImages(const GlimpseShape& shape,
                             const ComputeType<T>* window, const T* grad,
                             T* images_grad, cudaStream_t stream);

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_LAUNCH_H_
