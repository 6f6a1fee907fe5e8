// The ops, and what is known of their outputs when a graph is built.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/errors.h"

namespace ratm {
namespace {

using tensorflow::DataType;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

template <typename... Args>
absl::Status InvalidArgument(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

// Windows are float64 where the images are, and float32 elsewhere; glimpses
// have the type of the images, or float32 where those are uint8.
absl::Status CheckWindowType(InferenceContext* c, DataType images) {
  DataType window;
  TF_RETURN_IF_ERROR(c->GetAttr("Twindow", &window));
  if ((window == tensorflow::DT_DOUBLE) != (images == tensorflow::DT_DOUBLE)) {
    return InvalidArgument(
        "window must be float64 where images are float64, and float32 "
        "elsewhere, got window ",
        tensorflow::DataTypeString(window), " for images ",
        tensorflow::DataTypeString(images));
  }
  return absl::OkStatus();
}

absl::Status CheckTypes(InferenceContext* c) {
  DataType images, glimpses;
  TF_RETURN_IF_ERROR(c->GetAttr("T", &images));
  TF_RETURN_IF_ERROR(c->GetAttr("Tout", &glimpses));
  if (glimpses !=
      (images == tensorflow::DT_UINT8 ? tensorflow::DT_FLOAT : images)) {
    return InvalidArgument(
        "glimpses must have the type of images, or float32 for uint8, got "
        "glimpses ",
        tensorflow::DataTypeString(glimpses), " for images ",
        tensorflow::DataTypeString(images));
  }
  return CheckWindowType(c, images);
}

// Splits window [B, 6] or [B, K, 6] before its numbers.
absl::Status Window(InferenceContext* c, ShapeHandle* leading) {
  ShapeHandle window, numbers;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(1), 2, &window));
  TF_RETURN_IF_ERROR(c->WithRankAtMost(window, 3, &window));
  TF_RETURN_IF_ERROR(c->Subshape(window, -1, &numbers));
  TF_RETURN_IF_ERROR(c->Merge(numbers, c->Vector(6), &numbers));
  return c->Subshape(window, 0, -1, leading);
}

// Merges what images [B, H, W, C] and window say.
absl::Status ImagesAndWindow(InferenceContext* c, ShapeHandle* images,
                             ShapeHandle* leading) {
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, images));
  TF_RETURN_IF_ERROR(Window(c, leading));
  for (int axis : {1, 2}) {
    const DimensionHandle size = c->Dim(*images, axis);
    if (c->ValueKnown(size) && c->Value(size) < 1) {
      return InvalidArgument(
          "images must have positive height and width, got shape ",
          c->DebugString(*images));
    }
  }
  if (!c->RankKnown(*leading)) return absl::OkStatus();
  DimensionHandle batch;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(*images, 0), c->Dim(*leading, 0), &batch));
  return c->ReplaceDim(*leading, 0, batch, leading);
}

// Merges what the gradient of glimpses [B, N, M, C] or [B, K, N, M, C] says;
// splits it before [N, M, C].
absl::Status WithGrad(InferenceContext* c, ShapeHandle* leading,
                      ShapeHandle* glimpse) {
  ShapeHandle grad, grad_leading;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(2), 4, &grad));
  TF_RETURN_IF_ERROR(c->WithRankAtMost(grad, 5, &grad));
  TF_RETURN_IF_ERROR(c->Subshape(grad, 0, -3, &grad_leading));
  TF_RETURN_IF_ERROR(c->Merge(*leading, grad_leading, leading));
  TF_RETURN_IF_ERROR(c->Subshape(grad, -3, glimpse));
  TF_RETURN_IF_ERROR(c->WithRank(*glimpse, 3, glimpse));
  for (int axis : {0, 1}) {
    const DimensionHandle size = c->Dim(*glimpse, axis);
    if (c->ValueKnown(size) && c->Value(size) < 1) {
      return InvalidArgument(
          "grad must have positive rows and columns, got shape ",
          c->DebugString(grad));
    }
  }
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("Ratm>GaussianGlimpse")
    .Input("images: T")
    .Input("window: Twindow")
    .Output("glimpses: Tout")
    .Attr("glimpse_height: int >= 1")
    .Attr("glimpse_width: int >= 1")
    .Attr("T: {uint8, bfloat16, half, float, double}")
    .Attr("Twindow: {float, double}")
    .Attr("Tout: {bfloat16, half, float, double}")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckTypes(c));
      ShapeHandle images, leading, glimpses;
      TF_RETURN_IF_ERROR(ImagesAndWindow(c, &images, &leading));
      int64_t rows, columns;
      TF_RETURN_IF_ERROR(c->GetAttr("glimpse_height", &rows));
      TF_RETURN_IF_ERROR(c->GetAttr("glimpse_width", &columns));
      const ShapeHandle glimpse =
          c->MakeShape({rows, columns, c->Dim(images, 3)});
      TF_RETURN_IF_ERROR(c->Concatenate(leading, glimpse, &glimpses));
      c->set_output(0, glimpses);
      return absl::OkStatus();
    })
    .Doc(R"doc(
Reads Gaussian glimpses, F_Y x F_X^T for each channel alone.

images: Shape [B, H, W, C], H and W positive.
window: Shape [B, 6] or, for K windows into each image, [B, K, 6], in pixels:
  center_x, center_y, sigma_x, sigma_y, stride_x, stride_y. Float64 where images
  are, float32 elsewhere. Where a number is NaN or infinite, that window's glimpse
  is NaN.
glimpses: Shape [B, N, M, C] or [B, K, N, M, C], N being glimpse_height and M
  glimpse_width, in the type of images, or float32 where that is uint8.
)doc");

