"""Mean intersection over union of tracked and true boxes."""

import keras
import tensorflow as tf

from ratm_tf.boxes import iou


@keras.saving.register_keras_serializable(package="ratm_tf")
class MeanIoU(keras.metrics.Mean):
    """Mean intersection over union of tracked and true boxes, over all frames.

    Attached to a tracker's `corner_boxes` it is the paper's measure (section 5.2); to
    its `boxes`, the IoU of what the glimpse covers.

    Args:
        frames: `(first, last)`, the frames of each sequence that count, from 1 and both
            included, as the paper counts them. None counts all.

    Call arguments:
        y_true, y_pred: boxes `[B, T, 4]` as `(x1, y1, x2, y2)` in pixels.
        sample_weight: `[B]` or `[B, T]`: 0 leaves a sequence or a frame out.

    Example:
    >>> metric = ratm_tf.MeanIoU()
    >>> metric.update_state([[[0.0, 0.0, 2.0, 2.0]]], [[[0.0, 0.0, 2.0, 1.0]]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, frames=None, name="iou", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.frames = frames
        self._direction = "up"

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = iou(tf.cast(y_true, self.dtype), tf.cast(y_pred, self.dtype))
        if self.frames is not None:
            first, last = self.frames
            values = values[:, first - 1 : last]
            if sample_weight is not None and len(sample_weight.shape) > 1:
                sample_weight = sample_weight[:, first - 1 : last]
        super().update_state(values, sample_weight)

    def get_config(self):
        return super().get_config() | {"frames": self.frames}
