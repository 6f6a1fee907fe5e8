"""Moving MNIST with one digit (section 5.2 of the paper), as a `tf.data` pipeline."""

import operator

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.mnist import load_digits

DIGIT_SIZE = 28
MAX_SPEED = 15.0
MOMENTUM = 0.9


def moving_mnist(
    split,
    *,
    num_frames,
    batch_size=None,
    num_sequences=None,
    start=0,
    seed=0,
    frame_size=(100, 100),
    mnist_path=None,
):
    """Builds sequences of one MNIST digit that wanders over a black canvas.

    Sequence `i` of a `seed` and `split` is always the same one, whatever the
    batch size, and its first frames are the same however many are asked for.
    Frames are rendered on the fly. `start` skips sequences without rendering
    them: continue an interrupted training there, or give each of several
    workers its own range of sequences.

    Args:
        split: "train" or "test", the MNIST split that digits are drawn from.
        num_frames: frames per sequence, T.
        batch_size: optional number of sequences per element, B; the last batch
            may be smaller. Without it, elements are single sequences.
        num_sequences: how many sequences; without it, they never end.
        start: index of the first sequence.
        seed: integer, chooses the whole collection of sequences.
        frame_size: (height, width) of the canvas in pixels, each at least 43:
            a digit and its longest step.
        mnist_path: optional MNIST file, see `load_digits`.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, height, width, 1], 0..255;
        - `boxes`: float32 of shape [T, 4], the digit's 28x28 cell as
          (x1, y1, x2, y2) in pixels, edges included: with the cell's top-left
          pixel at x, x1 = x - 0.5 and x2 = x + 27.5;
        - `digit`: int64 scalar, the class 0..9.

    Raises:
        ValueError: If an argument is out of its range, or `mnist_path` has
            wrong contents.
        FileNotFoundError: If there is no file at `mnist_path`.

    Example:
    >>> from ratm_tf.datasets import moving_mnist
    >>> batches = moving_mnist("train", num_frames=10, batch_size=32)
    >>> next(iter(batches))["frames"].shape
    TensorShape([32, 10, 100, 100, 1])
    """
    num_frames = _integer("num_frames", num_frames, at_least=1)
    start = _integer("start", start, at_least=0)
    seed = _integer("seed", seed)
    if np.shape(frame_size) != (2,):
        raise ValueError(f"frame_size must be (height, width), got {frame_size!r}.")
    height, width = frame_size
    smallest = DIGIT_SIZE + int(MAX_SPEED)
    height = _integer("frame_size[0]", height, at_least=smallest)
    width = _integer("frame_size[1]", width, at_least=smallest)
    if batch_size is not None:
        batch_size = _integer("batch_size", batch_size, at_least=1)
    if num_sequences is None:
        indices = tf.data.Dataset.counter(start)
    else:
        num_sequences = _integer("num_sequences", num_sequences, at_least=1)
        indices = tf.data.Dataset.range(start, start + num_sequences)

    images, labels = map(tf.constant, load_digits(split, mnist_path))
    limit = tf.constant([width - DIGIT_SIZE, height - DIGIT_SIZE], tf.float32)
    collection_key = tf.random.fold_in(
        tf.constant([seed, 0], tf.int64), ("train", "test").index(split), alg="philox"
    )

    def sequence(index):
        digit, corner, velocity, kicks = _draw(
            collection_key + [index, 0], num_frames, len(labels), limit
        )
        corners = tf.round(random_walk(corner, velocity, kicks, limit))
        return {
            "frames": render(images[digit], corners, (height, width)),
            "boxes": tf.concat([corners - 0.5, corners + (DIGIT_SIZE - 0.5)], axis=1),
            "digit": labels[digit],
        }

    dataset = indices.map(sequence, num_parallel_calls=tf.data.AUTOTUNE)
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _draw(key, num_frames, num_digits, limit):
    """Draws a sequence's random numbers: digit, corner, velocity and kicks.

    Philox makes the kicks of a short sequence the first ones of a long one.
    """

    def uniform(stream, shape, low, high, dtype=tf.float32):
        return tf.random.stateless_uniform(
            shape, key + [0, stream], low, high, dtype, alg="philox"
        )

    return (
        uniform(0, [], 0, num_digits, tf.int32),
        uniform(1, [2], 0.0, 1.0) * limit,
        uniform(2, [2], -MAX_SPEED, MAX_SPEED),
        uniform(3, [num_frames - 1, 2], -MAX_SPEED, MAX_SPEED),
    )


