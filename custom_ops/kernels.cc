// The kernels: they check, allocate and dispatch.

#include <cstdint>

#include "Eigen/Core"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/glimpse.h"
#include "custom_ops/types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/errors.h"

namespace ratm {
namespace {

using tensorflow::DataTypeToEnum;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

using CPUDevice = Eigen::ThreadPoolDevice;
#if defined(RATM_CUDA)
using GPUDevice = Eigen::GpuDevice;
#endif

template <typename... Args>
absl::Status InvalidArgument(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

absl::Status CheckType(OpKernelConstruction* context, const char* attribute,
                       tensorflow::DataType expected) {
  tensorflow::DataType type;
  TF_RETURN_IF_ERROR(context->GetAttr(attribute, &type));
  if (type != expected) {
    return InvalidArgument(
        attribute, " must be ", tensorflow::DataTypeString(expected),
        " for this type of images, got ", tensorflow::DataTypeString(type));
  }
  return absl::OkStatus();
}

absl::Status ReadImages(const Tensor& images, GlimpseShape* shape) {
  if (images.dims() != 4) {
    return InvalidArgument("images must have the shape [B, H, W, C], got ",
                           images.shape().DebugString());
  }
  shape->batch = images.dim_size(0);
  shape->height = images.dim_size(1);
  shape->width = images.dim_size(2);
  shape->channels = images.dim_size(3);
  if (shape->height < 1 || shape->width < 1) {
    return InvalidArgument(
        "images must have positive height and width, got the shape ",
        images.shape().DebugString());
  }
  return absl::OkStatus();
}

absl::Status ReadWindow(const Tensor& window, GlimpseShape* shape) {
  const int dims = window.dims();
  if (dims < 2 || dims > 3 || window.dim_size(dims - 1) != kWindowSize) {
    return InvalidArgument(
        "window must have the shape [B, 6] or [B, K, 6], got ",
        window.shape().DebugString());
  }
  shape->count = dims == 3 ? window.dim_size(1) : 1;
  return absl::OkStatus();
}

absl::Status ReadImagesAndWindow(const Tensor& images, const Tensor& window,
                                 GlimpseShape* shape) {
  TF_RETURN_IF_ERROR(ReadImages(images, shape));
  TF_RETURN_IF_ERROR(ReadWindow(window, shape));
  if (window.dim_size(0) != shape->batch) {
    return InvalidArgument("window must have the batch size of images, ",
                           shape->batch, ", got the shape ",
                           window.shape().DebugString());
  }
  return absl::OkStatus();
}

absl::Status ReadGrad(const Tensor& grad, const Tensor& window,
                      GlimpseShape* shape) {
  const int leading = window.dims() - 1;
  if (grad.dims() != leading + 3 || grad.dim_size(leading) < 1 ||
      grad.dim_size(leading + 1) < 1) {
    return InvalidArgument("grad must have the shape ",
                           leading == 1 ? "[B, N, M, C]" : "[B, K, N, M, C]",
                           ", N and M positive, for the shape of window ",
                           window.shape().DebugString(), ", got ",
                           grad.shape().DebugString());
  }
  for (int axis = 0; axis < leading; ++axis) {
    if (grad.dim_size(axis) != window.dim_size(axis)) {
      return InvalidArgument("grad must be for the windows, of shape ",
                             window.shape().DebugString(), ", got the shape ",
                             grad.shape().DebugString());
    }
  }
  shape->rows = grad.dim_size(leading);
  shape->columns = grad.dim_size(leading + 1);
  return absl::OkStatus();
}

template <typename Device, typename T>
class GaussianGlimpseOp : public OpKernel {
 public:
  explicit GaussianGlimpseOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, CheckType(context, "Twindow",
                                      DataTypeToEnum<ComputeType<T>>::value));
    OP_REQUIRES_OK(context, CheckType(context, "Tout",
                                      DataTypeToEnum<GlimpseType<T>>::value));
    OP_REQUIRES_OK(context, context->GetAttr("glimpse_height", &rows_));
    OP_REQUIRES_OK(context, context->GetAttr("glimpse_width", &columns_));
    OP_REQUIRES(context, rows_ >= 1 && columns_ >= 1,
                InvalidArgument("glimpse_height and glimpse_width must be "
                                "positive, got ",
                                rows_, " and ", columns_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& images = context->input(0);
    const Tensor& window = context->input(1);
    GlimpseShape shape;
    OP_REQUIRES_OK(context, ReadImagesAndWindow(images, window, &shape));
    shape.rows = rows_;
    shape.columns = columns_;

    TensorShape output_shape = window.shape();
    output_shape.RemoveLastDims(1);
    for (int64_t size : {shape.rows, shape.columns, shape.channels}) {
      OP_REQUIRES_OK(context, output_shape.AddDimWithStatus(size));
    }
    Tensor* glimpses;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, output_shape, &glimpses));
    if (glimpses->NumElements() == 0) return;
    GaussianGlimpse<Device, T>()(context, shape, images.flat<T>().data(),
                                 window.flat<ComputeType<T>>().data(),
                                 glimpses->flat<GlimpseType<T>>().data());
  }

