// Ops of the paper's recurrence over whole sequences, see
// ratm_tf/attention/recurrence.py, and their kernels for the CPU.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/axis.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/work.h"
#include "custom_ops/glimpse.h"
#include "custom_ops/tensors.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/errors.h"

namespace ratm {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;

// Inputs of both ops, and then of the gradient.
enum {
  kFrames,
  kActivations,
  kHidden,
  kWindowBias,
  kKernel,
  kRecurrentKernel,
  kBias,
  kWindowKernel,
  kWindows,
  kGlimpses,
  kHiddens,
  kFollowing,
  kByWindows,
  kByGlimpses,
  kByLastHidden,
  kByLastActivations
};

// Checks the inputs of both ops.
absl::Status ReadShape(OpKernelContext* context, int64_t rows, int64_t columns,
                       float min_sigma, RecurrenceShape* shape) {
  TF_RETURN_IF_ERROR(CheckShape(context, kFrames, {-1, -1, -1, -1, -1}));
  TF_RETURN_IF_ERROR(CheckShape(context, kHidden, {-1, -1}));
  const TensorShape& frames = context->input(kFrames).shape();
  for (int axis = 2; axis < 5; ++axis) {
    if (frames.dim_size(axis) < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("frames must have positive height, width and channels, "
                       "got the shape ",
                       frames.DebugString()));
    }
  }
  shape->glimpse = {
      1,    1,      frames.dim_size(2), frames.dim_size(3), frames.dim_size(4),
      rows, columns};
  shape->batch = context->input(kHidden).dim_size(0);
  shape->steps = frames.dim_size(1);
  shape->units = context->input(kHidden).dim_size(1);
  shape->shared = frames.dim_size(0) == 1;
  shape->min_sigma = min_sigma;
  if (!shape->shared && frames.dim_size(0) != shape->batch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "frames must have the batch size of hidden, ", shape->batch,
        ", or 1, got the shape ", frames.DebugString()));
  }
  const int64_t units = shape->units;
  if (units < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("hidden must have units, got the shape ",
                     context->input(kHidden).shape().DebugString()));
  }
  for (const int window : {kActivations, kWindowBias}) {
    TF_RETURN_IF_ERROR(
        CheckShape(context, window, {shape->batch, kWindowSize}));
  }
  TF_RETURN_IF_ERROR(CheckShape(context, kKernel,
                                {rows * columns * frames.dim_size(4), units}));
  TF_RETURN_IF_ERROR(CheckShape(context, kRecurrentKernel, {units, units}));
  TF_RETURN_IF_ERROR(CheckShape(context, kBias, {units}));
  return CheckShape(context, kWindowKernel, {units, kWindowSize});
}

int64_t GlimpseNumbers(const RecurrenceShape& shape) {
  return shape.glimpse.rows * shape.glimpse.columns * shape.glimpse.channels;
}

// A product of a number with a sum, in nanoseconds.
constexpr double kProduct = 0.03;

// A rough time for a sequence, in nanoseconds.
double SequenceCost(const RecurrenceShape& shape) {
  constexpr double kNumber = 10;
  constexpr double kStep = 1000;
  const double size = GlimpseNumbers(shape);
  return shape.steps * (kProduct * (size + shape.units) * shape.units +
                        kNumber * size + kStep);
}

template <typename T>
class RecurrenceOp : public OpKernel {
 public:
  explicit RecurrenceOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("glimpse_height", &rows_));
    OP_REQUIRES_OK(context, context->GetAttr("glimpse_width", &columns_));
    OP_REQUIRES_OK(context, context->GetAttr("min_sigma", &min_sigma_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    RecurrenceShape shape;
    OP_REQUIRES_OK(context,
                   ReadShape(context, rows_, columns_, min_sigma_, &shape));
    RecurrenceArrays<T> arrays;
    arrays.frames = context->input(kFrames).flat<T>().data();
    arrays.activations = Input(context, kActivations);
    arrays.hidden = Input(context, kHidden);
    arrays.window_bias = Input(context, kWindowBias);
    arrays.kernel = Input(context, kKernel);
    arrays.recurrent_kernel = Input(context, kRecurrentKernel);
    arrays.bias = Input(context, kBias);
    arrays.window_kernel = Input(context, kWindowKernel);
    const int64_t batch = shape.batch, units = shape.units;
    const int64_t steps = shape.steps;
    arrays.windows = Output(context, 0, {batch, steps, kWindowSize});
    arrays.glimpses = Output(
        context, 1, {batch, steps, rows_, columns_, shape.glimpse.channels});
    arrays.last_hidden = Output(context, 2, {batch, units});
    arrays.last_activations = Output(context, 3, {batch, kWindowSize});
    arrays.hiddens = Output(context, 4, {batch, steps, units});
    arrays.following = Output(context, 5, {batch, steps, kWindowSize});
    if (!context->status().ok()) return;
    ForUnits(context, batch, SequenceCost(shape),
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(Recurrence<T>)(shape, arrays, begin, end, scratch);
             });
  }

 private:
  int64_t rows_;
  int64_t columns_;
  float min_sigma_;
};

