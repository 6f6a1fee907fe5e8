import itertools

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets.keys import stream

SEEDS = [0, 1, 2, 3, 12, -1, 2**31, 2**32, 2**32 + 1, 2**63 - 1, -(2**63)]
NUMBERS = [0, 1, 2, 31, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**40, 2**63 - 1]


def keys_of(streams, numbers):
    numbers = tf.constant(numbers, tf.int64)
    return np.concatenate([[of(number) for number in numbers] for of in streams])


def test_no_two_keys_are_the_same():
    """Neither of seeds, splits and quantities nor of far and near sequences."""
    paths = itertools.product(SEEDS, ("train", "test"), (1, 2), ("position", "kicks"))
    streams = [stream("digits", *path) for path in paths]
    keys = keys_of(streams, NUMBERS)
    assert len(keys) == 11 * 2 * 2 * 2 * 10
    assert len(np.unique(keys, axis=0)) == len(keys)
    # A stream never runs into another one, however long they are.
    assert len(np.unique(keys[:, 0])) == len(streams)


def test_steps_are_kept_apart():
    paths = [(), (0,), (0, 0), (1,), (0, 1), (1, 0), (2**32,), ("a",), ("a", 0), ("b",)]
    keys = keys_of([stream(*path) for path in paths], [0])
    assert len(np.unique(keys[:, 0])) == len(paths)


def test_a_stream_never_changes():
    first = stream("digits", 3, "test")(tf.constant(5, tf.int64))
    np.testing.assert_array_equal(first, stream("digits", 3, "test")(np.int64(5)))
    np.testing.assert_array_equal(first, FROZEN)
    graph = tf.function(lambda number: stream("digits", 3, "test")(number))
    np.testing.assert_array_equal(first, graph(tf.constant(5, tf.int64)))


FROZEN = [-5733602310247917068, 5]


@pytest.mark.parametrize(
    "others",
    [
        [(0, "test", "position")],
        [(0, "train", "velocity"), (0, "train", "kicks")],
        [(1, "train", "position"), (-1, "train", "position")],
        [(2**32, "train", "position")],
    ],
)
def test_numbers_of_streams_are_independent(others):
    """Sequence by sequence, and of sequences near each other."""

    def uniform(path, count):
        key = stream(*path)
        drawn = tf.data.Dataset.range(count).map(
            lambda number: tf.random.stateless_uniform([], key(number), alg="philox")
        )
        return next(drawn.batch(count).as_numpy_iterator())

    count, lags = 4000, range(-3, 4)
    ours = uniform((0, "train", "position"), count)
    assert abs(ours.mean() - 0.5) < 5 / np.sqrt(12 * count)
    neighbours = [np.corrcoef(ours[:-lag], ours[lag:])[0, 1] for lag in (1, 2, 3)]
    between = [
        np.corrcoef(ours, np.roll(uniform(path, count), lag))[0, 1]
        for path in others
        for lag in lags
    ]
    assert np.abs([*neighbours, *between]).max() < 5 / np.sqrt(count)


def test_steps_beyond_64_bits_are_refused():
    with pytest.raises((ValueError, OverflowError, TypeError)):
        stream(2**63)
