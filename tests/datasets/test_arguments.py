import numpy as np
import pytest

from ratm_tf.datasets.arguments import (
    height_and_width,
    integer,
    one_of,
    sequence_indices,
)


def test_integers_are_pythons():
    for value in (3, np.int8(3), np.array(3)):
        checked = integer("seed", value)
        assert checked == 3 and type(checked) is int
    for value in (3.0, "3", None, [3]):
        with pytest.raises(ValueError, match="`seed` to be an integer. Received: "):
            integer("seed", value)
    with pytest.raises(ValueError, match="`seed` to be an integer >= 4. Received: 3"):
        integer("seed", 3, at_least=4)
    assert integer("seed", -(2**63)) == -(2**63)
    for value in (2**63, -(2**63) - 1):
        with pytest.raises(
            ValueError, match=f"`seed` to have 64 bits. Received: {value}"
        ):
            integer("seed", value)


def test_choices_are_the_listed_ones():
    assert type(one_of("channels", 3.0, (1, 3))) is int
    with pytest.raises(ValueError, match="`channels` to be one of 1, 3. Received: 2"):
        one_of("channels", 2, (1, 3))


def test_sizes_are_a_height_and_a_width():
    assert height_and_width(np.array([64, 70]), at_least=64) == (64, 70)
    for value in (64, (64,), (64, 64, 3), ["64"]):
        with pytest.raises(ValueError, match=r"`frame_size` to be \(height, width\)"):
            height_and_width(value, at_least=64)
    with pytest.raises(ValueError, match=r"`frame_size\[1\]` .* >= 64. Received: 63"):
        height_and_width((64, 63), at_least=64)


def test_indices_begin_at_start():
    assert list(sequence_indices(5, 3).as_numpy_iterator()) == [5, 6, 7]
    endless = sequence_indices(5, None)
    assert list(endless.take(2).as_numpy_iterator()) == [5, 6]
    assert list(sequence_indices(2**40, 2).as_numpy_iterator()) == [2**40, 2**40 + 1]
    assert list(sequence_indices(5, 3, 4).as_numpy_iterator()) == [5, 9, 13]
    assert list(sequence_indices(5, None, 4).take(2).as_numpy_iterator()) == [5, 9]
    with pytest.raises(ValueError, match="num_sequences` to have 64 bits"):
        sequence_indices(2**63 - 2, 2)
    with pytest.raises(ValueError, match="`step` to be an integer >= 1. Received: 0"):
        sequence_indices(0, 2, 0)
