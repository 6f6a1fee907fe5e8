"""Bouncing balls (section 6.1 of the paper), as a `tf.data` pipeline."""

import tensorflow as tf

from ratm_tf.datasets.arguments import SPLITS, integer, one_of, sequence_indices
from ratm_tf.datasets.bouncing_balls import FRAME_SIZE
from ratm_tf.datasets.bouncing_balls.simulation import (
    BOX_SIZE,
    RADIUS,
    draw_balls,
    simulate,
)
from ratm_tf.datasets.keys import stream
from ratm_tf.types import Split

PIXELS = FRAME_SIZE[0] / BOX_SIZE  # per unit of the box
_BLOCK = 256


def bouncing_balls_sequences(
    split: Split,
    *,
    num_frames: int,
    batch_size: int | None = None,
    num_sequences: int | None = None,
    start: int = 0,
    step: int = 1,
    seed: int = 0,
    num_balls: int = 1,
    random_window: bool = False,
) -> tf.data.Dataset:
    """Builds sequences of balls that bounce around a 20x20 frame.

    Sequence `i` of a `seed`, `split` and `num_balls` is always the same one, whatever
    the batch size, and its first frames are the same however many are asked for. Frames
    are rendered on the fly. `start` skips sequences without rendering them: continue an
    interrupted training there. `step` leaves those between out: give worker `w` of `n`
    the sequences from `w` on by steps of `n`.

    Args:
        split: "train" or "test", two collections of sequences.
        num_frames: frames per sequence, T.
        batch_size: optional number of sequences per element, B; the last batch
            may be smaller. Without it, elements are single sequences.
        num_sequences: how many sequences; without it, they never end.
        start: index of the first sequence.
        step: from one sequence's index to the next.
        seed: integer, chooses the whole collection of sequences.
        num_balls: balls per sequence, at most 6; the first is the target.
        random_window: whether sequences have an `initial_box` drawn at random, where a
            tracker looks in the first frame, whose `initial_window` is then
            `"given_first"`.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, 20, 20, 1], 0..255;
        - `boxes`: float32 of shape [T, 4], the target ball's diameter of 4.8 pixels as
          (x1, y1, x2, y2) in pixels, edges included;
        - with `random_window`, `initial_box`: float32 of shape [4], of half the frame's
          size to all of it, centred somewhere in the frame, whatever the ball does.

    Raises:
        ValueError: an argument is out of its range.

    Example:
    >>> from ratm_tf.datasets import bouncing_balls_sequences
    >>> batches = bouncing_balls_sequences("train", num_frames=32, batch_size=16)
    >>> next(iter(batches))["frames"].shape
    TensorShape([16, 32, 20, 20, 1])
    """
    num_frames = integer("num_frames", num_frames, at_least=1)
    num_balls = one_of("num_balls", num_balls, range(1, 7))
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, at_least=1)
    seed, split = integer("seed", seed), one_of("split", split, SPLITS)
    positions, directions, windows = (
        stream("bouncing_balls", seed, split, num_balls, quantity)
        for quantity in ("position", "direction", "window")
    )
    indices = sequence_indices(start, num_sequences, step)
    cardinality = indices.cardinality()

    def drawn(index):
        balls = draw_balls(positions(index), directions(index), num_balls)
        first = {"initial_box": _random_box(windows(index))} if random_window else {}
        return balls, first

    def sequence(centers, first):
        target = centers[..., 0, :] - 0.5
        reach = PIXELS * RADIUS
        example = {
            "frames": render(centers),
            "boxes": tf.concat([target - reach, target + reach], axis=-1),
        }
        return example | first

    # Many boxes of balls move as fast as one does.
    dataset = (
        indices.map(drawn, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(_BLOCK)
        .map(
            lambda balls, first: (
                PIXELS * simulate(balls[0], balls[1], num_frames),
                first,
            )
        )
    )
    if batch_size is None:
        dataset = dataset.unbatch()
    else:
        dataset = dataset.rebatch(batch_size)
        if cardinality > 0:
            cardinality = -(-cardinality // batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    dataset = dataset.map(sequence, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _random_box(key):
    span = tf.constant([width - 1.0 for width in FRAME_SIZE[::-1]])
    center, size = tf.split(tf.random.stateless_uniform([4], key, alg="philox"), 2)
    center, half = center * span, (1.0 + size) * span / 4.0
    return tf.concat([center - half, center + half], axis=0)


def render(centers):
    """Draws balls as the published simulation does, with soft rims.

    At a distance `d` from its centre a ball of radius `r` is `exp(-(d / r)^8)` bright;
    where balls touch their brightness adds up, to 1 at most.

    Args:
        centers: float tensor of shape [..., K, 2], (x, y) in pixels, where pixel `a`
            covers [a, a + 1].

    Returns:
        uint8 tensor of shape [..., 20, 20, 1], 0..255.

    Example:
    >>> from ratm_tf.datasets.bouncing_balls.sequences import render
    >>> render([[10.5, 5.5]])[5, 8:14, 0].numpy()
    array([202, 255, 255, 255, 202,   1], dtype=uint8)
    """
    height, width = FRAME_SIZE
    centers = tf.convert_to_tensor(centers)[..., tf.newaxis]
    x = tf.square(tf.range(0.5, width) - centers[..., 0, :])
    y = tf.square(tf.range(0.5, height) - centers[..., 1, :])
    squared = (y[..., :, tf.newaxis] + x[..., tf.newaxis, :]) / (PIXELS * RADIUS) ** 2
    balls = tf.exp(-tf.square(tf.square(squared)))
    if balls.shape[-3] == 1:
        brightness = balls[..., 0, :, :]
    else:
        brightness = tf.minimum(tf.reduce_sum(balls, axis=-3), 1.0)
    return tf.cast(tf.round(255.0 * brightness), tf.uint8)[..., tf.newaxis]
