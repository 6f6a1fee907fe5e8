"""Measures a tracker on a data set."""

import keras
import tensorflow as tf

from ratm_tf.boxes import KINDS
from ratm_tf.datasets.examples import tracker_inputs
from ratm_tf.objectives import MeanIoU


def evaluate(tracker, dataset, spans, average="frames", verbose=1):
    """Mean IoU of corner and extent boxes over spans of frames.

    It is `keras.Model.evaluate` with a `MeanIoU` for each span and kind of box. The
    tracker need not be compiled, and stays as it is.

    Args:
        tracker: a `ratm_tf.Tracker`.
        dataset: finite, batched `tf.data.Dataset` of examples as in `ratm_tf.datasets`;
            frames where a `mask` is False do not count.
        spans: list of `(first, last)` frames, from 1 and both included, and None for
            all frames. Where there is a `mask`, sequences may end before: the frames
            count that are there.
        average: over all `"frames"` alike, or over `"sequences"`, see `MeanIoU`.
        verbose: 1 shows a progress bar, 0 none, as in `keras.Model.evaluate`.

    Returns:
        Dict of floats in 0..1 by name: `corner_iou_1_10` and `extent_iou_1_10` for the
        span `(1, 10)`, `corner_iou` and `extent_iou` for None.

    Raises:
        ValueError: if an argument is not one of those above, or no frame counts.
        tf.errors.InvalidArgumentError: if sequences end before a span, where that is
            known only as a graph runs.

    Example:
    >>> test = ratm_tf.datasets.bouncing_balls_sequences(
    ...     "test", num_frames=32, num_sequences=64, batch_size=32
    ... )
    >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
    >>> sorted(ratm_tf.evaluate(tracker, test, spans=[(1, 32)], verbose=0))
    ['corner_iou_1_32', 'extent_iou_1_32']
    """
    for span in spans:
        if span is not None and not 1 <= span[0] <= span[1]:
            raise ValueError(
                "Expected `spans` to be (first, last) with 1 <= first <= last, or "
                f"None. Received: {span}"
            )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"Expected `dataset` to have an end. Received: {dataset}")
    metrics = {
        kind: [
            MeanIoU(span, average, name="_".join(["iou", *map(str, span or ())]))
            for span in spans
        ]
        for kind in KINDS
    }
    model = _Boxes(tracker)
    model.compile(weighted_metrics=metrics)
    longest = max((span[1] for span in spans if span is not None), default=0)
    found = model.evaluate(
        dataset.map(lambda example: _measured(example, longest)),
        verbose=verbose,
        return_dict=True,
    )
    for span, metric in zip(spans, metrics[KINDS[0]], strict=True):
        if metric.count == 0:
            raise ValueError(
                "Expected `dataset` to have frames to count. Received: none in "
                f"{'all' if span is None else f'the span {span}'}"
            )
    return {name: value for name, value in found.items() if name != "loss"}


class _Boxes(keras.Model):
    """A tracker's boxes, of both kinds."""

    def __init__(self, tracker):
        super().__init__(autocast=False, name="boxes")
        self.tracker = tracker

    def call(self, inputs):
        windows = self.tracker(inputs, training=False)["windows"]
        return {kind: self.tracker.box_from_window(windows, kind) for kind in KINDS}

    def compute_loss(self, *args, **kwargs):
        return tf.zeros([])  # It is only measured.


def _measured(example, longest):
    """Inputs, labels and weights; masked sequences are padded for the longest span."""
    true = example["boxes"]
    weights = tf.ones(tf.shape(true)[:2])
    if "mask" in example:
        missing = tf.maximum(longest - tf.shape(true)[1], 0)

        def padded(values):
            none = [[0, 0]] * (values.shape.rank - 2)
            return tf.pad(values, [[0, 0], [0, missing], *none])

        true = padded(true)
        weights = padded(tf.cast(example["mask"], tf.float32))
        example = example | {"frames": padded(example["frames"])}
    return tracker_inputs(example), dict.fromkeys(KINDS, true), weights
