"""Other starts of a sequence, to measure how much a tracker owes to the first."""

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.parts import PER_FRAME
from ratm_tf.types import Example

# Shifts of the box, in boxes, and factors of its size, of the benchmark of Wu, Lim and
# Yang (2013).
_SHIFTS = 0.1 * np.array([[x, y] for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y])
_SIZES = np.array([0.8, 0.9, 1.1, 1.2])


def temporal_starts(example: Example, count: int = 20) -> tf.data.Dataset:
    """The ends of a sequence from frames that are evenly spread over it.

    A tracker's mean over them is its *temporal robustness* (Wu, Lim and Yang, *Online
    object tracking: a benchmark*, 2013).

    Args:
        example: dict of one sequence, as `ratm_tf.datasets.otb_sequences` has them.
        count: how many there are, or fewer of a sequence with fewer boxes. Only frames
            with a box begin one.

    Returns:
        A finite `tf.data.Dataset` of such dicts, each of which starts on the true box.

    Example:
    >>> from ratm_tf.datasets.starts import temporal_starts
    >>> boxes = tf.repeat([[0.0, 0.0, 9.0, 9.0]], 40, axis=0)
    >>> frames = tf.zeros([40, 20, 20, 1], tf.uint8)
    >>> sequence = {"frames": frames, "boxes": boxes, "mask": tf.ones([40], tf.bool)}
    >>> [len(end["boxes"]) for end in temporal_starts(sequence, count=4)]
    [40, 30, 20, 10]
    """
    known = tf.where(example["mask"])[:, 0]
    size = tf.shape(known, tf.int64)[0]
    count = tf.minimum(tf.cast(count, tf.int64), size)

    def end(index):
        first = known[index * size // count]
        rest = {name: example[name][first:] for name in PER_FRAME}
        return example | rest | {"initial_box": example["boxes"][first]}

    return tf.data.Dataset.range(count).map(end)


def spatial_starts(example: Example) -> tf.data.Dataset:
    """A sequence from twelve first boxes that are a little off.

    Eight are shifted by a tenth of the box, to the sides and to the corners; four are
    0.8, 0.9, 1.1 and 1.2 times as large. A tracker's mean over them is its *spatial
    robustness* (Wu, Lim and Yang, 2013).

    Args:
        example: dict of one sequence, as `ratm_tf.datasets.otb_sequences` has them.

    Returns:
        A finite `tf.data.Dataset` of such dicts, of other `initial_box`es.

    Example:
    >>> from ratm_tf.datasets.starts import spatial_starts
    >>> sequence = {"initial_box": tf.constant([0.0, 0.0, 10.0, 20.0])}
    >>> starts = list(spatial_starts(sequence))
    >>> len(starts), starts[0]["initial_box"].numpy()
    (12, array([-1., -2.,  9., 18.], dtype=float32))
    """
    box = tf.cast(example["initial_box"], tf.float32)
    size = box[2:] - box[:2]
    center = (box[:2] + box[2:]) / 2.0
    shifts = np.concatenate([_SHIFTS, np.zeros([len(_SIZES), 2])])
    sizes = np.concatenate([np.ones(len(_SHIFTS)), _SIZES])[:, np.newaxis]
    centers, halves = center + shifts * size, sizes * size / 2.0
    boxes = tf.concat([centers - halves, centers + halves], axis=-1)
    starts = tf.data.Dataset.from_tensor_slices(boxes)
    return starts.map(lambda start: {**example, "initial_box": start})
