#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "custom_ops/cuda/blocks.h"
#include "custom_ops/cuda/launch.h"
#include "custom_ops/types.h"

namespace ratm {
namespace {

constexpr int64_t kMaxGrid = 0x7fffffff;

struct CudaBlock {
  template <typename F>
  __device__ void Phase(F f) const {
    f(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
};

template <typename Work>
__global__ void __launch_bounds__(blocks::kThreads)
    Run(const __grid_constant__ Work work) {
  __shared__ typename Work::Shared shared;
  for (int64_t unit = blockIdx.x; unit < work.units(); unit += gridDim.x) {
    work(CudaBlock(), unit, shared);
  }
}

template <typename Work>
cudaError_t Launch(const Work& work, cudaStream_t stream) {
  const int64_t grid = Min(work.units(), kMaxGrid);
  if (grid == 0) return cudaSuccess;
  Run<<<static_cast<unsigned>(grid), blocks::kThreads, 0, stream>>>(work);
  return cudaGetLastError();
}

}  // namespace

template <typename T>
cudaError_t LaunchGlimpse(const GlimpseShape& shape, const T* images,
                          const ComputeType<T>* window,
                          GlimpseType<T>* glimpses, cudaStream_t stream) {
  return Launch(blocks::Glimpse<T>{shape, blocks::Tiling(shape), images, window,
                                   glimpses},
                stream);
}

template <typename T>
int64_t GradWindowScratchBytes(const GlimpseShape& shape) {
  return shape.batch * shape.count * blocks::Tiling(shape).tiles() *
         kWindowSize * sizeof(double);
}

template <typename T>
cudaError_t LaunchGradWindow(const GlimpseShape& shape, const T* images,
                             const ComputeType<T>* window,
                             const GlimpseType<T>* grad, void* scratch,
                             ComputeType<T>* window_grad, cudaStream_t stream) {
  const blocks::Tiling tiling(shape);
  double* sums = static_cast<double*>(scratch);
  const cudaError_t error = Launch(
      blocks::GradWindowOfTiles<T>{shape, tiling, images, window, grad, sums},
      stream);
  if (error != cudaSuccess) return error;
  return Launch(
      blocks::GradWindow<ComputeType<T>>{
          shape.batch * shape.count * kWindowSize, tiling.tiles(), window, sums,
          window_grad},
      stream);
}

template <typename T>
int64_t GradImagesScratchBytes(const GlimpseShape& shape) {
  return shape.batch * shape.count * (shape.rows + shape.columns) *
         sizeof(blocks::Filter<ComputeType<T>>);
}

template <typename T>
cudaError_t LaunchGradImages(const GlimpseShape& shape,
                             const ComputeType<T>* window, const T* grad,
                             void* scratch, T* images_grad,
                             cudaStream_t stream) {
  typedef ComputeType<T> A;
  auto* filters = static_cast<blocks::Filter<A>*>(scratch);
  const cudaError_t error =
      Launch(blocks::BuildBanks<A>{shape, window, filters}, stream);
  if (error != cudaSuccess) return error;
  return Launch(
      blocks::GradImages<T>{shape, window, filters, grad, images_grad}, stream);
}

#define RATM_INSTANTIATE(_, __, T)                                      \
  template cudaError_t LaunchGlimpse<T>(const GlimpseShape&, const T*,  \
                                        const ComputeType<T>*,          \
                                        GlimpseType<T>*, cudaStream_t); \
  template int64_t GradWindowScratchBytes<T>(const GlimpseShape&);      \
  template cudaError_t LaunchGradWindow<T>(                             \
      const GlimpseShape&, const T*, const ComputeType<T>*,             \
      const GlimpseType<T>*, void*, ComputeType<T>*, cudaStream_t);
#define RATM_INSTANTIATE_FLOATING(_, __, T)                                 \
  RATM_INSTANTIATE(_, __, T)                                                \
  template int64_t GradImagesScratchBytes<T>(const GlimpseShape&);          \
  template cudaError_t LaunchGradImages<T>(const GlimpseShape&,             \
                                           const ComputeType<T>*, const T*, \
                                           void*, T*, cudaStream_t);

RATM_TYPES(RATM_INSTANTIATE, RATM_INSTANTIATE_FLOATING)

}  // namespace ratm
