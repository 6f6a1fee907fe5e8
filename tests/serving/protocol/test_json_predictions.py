"""Requests and answers of `:predict`, from each side to the other."""

import numpy as np
import pytest

from ratm_tf.serving.protocol.json_predictions import (
    inputs_from_json,
    inputs_to_json,
    outputs_from_json,
    outputs_to_json,
)

DTYPES = {"image": object, "state": np.float32}
INPUTS = {
    "image": np.array([b"\xff\0", b"a"], object),
    "state": np.float32([[0.1, 2], [3, 4]]),
}


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])


def test_inputs_arrive():
    request = inputs_to_json("step", INPUTS)
    assert request["signature_name"] == "step"
    inputs, form = inputs_from_json(request, DTYPES)
    assert form == "inputs"
    assert_equal(inputs, INPUTS)


def test_rows():
    columns = inputs_to_json("step", INPUTS)["inputs"]
    rows = [{name: columns[name][index] for name in columns} for index in range(2)]
    inputs, form = inputs_from_json({"instances": rows}, DTYPES)
    assert form == "instances"
    assert_equal(inputs, INPUTS)


def test_column_form_ignores_what_the_signature_lacks():
    request = {"inputs": {"x": [1.0], "extra": "anything"}}
    assert_equal(
        inputs_from_json(request, {"x": np.float32})[0], {"x": np.float32([1])}
    )
    assert inputs_from_json({"inputs": {"y": 1}}, {"x": np.float32})[0] == {}


@pytest.mark.parametrize("names", [("y_bytes",), ("y_bytes", "z")])
def test_outputs_arrive(names):
    outputs = {
        "y_bytes": np.array([b"\xff", b"a\0"], object),
        "z": np.float32([[0.1, np.inf], [3, np.nan]]),
    }
    outputs = {name: outputs[name] for name in names}
    dtypes = {"y_bytes": object, "z": np.float32}
    answer = outputs_to_json(outputs, "inputs")
    assert_equal(outputs_from_json(answer, {n: dtypes[n] for n in names}), outputs)


@pytest.mark.parametrize("answer", [{}, {"outputs": [1.0]}, {"outputs": {"y": [1.0]}}])
def test_other_outputs(answer):
    with pytest.raises(ValueError, match="Expected the outputs y, z"):
        outputs_from_json(answer, {"y": np.float32, "z": np.float32})


def test_outputs_without_rows():
    for outputs in (
        {"y": np.zeros([2]), "z": np.zeros([3])},
        {"y": np.zeros([2]), "z": np.zeros([])},
    ):
        with pytest.raises(ValueError, match="'inputs' instead"):
            outputs_to_json(outputs, "instances")
        assert outputs_to_json(outputs, "inputs").keys() == {"outputs"}
