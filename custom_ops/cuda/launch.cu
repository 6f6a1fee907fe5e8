#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/blocks.h"
#include "custom_ops/cuda/grad_images.h"
#include "custom_ops/cuda/launch.h"
#include "custom_ops/types.h"

namespace ratm {
namespace {

constexpr int64_t kMaxGrid = 0x7fffffff;
// Shared memory that a block has without asking for it.
constexpr int kMaxBytes = 48 << 10;

struct CudaBlock {
  template <typename F>
  __device__ void Phase(F f) const {
    f(static_cast<int>(threadIdx.x));
    __syncthreads();
  }

  // Each thread has its own, in registers.
  template <typename Value>
  struct PerThread {
    Value value;
    __device__ Value& operator[](int) { return value; }
  };
};

template <typename Work>
__global__ void __launch_bounds__(blocks::kThreads, Work::kBlocks)
    Run(const __grid_constant__ Work work) {
  extern __shared__ __align__(16) unsigned char memory[];
  auto& shared = *reinterpret_cast<typename Work::Shared*>(memory);
  for (int64_t unit = blockIdx.x; unit < work.units(); unit += gridDim.x) {
    work(CudaBlock(), unit, shared);
  }
}

template <typename Work>
cudaError_t Launch(const Work& work, cudaStream_t stream) {
  const int64_t grid = Min(work.units(), kMaxGrid);
  if (grid == 0) return cudaSuccess;
  constexpr int kBytes = sizeof(typename Work::Shared);
  if (kBytes > kMaxBytes) {
    const cudaError_t error = cudaFuncSetAttribute(
        Run<Work>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
    if (error != cudaSuccess) return error;
  }
  Run<<<static_cast<unsigned>(grid), blocks::kThreads, kBytes, stream>>>(work);
  return cudaGetLastError();
}

}  // namespace

template <typename T>
cudaError_t LaunchGlimpse(const GlimpseShape& shape, const T* images,
                          const ComputeType<T>* window,
                          GlimpseType<T>* glimpses, cudaStream_t stream) {
  const blocks::Shape sizes(shape);
  return Launch(blocks::Glimpse<T>{sizes, blocks::Tiling(sizes), images, window,
                                   glimpses},
                stream);
}

int64_t GradWindowScratchBytes(const GlimpseShape& shape) {
  const int64_t tiles = blocks::Tiling(blocks::Shape(shape)).tiles;
  return tiles == 1 ? 0
                    : shape.batch * shape.count * tiles * kWindowSize *
                          static_cast<int64_t>(sizeof(double));
}

template <typename T>
cudaError_t LaunchGradWindow(const GlimpseShape& shape, const T* images,
                             const ComputeType<T>* window,
                             const GlimpseType<T>* grad, void* scratch,
                             ComputeType<T>* window_grad, cudaStream_t stream) {
  const blocks::Shape sizes(shape);
  const blocks::Tiling tiling(sizes);
  double* sums = static_cast<double*>(scratch);
  const cudaError_t error =
      Launch(blocks::GradWindow<T>{sizes, tiling, images, window, grad, sums,
                                   window_grad},
             stream);
  if (error != cudaSuccess || tiling.tiles == 1) return error;
  return Launch(
      blocks::TotalOfTiles<ComputeType<T>>{
          shape.batch * shape.count * kWindowSize, tiling.tiles, window, sums,
          window_grad},
      stream);
}

template <typename T>
cudaError_t LaunchGradImages(const GlimpseShape& shape,
                             const ComputeType<T>* window, const T* grad,
                             T* images_grad, cudaStream_t stream) {
  return Launch(blocks::GradImages<T>(shape, window, grad, images_grad),
                stream);
}

#define RATM_INSTANTIATE(_, __, T)                                      \
  template cudaError_t LaunchGlimpse<T>(const GlimpseShape&, const T*,  \
                                        const ComputeType<T>*,          \
                                        GlimpseType<T>*, cudaStream_t); \
  template cudaError_t LaunchGradWindow<T>(                             \
      const GlimpseShape&, const T*, const ComputeType<T>*,             \
      const GlimpseType<T>*, void*, ComputeType<T>*, cudaStream_t);
#define RATM_INSTANTIATE_FLOATING(_, __, T) \
  RATM_INSTANTIATE(_, __, T)                \
  template cudaError_t LaunchGradImages<T>( \
      const GlimpseShape&, const ComputeType<T>*, const T*, T*, cudaStream_t);
RATM_TYPES(RATM_INSTANTIATE, RATM_INSTANTIATE_FLOATING)

}  // namespace ratm
