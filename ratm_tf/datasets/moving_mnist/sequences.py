"""Moving MNIST (section 6.2 of the paper), as a `tf.data` pipeline."""

import collections.abc
import functools
import typing
from typing import Literal

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import (
    SPLITS,
    height_and_width,
    integer,
    one_of,
    sequence_indices,
)
from ratm_tf.datasets.bouncing_balls.simulation import draw_balls
from ratm_tf.datasets.keys import stream
from ratm_tf.datasets.moving_mnist import FRAME_SIZE
from ratm_tf.datasets.moving_mnist.motion import (
    bouncing_walk,
    foreseen_bounces,
    foreseen_walk,
    random_walk,
)
from ratm_tf.datasets.sources.mnist import load_digits
from ratm_tf.types import Path, Size, Split

DIGIT_SIZE = 28
MAX_SPEED = 15.0
DRIFT_SPEED = 5.0
INITIAL_BOX_SIZE = 0.8
_BLOCK = 32


def moving_mnist_sequences(
    split: Split,
    *,
    num_frames: int,
    num_digits: Literal[1, 2] = 1,
    batch_size: int | None = None,
    num_sequences: int | None = None,
    start: int = 0,
    step: int = 1,
    seed: int = 0,
    frame_size: Size = FRAME_SIZE,
    mnist_path: Path | None = None,
    fallback: bool = False,
) -> tf.data.Dataset:
    """Builds sequences of MNIST digits that wander over a black canvas.

    One digit walks at random with momentum and is reflected by the borders. Of two
    digits the first is the target. They move as balls of radius 14 do, reflected by the
    borders and by each other, and such a random walk is added to the balls' velocities;
    where they overlap, the brighter pixel shows. All constants are in pixels per frame:

    - the random walk, per axis: `v_0 ~ U(-15, 15)`, `v_t = 0.9 v_{t-1} + 0.1 u_t` with
      `u_t ~ U(-15, 15)`, for one digit and for each of two;
    - the velocities of two balls together have the length 5, as those of the bouncing
      balls have 0.5 in a box of side 10.

    Sequence `i` of a `seed` and `split` is always the same one, whatever the
    batch size, and its first frames are the same however many are asked for.
    Frames are rendered on the fly. `start` skips sequences without rendering
    them: continue an interrupted training there. `step` leaves those between
    out: give worker `w` of `n` the sequences from `w` on by steps of `n`.

    Args:
        split: "train" or "test", the MNIST split that digits are drawn from.
        num_frames: frames per sequence, T.
        num_digits: 1 or 2.
        batch_size: optional number of sequences per element, B; the last batch
            may be smaller. Without it, elements are single sequences.
        num_sequences: how many sequences; without it, they never end.
        start: index of the first sequence.
        step: from one sequence's index to the next.
        seed: integer, chooses the whole collection of sequences.
        frame_size: (height, width) of the canvas in pixels, each at least 43,
            a digit and its longest step; 84, three digits, if there are two.
        mnist_path: optional MNIST file, see `load_digits`.
        fallback: see `load_digits`.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, height, width, 1], 0..255;
        - `boxes`: float32 of shape [T, 4], the target's 28x28 cell as
          (x1, y1, x2, y2) in pixels, edges included: with the cell's top-left
          pixel at x, x1 = x - 0.5 and x2 = x + 27.5;
        - `digit`: int64 scalar, the target's class 0..9;
        - with two digits, `initial_box`: float32 of shape [4], centred on the target in
          the first frame, 80% of the frame wide and high, for trackers with
          `initial_window="given"`.

    Raises:
        ValueError: an argument is out of its range, or `mnist_path` has wrong
            contents.
        FileNotFoundError: there is no file at `mnist_path`.
        OSError: there is no MNIST to be had, see `load_digits`.

    Example:
    >>> from ratm_tf.datasets import moving_mnist_sequences
    >>> batches = moving_mnist_sequences(
    ...     "train", num_frames=10, batch_size=32, fallback=True
    ... )
    >>> next(iter(batches))["frames"].shape
    TensorShape([32, 10, 100, 100, 1])
    """
    num_digits = one_of("num_digits", num_digits, tuple(_MOTIONS))
    height, width = frame_size = height_and_width(
        frame_size, at_least=_MOTIONS[num_digits].smallest_frame
    )
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, at_least=1)
    indices = sequence_indices(start, num_sequences, step)
    seed, split = integer("seed", seed), one_of("split", split, SPLITS)
    num_frames = integer("num_frames", num_frames, at_least=1)
    images, labels = map(tf.constant, load_digits(split, mnist_path, fallback=fallback))
    drawn, move, _ = motion(
        split,
        num_frames=num_frames,
        num_digits=num_digits,
        seed=seed,
        frame_size=frame_size,
        num_images=len(labels),
    )

    def moved(digits, *start):
        return digits, tf.reshape(move(*start), [-1, num_frames, num_digits, 2])

    def sequence(digits, path):
        corners = tf.round(path)
        frames = [
            render(images[digits[i]], corners[:, i], (height, width))
            for i in range(num_digits)
        ]
        target = corners[:, 0]
        example = {
            "frames": functools.reduce(tf.maximum, frames),
            "boxes": tf.concat([target - 0.5, target + (DIGIT_SIZE - 0.5)], axis=1),
            "digit": labels[digits[0]],
        }
        if num_digits > 1:
            center = target[0] + (DIGIT_SIZE - 1) / 2
            half_size = INITIAL_BOX_SIZE / 2 * tf.constant([width, height], tf.float32)
            initial_box = tf.concat([center - half_size, center + half_size], axis=0)
            example["initial_box"] = initial_box
        return example

    dataset = indices.map(drawn, num_parallel_calls=tf.data.AUTOTUNE)
    # A block of sequences moves as fast as one does.
    dataset = dataset.batch(_BLOCK).map(moved).unbatch()
    dataset = dataset.apply(
        tf.data.experimental.assert_cardinality(indices.cardinality())
    )
    dataset = dataset.map(sequence, num_parallel_calls=tf.data.AUTOTUNE)
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def motion(split, *, num_frames, num_digits, seed, frame_size, num_images):
    """How the sequences of `moving_mnist_sequences` move, before they are drawn.

    Args:
        split: as in `moving_mnist_sequences`, and so are the others.
        num_frames: likewise.
        num_digits: likewise.
        seed: likewise.
        frame_size: likewise.
        num_images: how many images of digits there are.

    Returns:
        Three functions: of the index of a sequence, which returns the images of its
        digits, int32 of shape [num_digits], and all that their paths follow from; and
        two of that of a batch of sequences, which return float32 positions [B, T, 2],
        or [B, T, 2, 2] of two digits: the paths, and what is foreseen of them, see
        `ratm_tf.datasets.moving_mnist.motion`.

    Example:
    >>> from ratm_tf.datasets.moving_mnist.sequences import motion
    >>> drawn, move, foresee = motion(
    ...     "test", num_frames=9, num_digits=2, seed=0, frame_size=(100, 100),
    ...     num_images=10_000,
    ... )
    >>> digits, *start = drawn(tf.constant(0, tf.int64))
    >>> move(*(tf.stack([part]) for part in start)).shape
    TensorShape([1, 9, 2, 2])
    """
    height, width = frame_size
    limit = np.array([width - DIGIT_SIZE, height - DIGIT_SIZE], np.float32)
    streams = {
        quantity: stream("moving_mnist", seed, split, num_digits, quantity)
        for quantity in ("image", "position", "direction", "velocity", "kicks")
    }
    motion = _MOTIONS[num_digits]

    def drawn(index):
        keys = {quantity: of(index) for quantity, of in streams.items()}
        return motion.draw(keys, num_frames, num_images, limit)

    return (
        drawn,
        functools.partial(motion.move, limit=limit),
        functools.partial(motion.foresee, limit=limit),
    )


