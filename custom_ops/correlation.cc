// Ops of correlation filters and colour likelihoods, each a method of
// ratm_tf/attention/correlation_filter.py or colour_likelihood.py, and their
// kernels for the CPU.

#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/cpu/scratch.h"
#include "custom_ops/cpu/simd.h"
#include "custom_ops/cpu/work.h"
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

// A product of a number with a sum, in nanoseconds.
constexpr double kProduct = 0.05;

// The sizes of maps [B, cells, cells, C], the matrices that transform them.
absl::Status ReadShape(OpKernelContext* context, int maps, int rows,
                       CorrelationShape* shape) {
  TF_RETURN_IF_ERROR(CheckShape(context, maps, {-1, -1, -1, -1}));
  TF_RETURN_IF_ERROR(CheckShape(context, rows, {-1, -1}));
  TF_RETURN_IF_ERROR(CheckShape(context, rows + 1, {-1, -1}));
  shape->cells = context->input(maps).dim_size(1);
  shape->channels = context->input(maps).dim_size(3);
  shape->rows = context->input(rows).dim_size(0) / 2;
  shape->columns = context->input(rows + 1).dim_size(0) / 2;
  TF_RETURN_IF_ERROR(
      CheckShape(context, maps, {-1, shape->cells, shape->cells, -1}));
  TF_RETURN_IF_ERROR(
      CheckShape(context, rows, {2 * shape->rows, shape->cells}));
  return CheckShape(context, rows + 1, {2 * shape->columns, 2 * shape->cells});
}

double TransformCost(const CorrelationShape& shape) {
  return kProduct * 2 * shape.rows * shape.cells * shape.channels *
         (shape.cells + 2 * shape.columns);
}

class CorrelationFitOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    CorrelationShape shape;
    OP_REQUIRES_OK(context, ReadShape(context, 0, 1, &shape));
    OP_REQUIRES_OK(context,
                   CheckShape(context, 3, {shape.rows, 2 * shape.columns, 1}));
    const int64_t batch = context->input(0).dim_size(0);
    float* const numerators = Output(
        context, 0, {batch, shape.rows, 2 * shape.columns, shape.channels});
    float* const powers =
        Output(context, 1, {batch, shape.rows, shape.columns});
    if (!context->status().ok() || powers == nullptr) return;
    ForUnits(context, batch, TransformCost(shape),
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(CorrelationFit)
               (shape, Input(context, 0), Input(context, 1), Input(context, 2),
                Input(context, 3), numerators, powers, begin, end, scratch);
             });
  }
};

class CorrelationSolveOp : public OpKernel {
 public:
  explicit CorrelationSolveOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("ridge", &ridge_));
    OP_REQUIRES_OK(context, context->GetAttr("rounds", &rounds_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    OP_REQUIRES_OK(context, CheckShape(context, 0, {-1, -1, -1, -1}));
    OP_REQUIRES_OK(context, CheckShape(context, 2, {-1, -1}));
    const TensorShape& numerators = context->input(0).shape();
    CorrelationShape shape;
    shape.cells = context->input(2).dim_size(0) / 2;
    shape.rows = numerators.dim_size(1);
    shape.columns = numerators.dim_size(2) / 2;
    shape.channels = numerators.dim_size(3);
    const int64_t batch = numerators.dim_size(0);
    const int64_t rows = 2 * shape.rows, columns = 2 * shape.columns;
    OP_REQUIRES_OK(context, CheckShape(context, 0, {-1, -1, columns, -1}));
    OP_REQUIRES_OK(context,
                   CheckShape(context, 1, {batch, shape.rows, shape.columns}));
    OP_REQUIRES_OK(context, CheckShape(context, 2, {2 * shape.cells, columns}));
    OP_REQUIRES_OK(context, CheckShape(context, 3, {rows, rows}));
    OP_REQUIRES_OK(context, CheckShape(context, 4, {columns, 2 * shape.cells}));
    float* const filters =
        Output(context, 0, {batch, shape.rows, columns, shape.channels});
    if (filters == nullptr) return;
    ForUnits(context, batch, 1.5 * (rounds_ + 1) * TransformCost(shape),
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(CorrelationSolve)
               (shape, Input(context, 0), Input(context, 1), ridge_, rounds_,
                Input(context, 2), Input(context, 3), Input(context, 4),
                filters, begin, end, scratch);
             });
  }

 private:
  float ridge_;
  int64_t rounds_;
};

class CorrelationRespondOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    CorrelationShape shape;
    OP_REQUIRES_OK(context, ReadShape(context, 1, 2, &shape));
    OP_REQUIRES_OK(context, CheckShape(context, 0,
                                       {-1, shape.rows, 2 * shape.columns,
                                        shape.channels}));
    OP_REQUIRES_OK(
        context, CheckShape(context, 4, {2 * shape.columns, 2 * shape.cells}));
    OP_REQUIRES_OK(context,
                   CheckShape(context, 5, {shape.cells, 2 * shape.rows}));
    const int64_t filters = context->input(0).dim_size(0);
    const int64_t windows = context->input(1).dim_size(0);
    OP_REQUIRES(context, filters > 0 ? windows % filters == 0 : windows == 0,
                absl::InvalidArgumentError(absl::StrCat(
                    "each filter must have as many windows, got ", filters,
                    " filters and ", windows, " windows")));
    float* const responses =
        Output(context, 0, {windows, shape.cells, shape.cells});
    if (responses == nullptr) return;
    ForUnits(context, windows, TransformCost(shape),
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(CorrelationRespond)
               (shape, Input(context, 0), Input(context, 1), windows / filters,
                Input(context, 2), Input(context, 3), Input(context, 4),
                Input(context, 5), responses, begin, end, scratch);
             });
  }
};

class ResponsePeakOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    OP_REQUIRES_OK(context, CheckShape(context, 0, {-1, -1, -1}));
    const int64_t batch = context->input(0).dim_size(0);
    const int64_t cells = context->input(0).dim_size(1);
    OP_REQUIRES_OK(context, CheckShape(context, 0, {-1, cells, cells}));
    OP_REQUIRES(context, cells > 0,
                absl::InvalidArgumentError("responses must not be empty"));
    float* const places = Output(context, 0, {batch, 2});
    float* const heights = Output(context, 1, {batch});
    float* const sharpnesses = Output(context, 2, {batch});
    if (!context->status().ok() || sharpnesses == nullptr) return;
    ForUnits(context, batch, cells * cells,
             [&](int64_t begin, int64_t end, Scratch*) {
               RATM_CHOSEN(ResponsePeak)
               (cells, Input(context, 0), places, heights, sharpnesses, begin,
                end);
             });
  }
};

// What is known of glimpses and of histograms with so many bins.
absl::Status ReadColours(OpKernelContext* context, int glimpses, int64_t bins,
                         ColourShape* shape) {
  TF_RETURN_IF_ERROR(CheckShape(context, glimpses, {-1, -1, -1, -1}));
  const TensorShape& sizes = context->input(glimpses).shape();
  shape->pixels = sizes.dim_size(1) * sizes.dim_size(2);
  shape->columns = sizes.dim_size(2);
  shape->channels = sizes.dim_size(3);
  if (shape->pixels == 0) {
    return absl::InvalidArgumentError("glimpses must not be empty");
  }
  shape->bins = bins;
  shape->size = 1;
  for (int64_t c = 0; c < shape->channels; ++c) {
    shape->size *= bins;
    if (shape->size > (1 << 24)) {
      return absl::InvalidArgumentError(
          absl::StrCat("there are too many colours of ", shape->channels,
                       " channels with ", bins, " bins each"));
    }
  }
  return absl::OkStatus();
}

class ColourHistogramsOp : public OpKernel {
 public:
  explicit ColourHistogramsOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("bins", &bins_));
    OP_REQUIRES_OK(context, context->GetAttr("neighbours", &neighbours_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    ColourShape shape{};
    OP_REQUIRES_OK(context, ReadColours(context, 0, bins_, &shape));
    OP_REQUIRES_OK(context, CheckShape(context, 1, {shape.pixels, 2}));
    const int64_t batch = context->input(0).dim_size(0);
    float* const histograms = Output(context, 0, {batch, shape.size, 2});
    if (histograms == nullptr) return;
    ForUnits(context, batch, 2 * shape.pixels + 2 * shape.size,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(ColourHistograms)
               (shape, Input(context, 0), Input(context, 1), neighbours_,
                histograms, begin, end, scratch);
             });
  }

 private:
  int64_t bins_;
  float neighbours_;
};

