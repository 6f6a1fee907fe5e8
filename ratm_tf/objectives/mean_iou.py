"""Mean intersection over union of tracked and true boxes."""

from typing import Literal

import keras
import tensorflow as tf

from ratm_tf.boxes import iou
from ratm_tf.types import TensorLike

_AVERAGES = ("frames", "sequences")


@keras.saving.register_keras_serializable(package="ratm_tf")
class MeanIoU(keras.metrics.Metric):
    """Mean intersection over union of tracked and true boxes.

    Attached to a tracker's `corner_boxes` it is the paper's measure (section 5.2, Eq.
    17). It does not depend on how sequences are batched or padded, as long as the
    padding has no weight: give it to `compile` as one of the `weighted_metrics`.

    Args:
        average: `"frames"`, over all frames alike, as the paper's figures are (those of
            KTH over the frames of a subject, then over subjects); or `"sequences"`,
            over the frames of each sequence, then over sequences, as those of TB-100
            are.
        frames: `(first, last)`, the frames of each sequence that count, from 1 and both
            included, as the paper counts them. None counts all.

    Call arguments:
        y_true, y_pred: boxes `[B, T, 4]` as `(x1, y1, x2, y2)` in pixels, of any real
            dtype; computed in float32 at least.
        sample_weight: `[B]` or `[B, T]`: 0 leaves a sequence or a frame out, whatever
            its boxes are.

    Raises:
        ValueError: if an argument is not one of those above, or shapes differ.
        tf.errors.InvalidArgumentError: if the sequences end before `frames`, or shapes
            differ, where that is known only as a graph runs.

    Example:
    >>> metric = ratm_tf.MeanIoU()
    >>> metric.update_state([[[0.0, 0.0, 2.0, 2.0]]], [[[0.0, 0.0, 2.0, 1.0]]])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        frames: tuple[int, int] | None = None,
        average: Literal["frames", "sequences"] = "frames",
        name: str = "iou",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in _AVERAGES:
            raise ValueError(
                f"Expected `average` to be one of {_AVERAGES}. Received: {average!r}"
            )
        if frames is not None:
            first, last = frames
            if not 1 <= first <= last:
                raise ValueError(
                    "Expected `frames` to be (first, last) with 1 <= first <= last. "
                    f"Received: {frames}"
                )
            frames = int(first), int(last)
        self.frames = frames
        self.average = average
        self._direction = "up"
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(
        self,
        y_true: TensorLike,
        y_pred: TensorLike,
        sample_weight: TensorLike | None = None,
    ) -> None:
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        for name, boxes in (("y_true", y_true), ("y_pred", y_pred)):
            if boxes.shape.rank != 3 or boxes.shape[-1] not in (4, None):
                raise ValueError(
                    f"Expected `{name}` to be boxes [B, T, 4]. Received shape: "
                    f"{boxes.shape}"
                )
        if not y_true.shape.is_compatible_with(y_pred.shape):
            raise ValueError(
                "Expected `y_true` and `y_pred` of one shape. Received shapes: "
                f"{y_true.shape} and {y_pred.shape}"
            )
        dtype = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
        with tf.control_dependencies(
            [tf.debugging.assert_equal(tf.shape(y_true), tf.shape(y_pred))]
        ):
            values = iou(tf.cast(y_true, dtype), tf.cast(y_pred, dtype))
        weights = tf.ones_like(values)
        if sample_weight is not None:
            given = tf.cast(sample_weight, dtype)
            weights *= given[:, tf.newaxis] if given.shape.rank == 1 else given
        if self.frames is not None:
            values, weights = self._span(values), self._span(weights)
        # What has no weight may be anything, NaN too.
        weighted = tf.where(weights > 0, values, 0.0) * weights
        if self.average == "sequences":
            lengths = tf.reduce_sum(weights, axis=1)
            weighted = tf.math.divide_no_nan(tf.reduce_sum(weighted, axis=1), lengths)
            weights = tf.cast(lengths > 0, dtype)
        self.total.assign_add(tf.cast(tf.reduce_sum(weighted), self.total.dtype))
        self.count.assign_add(tf.cast(tf.reduce_sum(weights), self.count.dtype))

    def _span(self, values):
        first, last = self.frames
        length = values.shape[1]
        if length is not None and length < last:
            raise ValueError(
                f"Expected sequences of at least {last} frames, for `frames`="
                f"{self.frames}. Received: {length} frames"
            )
        enough = tf.debugging.assert_greater_equal(
            tf.shape(values)[1], last, "Sequences end before the `frames` that count"
        )
        with tf.control_dependencies([enough]):
            return values[:, first - 1 : last]

    def result(self) -> tf.Tensor:
        return tf.math.divide_no_nan(
            tf.convert_to_tensor(self.total), tf.convert_to_tensor(self.count)
        )

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"frames": self.frames, "average": self.average}
