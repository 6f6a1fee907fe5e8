#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "custom_ops/axis.h"
#include "custom_ops/cuda/filters.h"
#include "custom_ops/cuda/launch.h"
#include "custom_ops/cuda/works.h"
#include "custom_ops/types.h"

namespace ratm {
namespace {

constexpr int64_t kMaxGrid = 0x7fffffff;
// Shared memory that a block has without asking for it.
constexpr int kMaxBytes = 48 << 10;

template <int threads>
struct CudaBlock {
  static constexpr int kThreads = threads;

  template <typename F>
  __device__ void Phase(F f) const {
    // Which shows that it is not negative.
    f(static_cast<int>(threadIdx.x % kThreads));
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
__global__ void __launch_bounds__(Work::kThreads, Work::kBlocks)
    Run(const __grid_constant__ Work work) {
  extern __shared__ __align__(16) unsigned char memory[];
  auto& shared = *reinterpret_cast<typename Work::Shared*>(memory);
  // A block does one unit, as what a loop's turns share would come before all.
  const int64_t unit =
      blockIdx.x + static_cast<int64_t>(blockIdx.y) * gridDim.x;
  if (blockIdx.y > 0 && unit >= work.units()) return;
  work(CudaBlock<Work::kThreads>(), unit, shared);
}

// Launches works on a stream, until one fails.
struct Launch {
  cudaStream_t stream;
  cudaError_t error = cudaSuccess;

  template <typename Work>
  void operator()(const Work& work) {
    const int64_t units = work.units();
    if (units == 0 || error != cudaSuccess) return;
    const dim3 grid(Min(units, kMaxGrid), CeilDiv(units, kMaxGrid));
    constexpr int kBytes = sizeof(typename Work::Shared);
    if (kBytes > kMaxBytes) {
      error = cudaFuncSetAttribute(
          Run<Work>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
      if (error != cudaSuccess) return;
    }
    Run<<<grid, Work::kThreads, kBytes, stream>>>(work);
    error = cudaGetLastError();
  }

  void Zero(void* to, int64_t bytes) {
    if (bytes == 0 || error != cudaSuccess) return;
    error = cudaMemsetAsync(to, 0, bytes, stream);
  }
};

}  // namespace

template <typename T>
cudaError_t LaunchGlimpse(const GlimpseShape& shape, const T* images,
                          const ComputeType<T>* window,
                          GlimpseType<T>* glimpses, cudaStream_t stream) {
  Launch launch = {stream};
  DoGlimpse(shape, images, window, glimpses, launch);
  return launch.error;
}

int64_t GradWindowScratchBytes(const GlimpseShape& shape) {
  return GradWindowSums(shape) * static_cast<int64_t>(sizeof(double));
}

template <typename T>
cudaError_t LaunchGradWindow(const GlimpseShape& shape, const T* images,
                             const ComputeType<T>* window,
                             const GlimpseType<T>* grad, void* scratch,
                             ComputeType<T>* window_grad, cudaStream_t stream) {
  Launch launch = {stream};
  DoGradWindow(shape, images, window, grad, static_cast<double*>(scratch),
               window_grad, launch);
  return launch.error;
}

template <typename T>
cudaError_t LaunchGradImages(const GlimpseShape& shape,
                             const ComputeType<T>* window, const T* grad,
                             T* images_grad, cudaStream_t stream) {
  Launch launch = {stream};
  DoGradImages(shape, window, grad, images_grad, launch);
  return launch.error;
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