class ColourLikelihoodOp : public OpKernel {
 public:
  explicit ColourLikelihoodOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("bins", &bins_));
    OP_REQUIRES_OK(context, context->GetAttr("doubt", &doubt_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    ColourShape shape{};
    OP_REQUIRES_OK(context, ReadColours(context, 1, bins_, &shape));
    const int64_t batch = context->input(1).dim_size(0);
    OP_REQUIRES_OK(context, CheckShape(context, 0, {batch, shape.size, 2}));
    OP_REQUIRES_OK(context, CheckShape(context, 2, {-1, -1}));
    shape.cells = context->input(2).dim_size(0);
    const int64_t rows = context->input(1).dim_size(1);
    OP_REQUIRES_OK(context, CheckShape(context, 2, {shape.cells, rows}));
    OP_REQUIRES_OK(context,
                   CheckShape(context, 3, {shape.columns, shape.cells}));
    float* const likelihoods =
        Output(context, 0, {batch, shape.cells, shape.cells});
    if (likelihoods == nullptr) return;
    ForUnits(context, batch, (2 + kProduct * shape.cells) * shape.pixels,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(ColourLikelihood)
               (shape, Input(context, 0), Input(context, 1), Input(context, 2),
                Input(context, 3), doubt_, likelihoods, begin, end, scratch);
             });
  }

 private:
  int64_t bins_;
  float doubt_;
};

class StandardizedOp : public OpKernel {
 public:
  explicit StandardizedOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("centred", &centred_));
    OP_REQUIRES_OK(context, context->GetAttr("ridge", &ridge_));
    OP_REQUIRES_OK(context, context->GetAttr("floor", &floor_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Chosen().status);
    OP_REQUIRES_OK(context, CheckShape(context, 0, {-1, -1, -1, -1}));
    const TensorShape& shape = context->input(0).shape();
    Tensor* standardized;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                {0}, 0, shape, &standardized));
    if (standardized->NumElements() == 0) return;
    const int64_t width = shape.dim_size(2) * shape.dim_size(3);
    float* const out = standardized->flat<float>().data();
    ForUnits(context, shape.dim_size(0), 0.5 * shape.dim_size(1) * width,
             [&](int64_t begin, int64_t end, Scratch* scratch) {
               RATM_CHOSEN(Standardized)
               (shape.dim_size(1), width, shape.dim_size(3), centred_, ridge_,
                floor_, Input(context, 0), out, begin, end, scratch);
             });
  }

 private:
  bool centred_;
  float ridge_;
  float floor_;
};

}  // namespace

REGISTER_OP("Ratm>CorrelationFit")
    .Input("maps: float")
    .Input("rows: float")
    .Input("columns: float")
    .Input("label: float")
    .Output("numerators: float")
    .Output("powers: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {4, 2, 2, 3}));
      const DimensionHandle batch = Dim(c, 0, 0), rows = Dim(c, 3, 0);
      DimensionHandle columns;
      TF_RETURN_IF_ERROR(c->Divide(Dim(c, 3, 1), 2, true, &columns));
      c->set_output(0, c->MakeShape({batch, rows, Dim(c, 3, 1), Dim(c, 0, 3)}));
      c->set_output(1, c->MakeShape({batch, rows, columns}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
What windows with the target in their middle say of its filter.

maps: Features, shape [B, cells, cells, C].
rows: Shape [2 R, cells], from the rows of maps to their R lowest frequencies,
  real and imaginary parts in turn.
columns: Shape [2 Q, 2 cells], from the parts of columns to Q frequencies, real
  parts before imaginary ones.
label: Shape [R, 2 Q, 1], weights of the frequencies.
numerators: Shape [B, R, 2 Q, C], weighted frequencies.
powers: Shape [B, R, Q], the power in all channels.
)doc");

REGISTER_OP("Ratm>CorrelationSolve")
    .Input("numerators: float")
    .Input("powers: float")
    .Input("to_columns: float")
    .Input("rows_inside: float")
    .Input("columns_inside: float")
    .Output("filters: float")
    .Attr("ridge: float")
    .Attr("rounds: int >= 0")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {4, 3, 2, 2, 2}));
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The filters that stay inside of their support, by so many rounds of ADMM.

numerators: Shape [B, R, 2 Q, C], see CorrelationFit.
powers: Shape [B, R, Q].
to_columns: Shape [2 cells, 2 Q], from frequencies to the columns of maps.
rows_inside: Shape [2 R, 2 R], from frequencies of rows to those of what is
  inside.
columns_inside: Shape [2 Q, 2 cells], from columns to frequencies of what is
  inside.