template <typename T>
class RecurrenceGradOp : public OpKernel {
 public:
  explicit RecurrenceGradOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("min_sigma", &min_sigma_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    OP_REQUIRES_OK(context,
                   CheckShape(context, kGlimpses, {-1, -1, -1, -1, -1}));
    const TensorShape& glimpses = context->input(kGlimpses).shape();
    const int64_t rows = glimpses.dim_size(2), columns = glimpses.dim_size(3);
    OP_REQUIRES(context, rows > 0 && columns > 0,
                absl::InvalidArgumentError(
                    absl::StrCat("glimpses must have rows and columns, got "
                                 "the shape ",
                                 glimpses.DebugString())));
    RecurrenceShape shape;
    OP_REQUIRES_OK(context,
                   ReadShape(context, rows, columns, min_sigma_, &shape));
    const int64_t batch = shape.batch, steps = shape.steps;
    const int64_t units = shape.units, size = GlimpseNumbers(shape);
    for (const int windows : {kWindows, kFollowing, kByWindows}) {
      OP_REQUIRES_OK(context,
                     CheckShape(context, windows, {batch, steps, kWindowSize}));
    }
    for (const int each : {kGlimpses, kByGlimpses}) {
      OP_REQUIRES_OK(context, CheckShape(context, each,
                                         {batch, steps, rows, columns,
                                          shape.glimpse.channels}));
    }
    OP_REQUIRES_OK(context,
                   CheckShape(context, kHiddens, {batch, steps, units}));
    OP_REQUIRES_OK(context, CheckShape(context, kByLastHidden, {batch, units}));
    OP_REQUIRES_OK(
        context, CheckShape(context, kByLastActivations, {batch, kWindowSize}));
    RecurrenceGradArrays<T> arrays;
    arrays.frames = context->input(kFrames).flat<T>().data();
    arrays.activations = Input(context, kActivations);
    arrays.hidden = Input(context, kHidden);
    arrays.windows = Input(context, kWindows);
    arrays.glimpses = Input(context, kGlimpses);
    arrays.hiddens = Input(context, kHiddens);
    arrays.following = Input(context, kFollowing);
    arrays.by_windows = Input(context, kByWindows);
    arrays.by_glimpses = Input(context, kByGlimpses);
    arrays.by_last_hidden = Input(context, kByLastHidden);
    arrays.by_last_activations = Input(context, kByLastActivations);
    Tensor memory;
    const int64_t all_steps = batch * steps;
    OP_REQUIRES_OK(context,
                   context->allocate_temp(
                       tensorflow::DT_FLOAT,
                       TensorShape({(size + units + kWindowSize) * units +
                                    all_steps * (2 * units + kWindowSize)}),
                       &memory));
    float* next = memory.flat<float>().data();
    const auto take = [&](int64_t numbers) {
      return std::exchange(next, next + numbers);
    };
    const auto across = [&](int input, int64_t inner, int64_t outer) {
      const float* const from = Input(context, input);
      float* const to = take(inner * outer);
      for (int64_t i = 0; i < inner; ++i) {
        for (int64_t j = 0; j < outer; ++j)
          to[j * inner + i] = from[i * outer + j];
      }
      return to;
    };
    arrays.kernel_across = across(kKernel, size, units);
    arrays.recurrent_kernel_across = across(kRecurrentKernel, units, units);
    arrays.window_kernel_across = across(kWindowKernel, units, kWindowSize);
    arrays.before = take(all_steps * units);
    arrays.totals = take(all_steps * units);
    arrays.updates = take(all_steps * kWindowSize);
    arrays.by_activations = Output(context, 0, {batch, kWindowSize});
    arrays.by_hidden = Output(context, 1, {batch, units});
    arrays.by_window_bias = Output(context, 2, {batch, kWindowSize});
    arrays.by_kernel = Output(context, 3, {size, units});
    arrays.by_recurrent_kernel = Output(context, 4, {units, units});
    arrays.by_bias = Output(context, 5, {units});
    arrays.by_window_kernel = Output(context, 6, {units, kWindowSize});
    if (!context->status().ok()) return;
    ForUnits(context, batch, 2.5 * SequenceCost(shape),
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(RecurrenceGrad<T>)(shape, arrays, begin, end,
                                              scratch);
             });
    if (!context->status().ok()) return;
    ForUnits(context, size + units + 1, kProduct * all_steps * units,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(RecurrenceWeightGrad<T>)(shape, arrays, begin, end,
                                                    scratch);
             });
  }

 private:
  float min_sigma_;
};

