"""From examples of the data sets to what a tracker is trained on."""

import tensorflow as tf

from ratm_tf.types import Example


def tracker_inputs(example: Example) -> dict[str, tf.Tensor]:
    """Takes from an example what a tracker may see.

    Args:
        example: dict, a batch of `ratm_tf.datasets`.

    Returns:
        Dict of its `frames` and, if there is one, its `initial_box`.

    Example:
    >>> example = {"frames": tf.zeros([2, 5, 64, 64, 1]), "boxes": tf.zeros([2, 5, 4])}
    >>> list(ratm_tf.datasets.tracker_inputs(example))
    ['frames']
    """
    return {
        name: example[name] for name in ("frames", "initial_box") if name in example
    }


def labelled(example: Example) -> tuple[dict[str, tf.Tensor], ...]:
    """Makes a tracker's inputs and labels from a batch of `ratm_tf.datasets`.

    Args:
        example: dict with `frames` `[B, T, H, W, C]`, `boxes` `[B, T, 4]` and, where
            they apply, `initial_box` `[B, 4]` of trackers that start on a target, the
            class `digit` `[B]`, and `mask` `[B, T]`, bool, False for the frames that
            pad a shorter sequence.

    Returns:
        `(inputs, labels)` as `Tracker.fit` takes them, or `(inputs, labels, weights)`
        if there is a mask: what `tracker_inputs` takes, weights `[B, T]` that leave the
        padding out, and labels:
            `boxes`: the true boxes;
            `class_probabilities`: `[B, T, 10]`, one for the digit's class.

    Example:
    >>> frames, boxes = tf.zeros([2, 5, 64, 64, 1]), tf.zeros([2, 5, 4])
    >>> example = {"frames": frames, "boxes": boxes, "digit": tf.constant([3, 7])}
    >>> inputs, labels = ratm_tf.labelled(example)
    >>> sorted(labels)
    ['boxes', 'class_probabilities']
    """
    labels = {"boxes": example["boxes"]}
    if "digit" in example:
        digit = tf.one_hot(example["digit"], 10)[:, tf.newaxis]
        length = tf.shape(example["boxes"])[1]
        labels["class_probabilities"] = tf.repeat(digit, length, axis=1)
    inputs = tracker_inputs(example)
    if "mask" in example:
        return inputs, labels, tf.cast(example["mask"], tf.float32)
    return inputs, labels