filters: Shape [B, R, 2 Q, C].
)doc");

REGISTER_OP("Ratm>CorrelationRespond")
    .Input("filters: float")
    .Input("maps: float")
    .Input("rows: float")
    .Input("columns: float")
    .Input("from_columns: float")
    .Input("from_rows: float")
    .Output("responses: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {4, 4, 2, 2, 2, 2}));
      c->set_output(0,
                    c->MakeShape({Dim(c, 1, 0), Dim(c, 1, 1), Dim(c, 1, 2)}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The correlation of filters with windows, as many for each.

filters: Shape [B, R, 2 Q, C].
maps: Shape [B * K, cells, cells, C].
rows: Shape [2 R, cells], see CorrelationFit.
columns: Shape [2 Q, 2 cells].
from_columns: Shape [2 Q, 2 cells], from frequencies to columns of responses,
  transposed.
from_rows: Shape [cells, 2 R], to their rows.
responses: Shape [B * K, cells, cells].
)doc");

REGISTER_OP("Ratm>ResponsePeak")
    .Input("responses: float")
    .Output("places: float")
    .Output("heights: float")
    .Output("sharpnesses: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {3}));
      const DimensionHandle batch = Dim(c, 0, 0);
      c->set_output(0, c->Matrix(batch, 2));
      c->set_output(1, c->Vector(batch));
      c->set_output(2, c->Vector(batch));
      return absl::OkStatus();
    })
    .Doc(R"doc(
Where responses are highest, between cells, and how that stands out.

responses: Shape [B, cells, cells].
places: Shape [B, 2], x and y in cells from the middle.
heights: Shape [B].
sharpnesses: Shape [B], the average peak-to-correlation energy.
)doc");

REGISTER_OP("Ratm>ColourHistograms")
    .Input("glimpses: float")
    .Input("areas: float")
    .Output("histograms: float")
    .Attr("bins: int >= 1")
    .Attr("neighbours: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {4, 2}));
      c->set_output(0, c->MakeShape({Dim(c, 0, 0), c->UnknownDim(), 2}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
The colours of two areas of windows.

glimpses: Shape [B, N, M, C] in 0..1.
areas: Shape [N M, 2], how much a pixel is of either.
bins: Of each channel.
neighbours: The share of a colour that each neighbour gets, along each axis.
histograms: Shape [B, bins^C, 2], each of the two adding up to one.
)doc");

REGISTER_OP("Ratm>ColourLikelihood")
    .Input("histograms: float")
    .Input("glimpses: float")
    .Input("rows: float")
    .Input("columns: float")
    .Output("likelihoods: float")
    .Attr("bins: int >= 1")
    .Attr("doubt: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {3, 4, 2, 2}));
      c->set_output(0,
                    c->MakeShape({Dim(c, 1, 0), Dim(c, 2, 0), Dim(c, 3, 1)}));
      return absl::OkStatus();
    })
    .Doc(R"doc(
How likely the colours of places are of the first area, by Bayes' rule.

histograms: Shape [B, bins^C, 2], see ColourHistograms.
glimpses: Shape [B, N, M, C] in 0..1.
rows: Shape [cells, N], means over rows.
columns: Shape [M, cells], and over columns.
doubt: How much of a colour must have been seen to say something.
likelihoods: Shape [B, cells, cells], as multiples of what the area itself has.
)doc");

REGISTER_OP("Ratm>Standardized")
    .Input("maps: float")
    .Output("standardized: float")
    .Attr("centred: bool")
    .Attr("ridge: float")
    .Attr("floor: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(CheckRanks(c, {4}));
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    })
    .Doc(R"doc(
Maps over the root of their mean square.

maps: Shape [B, N, M, C].
centred: Whether the mean of each channel is subtracted before.
ridge: What is added to the mean square.
floor: What is added to its root.
)doc");

#define RATM_REGISTER(NAME)                                                   \
  REGISTER_KERNEL_BUILDER(Name("Ratm>" #NAME).Device(tensorflow::DEVICE_CPU), \
                          NAME##Op);
RATM_REGISTER(CorrelationFit)
RATM_REGISTER(CorrelationSolve)
RATM_REGISTER(CorrelationRespond)
RATM_REGISTER(ResponsePeak)
RATM_REGISTER(ColourHistograms)
RATM_REGISTER(ColourLikelihood)
RATM_REGISTER(Standardized)

}  // namespace ratm