def _draw_one_digit(keys, num_frames, num_images, limit):
    """Draws the image of a sequence's digit and what `random_walk` takes."""
    return (
        _uniform(keys["image"], [1], 0, num_images, tf.int32),
        _uniform(keys["position"], [2], 0.0, 1.0) * limit,
        _uniform(keys["velocity"], [2], -MAX_SPEED, MAX_SPEED),
        _uniform(keys["kicks"], [num_frames - 1, 2], -MAX_SPEED, MAX_SPEED),
    )


def _draw_two_digits(keys, num_frames, num_images, limit):
    """Draws the images of a sequence's digits and what `bouncing_walk` takes."""
    centers, drift = draw_balls(
        keys["position"],
        keys["direction"],
        2,
        radius=DIGIT_SIZE / 2,
        box_size=limit + DIGIT_SIZE,
        speed=DRIFT_SPEED,
    )
    return (
        _uniform(keys["image"], [2], 0, num_images, tf.int32),
        centers - DIGIT_SIZE / 2,
        drift,
        _uniform(keys["velocity"], [2, 2], -MAX_SPEED, MAX_SPEED),
        _uniform(keys["kicks"], [num_frames - 1, 2, 2], -MAX_SPEED, MAX_SPEED),
    )


def _uniform(key, shape, low, high, dtype=tf.float32):
    # Philox makes the kicks of a short sequence the first ones of a long one.
    return tf.random.stateless_uniform(shape, key, low, high, dtype, alg="philox")


class _Motion(typing.NamedTuple):
    """How digits move: what to draw, where it takes them, and the smallest frame."""

    draw: collections.abc.Callable
    move: collections.abc.Callable
    foresee: collections.abc.Callable
    smallest_frame: int


_MOTIONS = {  # by the number of digits
    1: _Motion(
        _draw_one_digit, random_walk, foreseen_walk, DIGIT_SIZE + int(MAX_SPEED)
    ),
    2: _Motion(
        _draw_two_digits,
        functools.partial(bouncing_walk, diameter=DIGIT_SIZE),
        functools.partial(foreseen_bounces, diameter=DIGIT_SIZE),
        3 * DIGIT_SIZE,
    ),
}


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
    >>> from ratm_tf.datasets.moving_mnist.sequences import render
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
