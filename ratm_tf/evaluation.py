"""Measures a tracker on a data set."""

import keras
import tensorflow as tf

from ratm_tf.objectives import MeanIoU


def labelled(example):
    """Splits an example of `ratm_tf.datasets` into a tracker's inputs and labels.

    Args:
        example: dict with `frames` `[..., T, H, W, C]`, `boxes` `[..., T, 4]` and, for
            digits, the class `digit` `[...]`.

    Returns:
        `(inputs, labels)` as `Tracker.fit` takes them: the frames, and as labels the
        true boxes of both box outputs and the `class_probabilities` `[..., T, 10]`,
        which count in trackers with an objective of that name.

    Example:
    >>> dataset = ratm_tf.datasets.moving_mnist("train", num_frames=10, batch_size=32)
    >>> inputs, labels = next(iter(dataset.map(ratm_tf.labelled)))
    >>> sorted(labels)
    ['boxes', 'class_probabilities', 'corner_boxes']
    """
    frames, boxes = example["frames"], example["boxes"]
    labels = {"boxes": boxes, "corner_boxes": boxes}
    if "digit" in example:
        digit = tf.one_hot(example["digit"], 10)[..., tf.newaxis, :]
        labels["class_probabilities"] = tf.repeat(digit, tf.shape(boxes)[-2], axis=-2)
    return {"frames": frames}, labels


def evaluate(tracker, dataset, spans):
    """Mean IoU of corner and extent boxes over spans of frames.

    Args:
        tracker: a `ratm_tf.Tracker`.
        dataset: finite, batched `tf.data.Dataset` of examples as in `ratm_tf.datasets`.
        spans: list of `(first, last)` frames, from 1 and both included.

    Returns:
        Dict of floats in 0..1 by name: `corner_iou_1_10` and `extent_iou_1_10` for the
        span `(1, 10)`.

    Example:
    >>> test = ratm_tf.datasets.moving_mnist("test", num_frames=30, num_sequences=64,
    ...                                      batch_size=32)
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> sorted(evaluate(tracker, test, spans=[(1, 30)]))
    ['corner_iou_1_30', 'extent_iou_1_30']
    """
    metrics = {
        f"{kind}_iou_{first}_{last}": (output, MeanIoU(frames=(first, last)))
        for first, last in spans
        for kind, output in (("corner", "corner_boxes"), ("extent", "boxes"))
    }
    batches = dataset.map(labelled)
    progress = keras.utils.Progbar(len(batches), unit_name="batch")
    for inputs, labels in batches:
        outputs = tracker.predict_on_batch(inputs)
        for output, metric in metrics.values():
            metric.update_state(labels[output], outputs[output])
        progress.add(1)
    return {name: float(metric.result()) for name, (_, metric) in metrics.items()}
