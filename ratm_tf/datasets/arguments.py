"""Checks of the arguments that the pipelines share."""

import operator

import numpy as np
import tensorflow as tf

SPLITS = ("train", "test")


def integer(name, value, at_least=None):
    """Checks an integer argument.

    Args:
        name: the argument's name, for the message.
        value: what came.
        at_least: optional lower bound.

    Returns:
        `value` as an `int`.

    Raises:
        ValueError: `value` is no integer, has more than 64 bits, or is too small.

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
        raise ValueError(f"Expected `{name}` to be {wanted}. Received: {value!r}")
    if not -(2**63) <= checked < 2**63:
        raise ValueError(f"Expected `{name}` to have 64 bits. Received: {value!r}")
    return checked


def one_of(name, value, choices):
    """Checks an argument that has a few values.

    Args:
        name: the argument's name, for the message.
        value: what came.
        choices: non-empty sequence of values.

    Returns:
        The choice that `value` equals.

    Raises:
        ValueError: `value` is none of `choices`.

    Example:
    >>> from ratm_tf.datasets.arguments import one_of
    >>> one_of("split", "all", ("train", "test"))
    Traceback (most recent call last):
    ValueError: Expected `split` to be one of 'train', 'test'. Received: 'all'
    """
    if value not in choices:
        choices = ", ".join(map(repr, choices))
        raise ValueError(
            f"Expected `{name}` to be one of {choices}. Received: {value!r}"
        )
    return choices[choices.index(value)]


def height_and_width(value, at_least):
    """Checks a `frame_size`.

    Args:
        value: what came.
        at_least: lower bound of both.

    Returns:
        Tuple of two `int`.

    Raises:
        ValueError: `value` is no pair of integers, or one of them is too small.

    Example:
    >>> from ratm_tf.datasets.arguments import height_and_width
    >>> height_and_width([120, 160], at_least=64)
    (120, 160)
    """
    if np.shape(value) != (2,):
        raise ValueError(
            f"Expected `frame_size` to be (height, width). Received: {value!r}"
        )
    return tuple(
        integer(f"frame_size[{axis}]", size, at_least)
        for axis, size in enumerate(value)
    )


def sequence_indices(start, num_sequences, step=1):
    """The numbers of the sequences to make.

    Args:
        start: the first one.
        num_sequences: how many; None for no end.
        step: from one to the next.

    Returns:
        A `tf.data.Dataset` of int64 scalars.

    Raises:
        ValueError: an argument is out of its range.

    Example:
    >>> from ratm_tf.datasets.arguments import sequence_indices
    >>> list(sequence_indices(start=3, num_sequences=2, step=4).as_numpy_iterator())
    [np.int64(3), np.int64(7)]
    """
    start = integer("start", start, at_least=0)
    step = integer("step", step, at_least=1)
    if num_sequences is None:
        return tf.data.Dataset.counter(start, step)
    num_sequences = integer("num_sequences", num_sequences, at_least=1)
    end = integer("start + step * num_sequences", start + step * num_sequences)
    return tf.data.Dataset.range(start, end, step)
