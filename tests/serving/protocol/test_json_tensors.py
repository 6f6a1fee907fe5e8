"""Tensors in JSON."""

import json

import ml_dtypes
import numpy as np
import pytest

from ratm_tf.serving.protocol.json_tensors import (
    array_from_json,
    array_to_json,
    is_base64,
)


@pytest.mark.parametrize("padding", ["", "="])
def test_strings(padding):
    value = [["ü", {"b64": "YWI" + padding}]]
    array = array_from_json("x", value, object)
    assert array.tolist() == [["ü".encode(), b"ab"]]
    assert array_to_json("x", array, binary=False) == [["ü", "ab"]]
    binary = array_to_json("x", array, binary=True)
    assert array_from_json("x", binary, object).tolist() == array.tolist()


@pytest.mark.parametrize(
    "value, message",
    [
        ({"b64": "?"}, "Unable to base64 decode"),
        ({"c64": "YWI="}, "not of expected type: string"),
        ([3], "not of expected type: string"),
    ],
)
def test_what_is_no_string(value, message):
    with pytest.raises(ValueError, match=message):
        array_from_json("x", value, object)


def test_bytes_that_are_no_text():
    with pytest.raises(ValueError, match='"x" is not text'):
        array_to_json("x", np.array([b"\xff"], object), binary=False)
    assert not is_base64({"b64": "YQ==", "more": 1})
    assert not is_base64({"b64": 1})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_the_shortest_text_of_a_number(dtype):
    values = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(-7, 3, 0.01)
    values = np.concatenate([values, [0.0, -0.0, 1.0, 1e-7, 0.1, 2.0**-20, 1e4]])
    array = values.astype(dtype)
    text = json.dumps(array_to_json("x", array, binary=False))
    again = np.array(json.loads(text))
    np.testing.assert_array_equal(again.astype(dtype), array)
    for short, number in zip(again.tolist(), array, strict=True):
        assert repr(short) == repr(float(str(number)))
        assert len(repr(short)) <= len(repr(float(number)))
    assert json.loads(text)[-3] == 0.1 or dtype == ml_dtypes.bfloat16


def test_numbers_that_are_not_finite():
    array = np.float32([np.inf, -np.inf, np.nan])
    text = json.dumps(array_to_json("x", array, binary=False))
    assert text == "[Infinity, -Infinity, NaN]"
    np.testing.assert_array_equal(
        array_from_json("x", json.loads(text), np.float32), array
    )


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_shapes(shape, dtype):
    array = np.ones(shape, dtype)
    result = array_from_json("x", array_to_json("x", array, False), dtype)
    assert result.dtype == dtype and result.shape == shape
    np.testing.assert_array_equal(result, array)
