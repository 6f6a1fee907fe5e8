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

// Merges what images [B, H, W, C] and window [B, K, 6] say.
absl::Status ImagesAndWindow(InferenceContext* c, ShapeHandle* images,
                             ShapeHandle* window, DimensionHandle* batch) {
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, images));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, window));
  DimensionHandle unused;
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(*window, 2), 6, &unused));
  for (int axis : {1, 2}) {
    const DimensionHandle size = c->Dim(*images, axis);
    if (c->ValueKnown(size) && c->Value(size) < 1) {
      return InvalidArgument(
          "images must have positive height and width, got shape ",
          c->DebugString(*images));
    }
  }
  return c->Merge(c->Dim(*images, 0), c->Dim(*window, 0), batch);
}

// Checks the gradient of glimpses [B, K, N, M, C].
absl::Status WithGrad(InferenceContext* c, ShapeHandle* grad) {
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 5, grad));
  for (int axis : {2, 3}) {
    const DimensionHandle size = c->Dim(*grad, axis);
    if (c->ValueKnown(size) && c->Value(size) < 1) {
      return InvalidArgument(
          "grad must have positive rows and columns, got shape ",
          c->DebugString(*grad));
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
      ShapeHandle images, window;
      DimensionHandle batch;
      TF_RETURN_IF_ERROR(ImagesAndWindow(c, &images, &window, &batch));
      int64_t rows, columns;
      TF_RETURN_IF_ERROR(c->GetAttr("glimpse_height", &rows));
      TF_RETURN_IF_ERROR(c->GetAttr("glimpse_width", &columns));
      c->set_output(0, c->MakeShape({batch, c->Dim(window, 1), rows, columns,
                                     c->Dim(images, 3)}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
Reads Gaussian glimpses, F_Y x F_X^T for each channel alone.

images: Shape [B, H, W, C], H and W positive.
window: Shape [B, K, 6], in pixels: center_x, center_y, sigma_x, sigma_y,
  stride_x, stride_y. Float64 where images are, float32 elsewhere. Where a number
  is NaN or infinite, that window's glimpse is NaN.
glimpses: Shape [B, K, glimpse_height, glimpse_width, C], in the type of images,
  or float32 where that is uint8.
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
      ShapeHandle images, window, grad;
      DimensionHandle batch, count, unused;
      TF_RETURN_IF_ERROR(ImagesAndWindow(c, &images, &window, &batch));
      TF_RETURN_IF_ERROR(WithGrad(c, &grad));
      TF_RETURN_IF_ERROR(c->Merge(batch, c->Dim(grad, 0), &batch));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(window, 1), c->Dim(grad, 1), &count));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(images, 3), c->Dim(grad, 4), &unused));
      c->set_output(0, c->MakeShape({batch, count, 6}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The gradient of GaussianGlimpse with respect to window.

grad: The gradient of the glimpses, shape [B, K, N, M, C].
window_grad: Shape [B, K, 6]; NaN for a window that is not finite.
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
      ShapeHandle unused_size, image_size, window, grad;
      DimensionHandle unused, batch;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 1, &unused_size));
      TF_RETURN_IF_ERROR(c->WithValue(c->Dim(unused_size, 0), 2, &unused));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, &window));
      TF_RETURN_IF_ERROR(c->WithValue(c->Dim(window, 2), 6, &unused));
      TF_RETURN_IF_ERROR(WithGrad(c, &grad));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(window, 0), c->Dim(grad, 0), &batch));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(window, 1), c->Dim(grad, 1), &unused));
      TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &image_size));
      TF_RETURN_IF_ERROR(c->WithRank(image_size, 2, &image_size));
      for (int axis : {0, 1}) {
        const DimensionHandle size = c->Dim(image_size, axis);
        if (c->ValueKnown(size) && c->Value(size) < 1) {
          return InvalidArgument("image_size must be positive, got ",
                                 c->DebugString(image_size));
        }
      }
      c->set_output(0, c->MakeShape({batch, c->Dim(image_size, 0),
                                     c->Dim(image_size, 1), c->Dim(grad, 4)}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The gradient of GaussianGlimpse with respect to images.

image_size: H and W.
window: Shape [B, K, 6]. A window that is not finite adds nothing.
grad: The gradient of the glimpses, shape [B, K, N, M, C].
images_grad: Shape [B, H, W, C].
)doc");

}  // namespace ratm