REGISTER_OP("Ratm>GaussianGlimpseGradWindow")
    .Input("images: T")
    .Input("window: Twindow")
    .Input("grad: Tout")
    .Output("window_grad: Twindow")
    .Attr("T: {uint8, bfloat16, half, float, double}")
    .Attr("Twindow: {float, double}")
    .Attr("Tout: {bfloat16, half, float, double}")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckTypes(c));
      ShapeHandle images, leading, glimpse, window_grad;
      DimensionHandle unused;
      TF_RETURN_IF_ERROR(ImagesAndWindow(c, &images, &leading));
      TF_RETURN_IF_ERROR(WithGrad(c, &leading, &glimpse));
      TF_RETURN_IF_ERROR(
          c->Merge(c->Dim(images, 3), c->Dim(glimpse, 2), &unused));
      TF_RETURN_IF_ERROR(c->Concatenate(leading, c->Vector(6), &window_grad));
      c->set_output(0, window_grad);
      return absl::OkStatus();
    })
    .Doc(R"doc(
The gradient of GaussianGlimpse with respect to window.

grad: The gradient of the glimpses, in their shape.
window_grad: In the shape of window; NaN for a window that is not finite.
)doc");

REGISTER_OP("Ratm>GaussianGlimpseGradImages")
    .Input("image_size: int64")
    .Input("window: Twindow")
    .Input("grad: T")
    .Output("images_grad: T")
    .Attr("T: {bfloat16, half, float, double}")
    .Attr("Twindow: {float, double}")
    .SetShapeFn([](InferenceContext* c) {
      DataType type;
      TF_RETURN_IF_ERROR(c->GetAttr("T", &type));
      TF_RETURN_IF_ERROR(CheckWindowType(c, type));
      ShapeHandle unused_size, image_size, leading, glimpse;
      DimensionHandle unused;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 1, &unused_size));
      TF_RETURN_IF_ERROR(c->WithValue(c->Dim(unused_size, 0), 2, &unused));
      TF_RETURN_IF_ERROR(Window(c, &leading));
      TF_RETURN_IF_ERROR(WithGrad(c, &leading, &glimpse));
      TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &image_size));
      TF_RETURN_IF_ERROR(c->WithRank(image_size, 2, &image_size));
      for (int axis : {0, 1}) {
        const DimensionHandle size = c->Dim(image_size, axis);
        if (c->ValueKnown(size) && c->Value(size) < 1) {
          return InvalidArgument("image_size must be positive, got ",
                                 c->DebugString(image_size));
        }
      }
      const DimensionHandle batch =
          c->RankKnown(leading) ? c->Dim(leading, 0) : c->UnknownDim();
      c->set_output(
          0, c->MakeShape({batch, c->Dim(image_size, 0), c->Dim(image_size, 1),
                           c->Dim(glimpse, 2)}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The gradient of GaussianGlimpse with respect to images.

image_size: H and W.
window: Shape [B, 6] or [B, K, 6]. A window that is not finite adds nothing.
grad: The gradient of the glimpses, in their shape.
images_grad: Shape [B, H, W, C].
)doc");

}  // namespace ratm