template <typename T>
void Recur(const int64_t* sizes, float min_sigma, const void* frame,
           float* activations, float* hidden, const float* window_bias,
           const float* kernel, const float* recurrent_kernel,
           const float* bias, const float* window_kernel, float* windows,
           float* glimpses) {
  const RecurrenceShape shape = {
      {1, 1, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]},
      sizes[5],
      1,
      sizes[6],
      true,
      min_sigma};
  const int64_t states = shape.batch * shape.units;
  const int64_t numbers = shape.batch * kWindowSize;
  Scratch scratch([](int64_t bytes) {
    const int64_t size = RoundUp(bytes, Scratch::kAlignment);
    void* const data = std::aligned_alloc(Scratch::kAlignment, size);
    return std::shared_ptr<char>(static_cast<char*>(data), std::free);
  });
  const RecurrenceArrays<T> arrays = {static_cast<const T*>(frame),
                                      activations,
                                      hidden,
                                      window_bias,
                                      kernel,
                                      recurrent_kernel,
                                      bias,
                                      window_kernel,
                                      windows,
                                      glimpses,
                                      New<float>(&scratch, states),
                                      New<float>(&scratch, numbers),
                                      New<float>(&scratch, states),
                                      New<float>(&scratch, numbers)};
  RATM_CHOSEN(Recurrence<T>)(shape, arrays, 0, shape.batch, &scratch);
  std::copy_n(arrays.last_hidden, states, hidden);
  std::copy_n(arrays.last_activations, numbers, activations);
}

}  // namespace

