"""What fits a type, and what does not."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.serving.protocol.arrays import array_of_type


@pytest.mark.parametrize(
    "value, dtype, expected",
    [
        ([1, 2], np.float32, np.float32([1, 2])),
        ([1.5, 2], np.float64, np.float64([1.5, 2])),
        (np.float64([0.1]), np.float32, np.float32([0.1])),
        (np.arange(3), np.uint8, np.uint8([0, 1, 2])),
        ([[255], [0]], np.uint8, np.uint8([[255], [0]])),
        ([np.int64(3), 4], np.int32, np.int32([3, 4])),
        ([2**63, 2**64 - 1], np.uint64, np.uint64([2**63, 2**64 - 1])),
        ([10**300, 1], np.float64, np.float64([1e300, 1])),
        ([2**70], np.float32, np.float32([2**70])),
        ([np.inf, -np.inf, np.nan], np.float32, np.float32([np.inf, -np.inf, np.nan])),
        (True, bool, np.bool_(True)),
        ([[], []], np.float32, np.zeros([2, 0], np.float32)),
        (7, np.int64, np.int64(7)),
        (tf.constant([1.0]), np.float16, np.float16([1])),
        (np.ones(2, ml_dtypes.bfloat16), np.float32, np.float32([1, 1])),
        ([1.5], ml_dtypes.bfloat16, np.array([1.5], ml_dtypes.bfloat16)),
    ],
)
def test_numbers(value, dtype, expected):
    array = array_of_type("x", value, dtype)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    "value",
    [
        [b"a\0", "ü\0"],
        np.array([b"a\0", "ü\0"], object),
        tf.constant([b"a\0", "ü\0".encode()]),
    ],
)
def test_strings_keep_their_ends(value):
    assert array_of_type("x", value, object).tolist() == [b"a\0", "ü\0".encode()]


def test_strings_of_numpy():
    assert array_of_type("x", np.array([["a"], ["ü"]]), object).tolist() == [
        [b"a"],
        ["ü".encode()],
    ]
    assert array_of_type("x", np.array(b"a"), object).shape == ()


@pytest.mark.parametrize(
    "value, dtype",
    [
        ([True, 1], np.float32),
        ([True], np.uint8),
        ([1], bool),
        (["1"], np.float32),
        ([None], np.float32),
        ([{}], np.int32),
        ([1.0], np.int32),
        (np.float32([1]), np.int64),
        ([1], object),
        ([b"1", 2], object),
        ([[1], [1, 2]], np.float32),
        ([[1], 2], np.float32),
        ([[b"a"], b"b"], object),
        ([1j], np.float32),
        (np.array([1], "datetime64[s]"), np.float32),
    ],
)
def test_other_types(value, dtype):
    with pytest.raises(ValueError, match='input "x"'):
        array_of_type("x", value, dtype)


@pytest.mark.parametrize(
    "value, dtype",
    [
        ([256], np.uint8),
        ([-1], np.uint8),
        (np.array([300]), np.uint8),
        ([2**63], np.int64),
        ([1e39], np.float32),
        ([1e5], np.float16),
        ([10**400], np.float64),
        (np.float64([1e300]), np.float32),
    ],
)
def test_other_ranges(value, dtype):
    with pytest.raises(ValueError, match=f"range of {np.dtype(dtype).name}"):
        array_of_type("x", value, dtype)
