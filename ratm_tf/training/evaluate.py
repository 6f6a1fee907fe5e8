"""Measures a tracker on a data set."""

from collections.abc import Callable, Sequence
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from ratm_tf.boxes import KINDS
from ratm_tf.datasets.examples import tracker_inputs
from ratm_tf.objectives import MeanIoU
from ratm_tf.tracker import Tracker
from ratm_tf.types import Example


def evaluate(
    tracker: Tracker,
    dataset: tf.data.Dataset,
    spans: Sequence[tuple[int, int] | None],
    average: Literal["frames", "sequences"] = "frames",
    verbose: int = 1,
    on_batch: Callable[[Example, dict[str, np.ndarray]], None] | None = None,
) -> dict[str, float]:
    """Mean IoU of corner and extent boxes over spans of frames.

    There is a `MeanIoU` for each span and kind of box. The tracker need not be
    compiled, and stays as it is.

    Args:
        tracker: a `ratm_tf.Tracker`.
        dataset: finite, batched `tf.data.Dataset` of examples as in `ratm_tf.datasets`;
            frames where a `mask` is False do not count.
        spans: list of `(first, last)` frames, from 1 and both included, and None for
            all frames. Where there is a `mask`, sequences may end before: the frames
            count that are there.
        average: over all `"frames"` alike, or over `"sequences"`, see `MeanIoU`.
        verbose: 1 shows a progress bar, 0 none, as in `keras.Model.evaluate`.
        on_batch: function of each batch, its examples and the tracker's outputs, for
            what else is to be measured in the same pass.

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
    metrics = {(kind, span): MeanIoU(span, average) for kind in KINDS for span in spans}
    longest = max((span[1] for span in spans if span is not None), default=0)
    cardinality = int(dataset.cardinality())
    progress = keras.utils.Progbar(
        cardinality if cardinality >= 0 else None, verbose=verbose, unit_name="batch"
    )
    for example in dataset:
        outputs = tracker.predict_on_batch(tracker_inputs(example))
        for kind in KINDS:
            boxes = tracker.box_from_window(outputs["windows"], kind)
            measured = _padded(example, boxes, longest)
            for span in spans:
                metrics[kind, span].update_state(*measured)
        if on_batch is not None:
            on_batch(example, outputs)
        progress.add(1)
    for span in spans:
        if metrics[KINDS[0], span].count == 0:
            raise ValueError(
                "Expected `dataset` to have frames to count. Received: none in "
                f"{'all' if span is None else f'the span {span}'}"
            )
    return {
        "_".join([kind, "iou", *map(str, span or ())]): float(metric.result())
        for (kind, span), metric in metrics.items()
    }


def _padded(example, boxes, longest):
    """True boxes, boxes and weights; where there is a mask, for the longest span."""
    true = tf.cast(example["boxes"], boxes.dtype)
    if "mask" not in example:
        return true, boxes, None
    missing = tf.maximum(longest - tf.shape(true)[1], 0)
    values = true, boxes, tf.cast(example["mask"], tf.float32)
    return [
        tf.pad(value, [[0, 0], [0, missing], [0, 0]][: value.shape.rank])
        for value in values
    ]
