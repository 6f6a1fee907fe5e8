// The types of images, once for all that is instantiated or registered.

#ifndef RATM_TF_CUSTOM_OPS_TYPES_H_
#define RATM_TF_CUSTOM_OPS_TYPES_H_

// Calls TYPE(T, CPU, CUDA) for each type without a gradient with respect to
// the images, and FLOATING_TYPE for each with one: the type as TensorFlow has
// it, as the CPU's arithmetic and as CUDA's, which know no Eigen.
#define RATM_TYPES(TYPE, FLOATING_TYPE)                   \
  TYPE(uint8_t, uint8_t, uint8_t)                         \
  FLOATING_TYPE(Eigen::bfloat16, BFloat16, __nv_bfloat16) \
  FLOATING_TYPE(Eigen::half, Half, __half)                \
  FLOATING_TYPE(float, float, float)                      \
  FLOATING_TYPE(double, double, double)

#endif  // RATM_TF_CUSTOM_OPS_TYPES_H_