// Takes sequences one frame on, which they share, without TensorFlow: for
// ratm_tf/attention/recurrence.py, as an op takes longer to call than to run.
// The sizes are H, W, C, N, M, B and units; what else is there is named as in
// the op, and the states change in place. Returns false if there is no memory.
extern "C" __attribute__((visibility("default"))) bool RatmRecur(
    bool bytes, const int64_t* sizes, float min_sigma, const void* frame,
    float* activations, float* hidden, const float* window_bias,
    const float* kernel, const float* recurrent_kernel, const float* bias,
    const float* window_kernel, float* windows, float* glimpses) {
  try {
    (bytes ? Recur<uint8_t> : Recur<float>)(sizes, min_sigma, frame,
                                            activations, hidden, window_bias,
                                            kernel, recurrent_kernel, bias,
                                            window_kernel, windows, glimpses);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

REGISTER_OP("Ratm>Recurrence")
    .Input("frames: T")
    .Input("activations: float")
    .Input("hidden: float")
    .Input("window_bias: float")
    .Input("kernel: float")
    .Input("recurrent_kernel: float")
    .Input("bias: float")
    .Input("window_kernel: float")
    .Output("windows: float")
    .Output("glimpses: float")
    .Output("last_hidden: float")
    .Output("last_activations: float")
    .Output("hiddens: float")
    .Output("following: float")
    .Attr("glimpse_height: int >= 1")
    .Attr("glimpse_width: int >= 1")
    .Attr("min_sigma: float")
    .Attr("T: {uint8, float}")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {5, 2, 2, 2, 2, 2, 1, 2}));
      int64_t rows, columns;
      TF_RETURN_IF_ERROR(c->GetAttr("glimpse_height", &rows));
      TF_RETURN_IF_ERROR(c->GetAttr("glimpse_width", &columns));
      const DimensionHandle batch = Dim(c, 2, 0), steps = Dim(c, 0, 1);
      c->set_output(0, c->MakeShape({batch, steps, kWindowSize}));
      c->set_output(1,
                    c->MakeShape({batch, steps, rows, columns, Dim(c, 0, 4)}));
      c->set_output(2, c->Matrix(batch, Dim(c, 2, 1)));
      c->set_output(3, c->Matrix(batch, kWindowSize));
      c->set_output(4, c->MakeShape({batch, steps, Dim(c, 2, 1)}));
      c->set_output(5, c->MakeShape({batch, steps, kWindowSize}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The paper's recurrence (Eq. 1-12): an IRNN that sees the pixels of its glimpses.

frames: Shape [B, T, H, W, C], uint8 in 0..255 or float in 0..1; or
  [1, T, H, W, C], a video that all sequences look at.
activations: Shape [B, 6], of the first window (Eq. 5).
hidden: Shape [B, units], h_0.
window_bias: Shape [B, 6], b of Eq. 5 for each sequence.
kernel: Shape [N M C, units], W_in.
recurrent_kernel: Shape [units, units], W_rec.
bias: Shape [units], of the hidden units.
window_kernel: Shape [units, 6], W of Eq. 5.
windows: Shape [B, T, 6], in pixels.
glimpses: Shape [B, T, N, M, C], in 0..1.
last_hidden: Shape [B, units], h_T.
last_activations: Shape [B, 6], of the window that comes after.
hiddens: Shape [B, T, units], h_1 to h_T; for the gradient, like following.
following: Shape [B, T, 6], the activations of the windows after each.
glimpse_height: N, the rows of a glimpse.
glimpse_width: M, its columns.
min_sigma: The least sigma of a window, in pixels.
)doc");

REGISTER_OP("Ratm>RecurrenceGrad")
    .Input("frames: T")
    .Input("activations: float")
    .Input("hidden: float")
    .Input("window_bias: float")
    .Input("kernel: float")
    .Input("recurrent_kernel: float")
    .Input("bias: float")
    .Input("window_kernel: float")
    .Input("windows: float")
    .Input("glimpses: float")
    .Input("hiddens: float")
    .Input("following: float")
    .Input("by_windows: float")
    .Input("by_glimpses: float")
    .Input("by_last_hidden: float")
    .Input("by_last_activations: float")
    .Output("by_activations: float")
    .Output("by_hidden: float")
    .Output("by_window_bias: float")
    .Output("by_kernel: float")
    .Output("by_recurrent_kernel: float")
    .Output("by_bias: float")
    .Output("by_window_kernel: float")
    .Attr("min_sigma: float")
    .Attr("T: {uint8, float}")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(
          CheckRanks(c, {5, 2, 2, 2, 2, 2, 1, 2, 3, 5, 3, 3, 3, 5, 2, 2}));
      for (int input = kActivations; input <= kWindowKernel; ++input) {
        c->set_output(input - kActivations, c->input(input));
      }
      return absl::OkStatus();
    })
    .Doc(R"doc(
The gradient of Recurrence with respect to all but the frames.

frames: As Recurrence has them; so are all others up to following.
by_windows: The gradient with respect to windows; so are the others.
by_activations: That with respect to activations; so are the others.
)doc");

#define RATM_REGISTER(T)                                      \
  REGISTER_KERNEL_BUILDER(Name("Ratm>Recurrence")             \
                              .Device(tensorflow::DEVICE_CPU) \
                              .TypeConstraint<T>("T"),        \
                          RecurrenceOp<T>);                   \
  REGISTER_KERNEL_BUILDER(Name("Ratm>RecurrenceGrad")         \
                              .Device(tensorflow::DEVICE_CPU) \
                              .TypeConstraint<T>("T"),        \
                          RecurrenceGradOp<T>);
RATM_REGISTER(uint8_t)
RATM_REGISTER(float)

}  // namespace ratm
