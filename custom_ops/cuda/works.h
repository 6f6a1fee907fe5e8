// What each op has CUDA do, in order. `launch` does it, on a GPU or elsewhere:
// launch(work) does all units of a Work (see blocks.h), and launch.Zero(to,
// bytes) clears memory.

#ifndef RATM_TF_CUSTOM_OPS_CUDA_WORKS_H_
#define RATM_TF_CUSTOM_OPS_CUDA_WORKS_H_

#include <cstdint>

#include "custom_ops/cuda/blocks.h"
#include "custom_ops/cuda/grad_images.h"
#include "custom_ops/cuda/tiles.h"
#include "custom_ops/glimpse.h"

namespace ratm {

template <typename T, typename Launch>
void DoGlimpse(const GlimpseShape& shape, const T* images,
               const ComputeType<T>* windows, GlimpseType<T>* glimpses,
               Launch& launch) {
  const blocks::Shape sizes(shape);
  launch(blocks::Glimpse<T>{sizes, blocks::Tiling(sizes), images, windows,
                            glimpses});
}

// The numbers of scratch memory that the gradient needs, maybe none.
inline int64_t GradWindowSums(const GlimpseShape& shape) {
  const int64_t tiles = blocks::Tiling(blocks::Shape(shape)).tiles;
  return tiles == 1 ? 0 : shape.batch * shape.count * tiles * kWindowSize;
}

template <typename T, typename Launch>
void DoGradWindow(const GlimpseShape& shape, const T* images,
                  const ComputeType<T>* windows, const GlimpseType<T>* grad,
                  double* sums, ComputeType<T>* window_grad, Launch& launch) {
  const blocks::Shape sizes(shape);
  const blocks::Tiling tiling(sizes);
  launch(blocks::GradWindow<T>{sizes, tiling, images, windows, grad, sums,
                               window_grad});
  if (tiling.tiles == 1) return;
  launch(blocks::TotalOfTiles<ComputeType<T>>{
      shape.batch * shape.count * kWindowSize, tiling.tiles, windows, sums,
      window_grad});
}

template <typename T, typename Launch>
void DoGradImages(const GlimpseShape& shape, const ComputeType<T>* windows,
                  const T* grad, T* images_grad, Launch& launch) {
  launch.Zero(images_grad, shape.batch * shape.height * shape.width *
                               shape.channels * sizeof(T));
  launch(blocks::GradImages<T>(shape, windows, grad, images_grad));
}

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CUDA_WORKS_H_