 private:
  int64_t rows_;
  int64_t columns_;
};

template <typename Device, typename T>
class GaussianGlimpseGradWindowOp : public OpKernel {
 public:
  explicit GaussianGlimpseGradWindowOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, CheckType(context, "Twindow",
                                      DataTypeToEnum<ComputeType<T>>::value));
    OP_REQUIRES_OK(context, CheckType(context, "Tout",
                                      DataTypeToEnum<GlimpseType<T>>::value));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& images = context->input(0);
    const Tensor& window = context->input(1);
    const Tensor& grad = context->input(2);
    GlimpseShape shape;
    OP_REQUIRES_OK(context, ReadImagesAndWindow(images, window, &shape));
    OP_REQUIRES_OK(context, ReadGrad(grad, window, &shape));
    OP_REQUIRES(context, grad.dim_size(grad.dims() - 1) == shape.channels,
                InvalidArgument("grad must have the channels of images, ",
                                shape.channels, ", got the shape ",
                                grad.shape().DebugString()));

    Tensor* window_grad;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, window.shape(), &window_grad));
    if (window_grad->NumElements() == 0) return;
    GaussianGlimpseGradWindow<Device, T>()(
        context, shape, images.flat<T>().data(),
        window.flat<ComputeType<T>>().data(),
        grad.flat<GlimpseType<T>>().data(),
        window_grad->flat<ComputeType<T>>().data());
  }
};

template <typename Device, typename T>
class GaussianGlimpseGradImagesOp : public OpKernel {
 public:
  explicit GaussianGlimpseGradImagesOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, CheckType(context, "Twindow",
                                      DataTypeToEnum<ComputeType<T>>::value));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& image_size = context->input(0);
    const Tensor& window = context->input(1);
    const Tensor& grad = context->input(2);
    OP_REQUIRES(context, image_size.dims() == 1 && image_size.dim_size(0) == 2,
                InvalidArgument("image_size must be H and W, got the shape ",
                                image_size.shape().DebugString()));
    GlimpseShape shape;
    shape.height = image_size.vec<int64_t>()(0);
    shape.width = image_size.vec<int64_t>()(1);
    OP_REQUIRES(context, shape.height >= 1 && shape.width >= 1,
                InvalidArgument("image_size must be positive, got ",
                                shape.height, " and ", shape.width));
    OP_REQUIRES_OK(context, ReadWindow(window, &shape));
    OP_REQUIRES_OK(context, ReadGrad(grad, window, &shape));
    shape.batch = window.dim_size(0);
    shape.channels = grad.dim_size(grad.dims() - 1);

    TensorShape output_shape;
    OP_REQUIRES_OK(context,
                   TensorShape::BuildTensorShape(
                       {shape.batch, shape.height, shape.width, shape.channels},
                       &output_shape));
    Tensor* images_grad;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, output_shape, &images_grad));
    if (images_grad->NumElements() == 0) return;
    GaussianGlimpseGradImages<Device, T>()(
        context, shape, window.flat<ComputeType<T>>().data(),
        grad.flat<T>().data(), images_grad->flat<T>().data());
  }
};

#define RATM_REGISTER(DEVICE, T)                                   \
  REGISTER_KERNEL_BUILDER(Name("Ratm>GaussianGlimpse")             \
                              .Device(tensorflow::DEVICE_##DEVICE) \
                              .TypeConstraint<T>("T"),             \
                          GaussianGlimpseOp<DEVICE##Device, T>);   \
  REGISTER_KERNEL_BUILDER(Name("Ratm>GaussianGlimpseGradWindow")   \
                              .Device(tensorflow::DEVICE_##DEVICE) \
                              .TypeConstraint<T>("T"),             \
                          GaussianGlimpseGradWindowOp<DEVICE##Device, T>);
#define RATM_REGISTER_FLOATING(DEVICE, T)                          \
  RATM_REGISTER(DEVICE, T)                                         \
  REGISTER_KERNEL_BUILDER(Name("Ratm>GaussianGlimpseGradImages")   \
                              .Device(tensorflow::DEVICE_##DEVICE) \
                              .HostMemory("image_size")            \
                              .TypeConstraint<T>("T"),             \
                          GaussianGlimpseGradImagesOp<DEVICE##Device, T>);

#define RATM_REGISTER_CPU(T, ...) RATM_REGISTER(CPU, T)
#define RATM_REGISTER_FLOATING_CPU(T, ...) RATM_REGISTER_FLOATING(CPU, T)
RATM_TYPES(RATM_REGISTER_CPU, RATM_REGISTER_FLOATING_CPU)

#if defined(RATM_CUDA)
#define RATM_REGISTER_GPU(T, ...) RATM_REGISTER(GPU, T)
#define RATM_REGISTER_FLOATING_GPU(T, ...) RATM_REGISTER_FLOATING(GPU, T)
RATM_TYPES(RATM_REGISTER_GPU, RATM_REGISTER_FLOATING_GPU)
#endif

}  // namespace
}  // namespace ratm
