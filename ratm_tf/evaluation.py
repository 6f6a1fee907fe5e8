"""Measures a tracker on a data set."""

import keras
import tensorflow as tf

from ratm_tf.attention import gaussian_glimpse
from ratm_tf.boxes import scale_box, window_from_box
from ratm_tf.objectives import MeanIoU


def tracker_inputs(example):
    """Takes from an example what a tracker may see.

    Args:
        example: dict, a batch of `ratm_tf.datasets`.

    Returns:
        Dict of its `frames` and, if there is one, its `initial_box`.

    Example:
    >>> example = {"frames": tf.zeros([2, 5, 64, 64, 1]), "boxes": tf.zeros([2, 5, 4])}
    >>> list(tracker_inputs(example))
    ['frames']
    """
    return {
        name: example[name] for name in ("frames", "initial_box") if name in example
    }


def labelled(example, glimpse_size=(28, 28), box_scale=1.0):
    """Makes a tracker's inputs and labels from a batch of `ratm_tf.datasets`.

    Args:
        example: dict with `frames` `[B, T, H, W, C]`, uint8, `boxes` `[B, T, 4]` and,
            where they apply, `initial_box` `[B, 4]` of trackers that start on a target,
            the class `digit` `[B]`, and `mask` `[B, T]`, bool, False for the frames
            that pad a shorter sequence.
        glimpse_size: `(N, M)`, the tracker's.
        box_scale: the tracker's.

    Returns:
        `(inputs, labels)` as `Tracker.fit` takes them, or `(inputs, labels, weights)`
        if there is a mask: what `tracker_inputs` takes, weights `[B, T]` that leave the
        padding out, and labels of the outputs that the objectives may name:
            `boxes`, `corner_boxes`: the true boxes;
            `glimpses`: `[B, T, N, M, C]` in 0..1, what the tracker would see through
            the true boxes, read as it reads (section 4);
            `class_probabilities`: `[B, T, 10]`, one for the digit's class.

    Example:
    >>> dataset = ratm_tf.datasets.moving_mnist("train", num_frames=10, batch_size=32)
    >>> inputs, labels = next(iter(dataset.map(ratm_tf.labelled)))
    >>> sorted(labels)
    ['boxes', 'class_probabilities', 'corner_boxes', 'glimpses']
    """
    frames, boxes = example["frames"], example["boxes"]
    shape = tf.shape(frames)
    glimpses = gaussian_glimpse(
        tf.reshape(frames, tf.concat([[-1], shape[2:]], axis=0)),
        window_from_box(scale_box(tf.reshape(boxes, [-1, 4]), box_scale), glimpse_size),
        glimpse_size,
    )
    glimpses = tf.reshape(
        glimpses / 255.0, tf.concat([shape[:2], tf.shape(glimpses)[1:]], axis=0)
    )
    labels = {"boxes": boxes, "corner_boxes": boxes, "glimpses": glimpses}
    if "digit" in example:
        digit = tf.one_hot(example["digit"], 10)[:, tf.newaxis]
        labels["class_probabilities"] = tf.repeat(digit, shape[1], axis=1)
    inputs = tracker_inputs(example)
    if "mask" in example:
        return inputs, labels, tf.cast(example["mask"], tf.float32)
    return inputs, labels


def evaluate(tracker, dataset, spans, verbose=1):
    """Mean IoU of corner and extent boxes over spans of frames.

    Args:
        tracker: a `ratm_tf.Tracker`.
        dataset: finite, batched `tf.data.Dataset` of examples as in `ratm_tf.datasets`;
            frames where a `mask` is False do not count.
        spans: list of `(first, last)` frames, from 1 and both included, and None for
            all frames.
        verbose: 1 shows a progress bar, 0 none, as in `keras.Model.evaluate`.

    Returns:
        Dict of floats in 0..1 by name: `corner_iou_1_10` and `extent_iou_1_10` for the
        span `(1, 10)`, `corner_iou` and `extent_iou` for None.

    Example:
    >>> test = ratm_tf.datasets.moving_mnist("test", num_frames=30, num_sequences=64,
    ...                                      batch_size=32)
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> sorted(evaluate(tracker, test, spans=[(1, 30)], verbose=0))
    ['corner_iou_1_30', 'extent_iou_1_30']
    """
    metrics = {
        "_".join([f"{kind}_iou", *map(str, span or ())]): (output, MeanIoU(span))
        for span in spans
        for kind, output in (("corner", "corner_boxes"), ("extent", "boxes"))
    }
    progress = keras.utils.Progbar(len(dataset), verbose=verbose, unit_name="batch")
    for example in dataset:
        outputs = tracker.predict_on_batch(tracker_inputs(example))
        for output, metric in metrics.values():
            metric.update_state(example["boxes"], outputs[output], example.get("mask"))
        progress.add(1)
    return {name: float(metric.result()) for name, (_, metric) in metrics.items()}
