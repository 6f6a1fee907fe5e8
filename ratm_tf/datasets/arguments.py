"""Checks of the arguments that the pipelines share."""

import operator

import tensorflow as tf


def integer(name, value, at_least=None):
    """Checks an integer argument.

    Args:
        name: the argument's name, for the message.
        value: what came.
        at_least: optional lower bound.

    Returns:
        `value` as an `int`.

    Raises:
        ValueError: If `value` is no integer, or too small.

    Example:
    >>> from ratm_tf.datasets.arguments import integer
    >>> integer("batch_size", np.int64(3), at_least=1)
    3
    """
    try:
        checked = operator.index(value)
    except TypeError:
        checked = None
    if checked is None or (at_least is not None and checked < at_least):
        wanted = "an integer" if at_least is None else f"an integer >= {at_least}"
        raise ValueError(f"{name} must be {wanted}, got {value!r}.")
    return checked


def sequence_indices(start, num_sequences):
    """The numbers of the sequences to make.

    Args:
        start: the first one.
        num_sequences: how many; None for no end.

    Returns:
        A `tf.data.Dataset` of int64 scalars.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
    >>> from ratm_tf.datasets.arguments import sequence_indices
    >>> list(sequence_indices(start=3, num_sequences=2).as_numpy_iterator())
    [np.int64(3), np.int64(4)]
    """
    start = integer("start", start, at_least=0)
    if num_sequences is None:
        return tf.data.Dataset.counter(start)
    num_sequences = integer("num_sequences", num_sequences, at_least=1)
    return tf.data.Dataset.range(start, start + num_sequences)


def collection_key(seed, split):
    """The key of all sequences of a seed and a split.

    Args:
        seed: integer.
        split: "train" or "test".

    Returns:
        An int64 tensor of shape [2]; sequence `i` draws from `key + [i, stream]`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
    >>> from ratm_tf.datasets.arguments import collection_key
    >>> collection_key(0, "train").shape
    TensorShape([2])
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", got {split!r}.')
    key = tf.constant([integer("seed", seed), 0], tf.int64)
    return tf.random.fold_in(key, ("train", "test").index(split), alg="philox")
