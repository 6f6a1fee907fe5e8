// The op of an inverted residual, the function of
// ratm_tf/features/inverted_residual.py, and its kernel for the CPU.

#include <cstdint>

#include "absl/status/status.h"
#include "custom_ops/axis.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/work.h"
#include "custom_ops/tensors.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/errors.h"

namespace ratm {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;

// A product of a number with a sum, in nanoseconds.
constexpr double kProduct = 0.03;

class InvertedResidualOp : public OpKernel {
 public:
  explicit InvertedResidualOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context,
                   context->GetAttr("expand_strides", &expand_strides_));
    OP_REQUIRES_OK(context, context->GetAttr("strides", &strides_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    OP_REQUIRES_OK(context, CheckShape(context, 0, {-1, -1, -1, -1}));
    OP_REQUIRES_OK(context, CheckShape(context, 1, {-1, -1, -1, -1}));
    const Tensor& maps = context->input(0);
    const Tensor& expand = context->input(1);
    const int64_t size = expand.dim_size(0), channels = maps.dim_size(3);
    const int64_t expanded = expand.dim_size(3);
    OP_REQUIRES_OK(context, CheckShape(context, 1, {size, size, channels, -1}));
    OP_REQUIRES_OK(context, CheckShape(context, 2, {expanded}));
    OP_REQUIRES_OK(context, CheckShape(context, 3, {3, 3, expanded}));
    OP_REQUIRES_OK(context, CheckShape(context, 4, {expanded}));
    OP_REQUIRES_OK(context, CheckShape(context, 5, {expanded, -1}));
    const int64_t out = context->input(5).dim_size(1);
    OP_REQUIRES_OK(context, CheckShape(context, 6, {out}));
    ResidualShape shape = {};
    shape.rows = maps.dim_size(1);
    shape.columns = maps.dim_size(2);
    shape.channels = channels;
    shape.size = size;
    shape.expand_stride = expand_strides_;
    shape.expanded_rows = CeilDiv(shape.rows, expand_strides_);
    shape.expanded_columns = CeilDiv(shape.columns, expand_strides_);
    shape.expanded = expanded;
    shape.stride = strides_;
    shape.out_rows = CeilDiv(shape.expanded_rows, strides_);
    shape.out_columns = CeilDiv(shape.expanded_columns, strides_);
    shape.out = out;
    const int64_t batch = maps.dim_size(0);
    const ResidualArrays arrays = {
        Input(context, 0),
        Input(context, 1),
        Input(context, 2),
        Input(context, 3),
        Input(context, 4),
        Input(context, 5),
        Input(context, 6),
        Output(context, 0, {batch, shape.out_rows, shape.out_columns, out})};
    if (arrays.out == nullptr) return;
    const double places = shape.expanded_rows * shape.expanded_columns;
    const double out_places = shape.out_rows * shape.out_columns;
    const double cost =
        kProduct * expanded *
        (places * size * size * channels + out_places * (9.0 + out));
    ForUnits(context, batch, cost,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(InvertedResidual)
               (shape, arrays, begin, end, scratch);
             });
  }

 private:
  int64_t expand_strides_;
  int64_t strides_;
};

}  // namespace

REGISTER_OP("Ratm>InvertedResidual")
    .Input("maps: float")
    .Input("expand: float")
    .Input("expand_bias: float")
    .Input("depthwise: float")
    .Input("depthwise_bias: float")
    .Input("project: float")
    .Input("project_bias: float")
    .Output("projected: float")
    .Attr("expand_strides: int >= 1")
    .Attr("strides: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {4, 4, 1, 3, 1, 2, 1}));
      int64_t strides[2];
      TF_RETURN_IF_ERROR(c->GetAttr("expand_strides", &strides[0]));
      TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides[1]));
      DimensionHandle sizes[2];
      for (int axis = 0; axis < 2; ++axis) {
        sizes[axis] = Dim(c, 0, axis + 1);
        for (const int64_t stride : strides) {
          TF_RETURN_IF_ERROR(c->Add(sizes[axis], stride - 1, &sizes[axis]));
          TF_RETURN_IF_ERROR(
              c->Divide(sizes[axis], stride, false, &sizes[axis]));
        }
      }
      c->set_output(
          0, c->MakeShape({Dim(c, 0, 0), sizes[0], sizes[1], Dim(c, 5, 1)}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
An expansion, depthwise convolutions of 3 x 3 and a projection.

Expanded and convolved maps are clipped to 0..6. Padding is as "SAME". Where the
projected maps have the shape of those that come in, these are added to them.

maps: Shape [B, N, M, C].
expand: Shape [S, S, C, E], a kernel.
expand_bias: Shape [E].
depthwise: Shape [3, 3, E].
depthwise_bias: Shape [E].
project: Shape [E, F].
project_bias: Shape [F].
projected: Shape [B, N', M', F], by the strides of the expansion and of the
  depthwise convolutions.
)doc");

REGISTER_KERNEL_BUILDER(
    Name("Ratm>InvertedResidual").Device(tensorflow::DEVICE_CPU),
    InvertedResidualOp);

}  // namespace ratm
