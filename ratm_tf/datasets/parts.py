"""Random parts of sequences that are held in memory."""

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import integer, sequence_indices
from ratm_tf.datasets.keys import stream

PER_FRAME = ("frames", "boxes", "mask")


def random_parts(examples, *, num_frames, num_sequences=None, start=0, seed=0):
    """Draws parts of equal length from sequences of any length.

    Part `i` of a `seed` is always the same one. Sequences shorter than a part are
    padded with zeros, which its `mask` tells.

    Args:
        examples: non-empty list of dicts of arrays, sequences as `ratm_tf.datasets` has
            them: `frames` [T, H, W, C], `boxes` [T, 4], optionally `mask` [T], and
            values of the sequence.
        num_frames: frames of a part.
        num_sequences: how many parts; without it, they never end.
        start: index of the first part.
        seed: integer, or a tuple of integers and words.

    Returns:
        A `tf.data.Dataset` of dicts of the same names, and `mask`, bool [num_frames];
        `initial_box` is the part's first box.

    Raises:
        ValueError: an argument is out of its range, or no example has a frame to
            begin with.

    Example:
    >>> from ratm_tf.datasets.parts import random_parts
    >>> video = {"frames": np.zeros([9, 20, 30, 1], np.uint8), "boxes": np.ones([9, 4])}
    >>> [part] = random_parts([video], num_frames=5, num_sequences=1)
    >>> part["frames"].shape, part["mask"].numpy().all()
    (TensorShape([5, 20, 30, 1]), np.True_)
    """
    num_frames = integer("num_frames", num_frames, at_least=1)
    steps = seed if isinstance(seed, tuple) else (integer("seed", seed),)
    indices = sequence_indices(start, num_sequences)
    if not examples:
        raise ValueError("Expected `examples` to be of one at least. Received: none")
    lengths = np.array([len(example["frames"]) for example in examples])
    masks = [e.get("mask", np.ones(len(e["frames"]), bool)) for e in examples]
    for number, mask in enumerate(masks):
        if not np.any(mask):
            raise ValueError(
                f"Expected `examples[{number}]` to have a frame that is not padding. "
                f"Received: {len(mask)} frames"
            )
    # Padding of the sequences themselves is no place to start.
    ends = np.array([np.flatnonzero(mask)[-1] + 1 for mask in masks])
    offsets = tf.constant(np.cumsum(lengths) - lengths)
    ends = tf.constant(ends)
    flat = {
        name: tf.constant(np.concatenate([example[name] for example in examples]))
        for name in ("frames", "boxes")
    } | {"mask": tf.constant(np.concatenate(masks))}
    values = {
        name: tf.constant(np.stack([example[name] for example in examples]))
        for name in examples[0].keys() - {*PER_FRAME, "initial_box"}
    }
    key, count = stream("parts", *steps), len(examples)

    def part(number):
        uniform = tf.random.stateless_uniform([2], key(number), alg="philox")
        index = tf.cast(uniform[0] * count, tf.int64)
        spare = tf.maximum(ends[index] - num_frames, 0)
        first = tf.cast(uniform[1] * tf.cast(spare + 1, tf.float32), tf.int64)
        length = tf.minimum(ends[index], num_frames)
        drawn = {name: array[index] for name, array in values.items()}
        for name, array in flat.items():
            taken = array[offsets[index] + first :][:length]
            rest = [[0, num_frames - length]] + [[0, 0]] * (len(array.shape) - 1)
            drawn[name] = tf.ensure_shape(
                tf.pad(taken, rest), [num_frames, *array.shape[1:]]
            )
        drawn["initial_box"] = drawn["boxes"][0]
        return drawn

    return indices.map(part, num_parallel_calls=tf.data.AUTOTUNE)
