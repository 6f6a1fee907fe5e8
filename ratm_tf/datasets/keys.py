"""Keys of random numbers: whatever is drawn has numbers of its own."""

import zlib

import tensorflow as tf


def stream(*steps):
    """A stream of keys: the numbers of one quantity of every sequence.

    What it is for is folded in step by step, each with 64 bits. Streams of other steps
    have nothing to do with this one, and each key of a stream has its own numbers.

    Args:
        *steps: integers of 64 bits and words, such as a seed, a split and a quantity.

    Returns:
        Function of an int64 scalar, such as the number of a sequence, that returns its
        key: an int64 tensor of shape [2], a `seed` of `tf.random.stateless_uniform`
        and its kin.

    Example:
    >>> from ratm_tf.datasets.keys import stream
    >>> key = stream("bouncing_balls", 0, "test", "position")
    >>> tf.random.stateless_uniform([3], key(2**40), alg="philox").shape
    TensorShape([3])
    """
    key = tf.zeros([2], tf.int64)
    for step in [*steps, 0]:
        if isinstance(step, str):
            step = zlib.crc32(step.encode())
        key = tf.random.fold_in(key, tf.constant(step, tf.int64), alg="philox")
    return lambda number: tf.stack([key[0], number])
