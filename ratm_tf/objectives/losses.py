"""Objectives of the paper as Keras losses (Eq. 13-16).

All of them average over everything but batch and time, so a sample weight `[B, T]`
masks frames: those beyond the end of a shorter sequence, or all but the last one.
Features, class probabilities and boxes are vectors, for which Keras has the objective:
`keras.losses.MeanSquaredError` is the paper's for the first two, and
`keras.losses.CosineSimilarity` the distance that it tried for features. The weight
penalty (Eq. 18) is `WeightPenalty`, for `kernel_regularizer` of `ratm_tf.RATMCell`.
"""

import keras
import tensorflow as tf

from ratm_tf.boxes import iou
from ratm_tf.types import Size, TensorLike


@keras.saving.register_keras_serializable(package="ratm_tf")
class PixelLoss(keras.losses.Loss):
    """Mean squared error between the pixels of two glimpses (Eq. 13).

    Call arguments:
        y_true, y_pred: glimpses `[B, T, N, M, C]`.

    Example:
    >>> loss = ratm_tf.objectives.PixelLoss()
    >>> float(loss(tf.zeros([2, 3, 5, 5, 1]), tf.ones([2, 3, 5, 5, 1])))
    1.0
    """

    def __init__(self, name: str = "pixel_loss", **kwargs: object) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        y_pred = tf.convert_to_tensor(y_pred)
        squared = tf.math.squared_difference(tf.cast(y_true, y_pred.dtype), y_pred)
        return tf.reduce_mean(squared, axis=range(2, len(squared.shape)))


@keras.saving.register_keras_serializable(package="ratm_tf")
class LocalizationLoss(keras.losses.Loss):
    """Mean squared error between box centres, in the units of Eq. 5.

    In these units the frame reaches from -1 to 1 between its outermost pixel centres.
    Corner and extent boxes share their centre: either output serves. Along an axis of
    one pixel, where every activation gives the same centre, there is no error.

    Args:
        frame_size: `(H, W)` of the frames, in pixels.

    Call arguments:
        y_true, y_pred: boxes `[B, T, 4]` as `(x1, y1, x2, y2)` in pixels.

    Example:
    >>> loss = ratm_tf.objectives.LocalizationLoss(frame_size=(101, 101))
    >>> boxes = tf.constant([[[10.0, 10.0, 20.0, 20.0]]])
    >>> float(loss(boxes, boxes + 50.0))
    1.0
    """

    def __init__(
        self, frame_size: Size, name: str = "localization_loss", **kwargs: object
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.frame_size = tuple(frame_size)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        y_pred = tf.convert_to_tensor(y_pred)
        height, width = self.frame_size
        half_span = tf.constant([width - 1, height - 1], y_pred.dtype) / 2.0
        error = _center(tf.cast(y_true, y_pred.dtype)) - _center(y_pred)
        error = tf.math.divide_no_nan(error, half_span)
        return tf.reduce_mean(tf.square(error), axis=-1)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"frame_size": self.frame_size}


@keras.saving.register_keras_serializable(package="ratm_tf")
class RelativeBoxLoss(keras.losses.Loss):
    """Mean absolute error of a box's edges, in units of the true box's size.

    It weighs the errors of small targets like those of large ones. Frames without a
    true box, of no width or height, do not count: the mean is over the others.

    Call arguments:
        y_true, y_pred: boxes `[B, T, 4]` as `(x1, y1, x2, y2)` in pixels.

    Example:
    >>> loss = ratm_tf.objectives.RelativeBoxLoss()
    >>> float(loss([[[0.0, 0.0, 2.0, 4.0]]], [[[1.0, 0.0, 3.0, 4.0]]]))
    0.25
    """

    def __init__(self, name: str = "relative_box_loss", **kwargs: object) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        y_pred = tf.convert_to_tensor(y_pred)
        y_true = tf.cast(y_true, y_pred.dtype)
        size = y_true[..., 2:4] - y_true[..., 0:2]
        error = tf.abs(y_true - y_pred)
        relative = tf.math.divide_no_nan(error, tf.concat([size, size], axis=-1))
        return _where_a_box_is(y_true, tf.reduce_mean(relative, axis=-1))


@keras.saving.register_keras_serializable(package="ratm_tf")
class OverlapLoss(keras.losses.Loss):
    """What a box lacks of an IoU of 1, the measure of Table 1.

    Boxes that do not overlap teach nothing: have a loss of their distance beside it.
    Frames without a true box do not count, as in `RelativeBoxLoss`.

    Call arguments:
        y_true, y_pred: boxes `[B, T, 4]` as `(x1, y1, x2, y2)` in pixels.

    Example:
    >>> loss = ratm_tf.objectives.OverlapLoss()
    >>> float(loss([[[0.0, 0.0, 2.0, 4.0]]], [[[0.0, 0.0, 2.0, 3.0]]]))
    0.25
    """

    def __init__(self, name: str = "overlap_loss", **kwargs: object) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> tf.Tensor:
        return _where_a_box_is(y_true, 1.0 - iou(y_true, y_pred))


def _where_a_box_is(y_true, losses):
    """Losses `[B, T]` of which those of frames without a true box do not count."""
    y_true = tf.convert_to_tensor(y_true)
    # Keras leaves out of the mean what its mask leaves out.
    mask = tf.reduce_all(y_true[..., 2:4] != y_true[..., 0:2], axis=-1)
    losses *= _share(mask, losses.dtype)
    losses._keras_mask = mask
    return losses


def _share(mask, dtype):
    """How many times a replica's mean counts in the mean of all replicas' frames.

    Each has frames with a box of its own; elsewhere than in a replica it is 1.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 1.0
    count = tf.reduce_sum(tf.cast(mask, dtype))
    mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, count)
    return tf.math.divide_no_nan(count, tf.stop_gradient(mean))


def _center(box):
    return (box[..., 0:2] + box[..., 2:4]) / 2.0