def random_walk(position, velocity, kicks, limit):
    """Walks with momentum between reflecting borders.

    Every step, `velocity = 0.9 * velocity + 0.1 * kick` and then
    `position = position + velocity`; a position beyond a border is mirrored
    at it and its velocity turned.

    Args:
        position: float tensor of shape [2], where the walk starts, (x, y) in
            pixels, 0..`limit`.
        velocity: float tensor of shape [2], pixels per step.
        kicks: float tensor of shape [T - 1, 2], T - 1 known statically. No
            velocity or kick may be larger than `limit`.
        limit: float tensor of shape [2], the borders are at 0 and at `limit`.

    Returns:
        Float tensor of shape [T, 2], the positions, the first one included.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets.moving_mnist import random_walk
    >>> random_walk(
    ...     position=tf.constant([0.0, 9.0]),
    ...     velocity=tf.constant([1.0, 2.0]),
    ...     kicks=tf.constant([[1.0, 2.0]]),
    ...     limit=tf.constant([10.0, 10.0]),
    ... ).numpy()
    array([[0., 9.],
           [1., 9.]], dtype=float32)
    """
    positions = [position]
    for kick in tf.unstack(kicks):
        velocity = MOMENTUM * velocity + (1 - MOMENTUM) * kick
        moved = position + velocity
        position = tf.minimum(tf.abs(moved), 2 * limit - tf.abs(moved))
        velocity = tf.where(position == moved, velocity, -velocity)
        positions.append(position)
    return tf.stack(positions)


def render(image, corners, frame_size):
    """Draws one image at a place of its own in every frame.

    Args:
        image: tensor of shape [h, w], any numeric dtype.
        corners: tensor of shape [T, 2], T known statically: the (x, y) of the
            image's top-left pixel, whole numbers; the image must lie inside
            the frame.
        frame_size: (height, width) in pixels.

    Returns:
        Tensor of the image's dtype, shape [T, height, width, 1], zero around
        the image.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets.moving_mnist import render
    >>> render(tf.ones([1, 2], tf.int32), [[0, 0], [1, 1]], (2, 3))[..., 0].numpy()
    array([[[1, 1, 0],
            [0, 0, 0]],
    <BLANKLINE>
           [[0, 0, 0],
            [0, 1, 1]]], dtype=int32)
    """
    height, width = frame_size
    rows, columns = image.shape
    # Pixels are contiguous, row by row, so moving the image inside the frame is
    # moving the frame's pixels over one long strip.
    strip = tf.pad(image, [[height, height - rows], [0, width - columns]])
    strip = tf.reshape(strip, [-1])
    corners = tf.cast(corners, tf.int32)
    offsets = height * width - corners[:, 1] * width - corners[:, 0]
    frames = [
        tf.slice(strip, [offset], [height * width]) for offset in tf.unstack(offsets)
    ]
    return tf.reshape(tf.stack(frames), [-1, height, width, 1])


def _integer(name, value, at_least=None):
    try:
        integer = operator.index(value)
    except TypeError:
        integer = None
    if integer is None or (at_least is not None and integer < at_least):
        wanted = "an integer" if at_least is None else f"an integer >= {at_least}"
        raise ValueError(f"{name} must be {wanted}, got {value!r}.")
    return integer
