"""Measures a tracker on a data set."""

import keras
import tensorflow as tf

from ratm_tf.datasets.examples import tracker_inputs
from ratm_tf.objectives import MeanIoU


def evaluate(tracker, dataset, spans, average="frames", verbose=1):
    """Mean IoU of corner and extent boxes over spans of frames.

    Args:
        tracker: a `ratm_tf.Tracker`.
        dataset: finite, batched `tf.data.Dataset` of examples as in `ratm_tf.datasets`;
            frames where a `mask` is False do not count.
        spans: list of `(first, last)` frames, from 1 and both included, and None for
            all frames. Of sequences that end within a span its frames count that are
            there.
        average: over all `"frames"` alike, or over `"sequences"`, see `MeanIoU`.
        verbose: 1 shows a progress bar, 0 none, as in `keras.Model.evaluate`.

    Returns:
        Dict of floats in 0..1 by name: `corner_iou_1_10` and `extent_iou_1_10` for the
        span `(1, 10)`, `corner_iou` and `extent_iou` for None.

    Raises:
        ValueError: if an argument is not one of those above.

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
    metrics = {
        (kind, span): MeanIoU(average=average)
        for span in spans
        for kind in ("corner", "extent")
    }
    length = dataset.cardinality().numpy()
    progress = keras.utils.Progbar(
        length if length >= 0 else None, verbose=verbose, unit_name="batch"
    )
    for example in dataset:
        windows = tracker.predict_on_batch(tracker_inputs(example))["windows"]
        true = example["boxes"]
        frames = tf.range(1, tf.shape(true)[1] + 1)
        mask = tf.cast(example.get("mask", tf.ones(tf.shape(true)[:2])), tf.float32)
        for (kind, span), metric in metrics.items():
            first, last = span or (1, tf.int32.max)
            counts = tf.cast((frames >= first) & (frames <= last), tf.float32)
            metric.update_state(
                true, tracker.box_from_window(windows, kind), mask * counts
            )
        progress.add(1)
    return {
        "_".join([f"{kind}_iou", *map(str, span or ())]): float(metric.result())
        for (kind, span), metric in metrics.items()
    }
