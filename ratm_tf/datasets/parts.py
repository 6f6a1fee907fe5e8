"""Random parts of sequences that are held in memory."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import integer, sequence_indices
from ratm_tf.datasets.keys import stream

PER_FRAME = ("frames", "boxes", "mask")


def random_parts(
    examples: Sequence[Mapping[str, np.ndarray]],
    *,
    num_frames: int,
    num_sequences: int | None = None,
    start: int = 0,
    step: int = 1,
    seed: int | tuple[int | str, ...] = 0,
) -> tf.data.Dataset:
    """Draws parts of equal length from sequences of any length.

    Part `i` of a `seed` is always the same one, and begins with a frame that its `mask`
    counts. Sequences shorter than a part are padded with zeros, which `mask` tells.

    Args:
        examples: non-empty list of dicts of arrays, sequences as `ratm_tf.datasets` has
            them: `frames` [T, H, W, C], `boxes` [T, 4], optionally `mask` [T], and
            values of the sequence.
        num_frames: frames of a part.
        num_sequences: how many parts; without it, they never end.
        start: index of the first part.
        step: from one part's index to the next.
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
    indices = sequence_indices(start, num_sequences, step)
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
    # Where there is no box is no place to start or to end.
    shown = [np.flatnonzero(mask) for mask in masks]
    ends = np.array([frames[-1] + 1 for frames in shown])
    starts = []
    for frames, end in zip(shown, ends, strict=True):
        early = frames[frames <= end - num_frames]
        starts.append(early if early.size else frames[:1])
    starts = tf.RaggedTensor.from_row_lengths(
        np.concatenate(starts), [len(places) for places in starts]
    )
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
        places = starts[index]
        place = uniform[1] * tf.cast(tf.size(places), tf.float32)
        first = places[tf.cast(place, tf.int64)]
        length = tf.minimum(ends[index] - first, num_frames)
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


def whole_sequences(examples):
    """Gives sequences that are held in memory as they are, once.

    Args:
        examples: non-empty list of dicts of arrays, as `random_parts` takes them.

    Returns:
        A `tf.data.Dataset` of them, which knows how many there are.

    Example:
    >>> from ratm_tf.datasets.parts import whole_sequences
    >>> videos = [{"frames": np.zeros([t, 20, 30, 1], np.uint8)} for t in (7, 9)]
    >>> whole_sequences(videos).element_spec["frames"].shape
    TensorShape([None, 20, 30, 1])
    """
    signature = {}
    for name, value in examples[0].items():
        shapes = np.array([np.shape(example[name]) for example in examples])
        common = [sizes[0] if (sizes == sizes[0]).all() else None for sizes in shapes.T]
        shape = [None, *common[1:]] if name in PER_FRAME else common
        signature[name] = tf.TensorSpec(shape, tf.as_dtype(np.asarray(value).dtype))
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(examples), output_signature=signature
    )
    return dataset.apply(tf.data.experimental.assert_cardinality(len(examples)))
