// What kernels ask of their inputs and outputs, and shape functions of theirs.

#ifndef RATM_TF_CUSTOM_OPS_TENSORS_H_
#define RATM_TF_CUSTOM_OPS_TENSORS_H_

#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/platform/errors.h"

namespace ratm {

inline tensorflow::shape_inference::DimensionHandle Dim(
    tensorflow::shape_inference::InferenceContext* c, int input, int axis) {
  return c->RankKnown(c->input(input)) ? c->Dim(c->input(input), axis)
                                       : c->UnknownDim();
}

inline absl::Status CheckRanks(tensorflow::shape_inference::InferenceContext* c,
                               std::initializer_list<int> ranks) {
  int input = 0;
  for (const int rank : ranks) {
    tensorflow::shape_inference::ShapeHandle unused;
    TF_RETURN_IF_ERROR(c->WithRank(c->input(input++), rank, &unused));
  }
  return absl::OkStatus();
}

// Requires an input to have a shape; -1 is any size.
inline absl::Status CheckShape(tensorflow::OpKernelContext* context, int input,
                               std::initializer_list<int64_t> expected) {
  const tensorflow::TensorShape& shape = context->input(input).shape();
  bool fits = shape.dims() == static_cast<int>(expected.size());
  int axis = 0;
  for (const int64_t size : expected) {
    fits = fits && (size == -1 || shape.dim_size(axis) == size);
    ++axis;
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("input ", input, " must have the shape ",
                   tensorflow::PartialTensorShape(expected).DebugString(),
                   ", got ", shape.DebugString()));
}

inline const float* Input(tensorflow::OpKernelContext* context, int index) {
  return context->input(index).flat<float>().data();
}

// Allocates an output; null where it has no numbers or cannot be.
inline float* Output(tensorflow::OpKernelContext* context, int index,
                     std::initializer_list<int64_t> sizes) {
  tensorflow::TensorShape shape;
  absl::Status status =
      tensorflow::TensorShape::BuildTensorShape(sizes, &shape);
  tensorflow::Tensor* output = nullptr;
  if (status.ok()) status = context->allocate_output(index, shape, &output);
  if (!status.ok()) context->SetStatus(status);
  if (!status.ok() || output->NumElements() == 0) return nullptr;
  return output->flat<float>().data();
}

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_TENSORS_H_
