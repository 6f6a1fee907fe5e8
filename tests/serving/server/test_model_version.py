"""One version: what it checks, and what its errors say."""

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.serving.server.model_version import ModelVersion


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def small(x):
        tf.debugging.Assert(
            tf.reduce_all(x < 5), ["too large [[it is]], the first:", x]
        )
        return {"y": x * 2, "names": tf.fill([tf.shape(x)[0]], "a" * 10)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "count")])
    def many(count):
        return {"y": tf.zeros([count])}

    folder = tmp_path_factory.mktemp("model") / "3"
    tf.saved_model.save(module, folder, {"small": small, "many": many})
    return ModelVersion(folder)


@pytest.mark.parametrize("make", [np.float32, tf.constant])
def test_runs(version, make):
    assert version.number == 3
    assert version.signature_defs.keys() >= {"small", "many"}
    outputs = version.run("small", {"x": make([[1.0, 2.0]])})
    np.testing.assert_array_equal(outputs["y"], [[2, 4]])
    assert outputs["names"].tolist() == [b"a" * 10]


def test_errors_say_what_the_model_says(version):
    """Without stacks, paths and names of nodes, which are not the client's."""
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        version.run("small", {"x": np.float32([[1, 9]])})
    assert error.value.message == (
        "assertion failed: [too large [[it is]], the first:] [[1 9]]"
    )


def test_answers_have_a_bound(version):
    count = {"count": np.int32(256)}
    assert version.run("many", count, max_bytes=1024)["y"].shape == (256,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received one of 1024"):
        version.run("many", count, max_bytes=1023)


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({}, "Missing: x. Not expected: none"),
        ({"x": np.zeros([1, 2], "f"), "z": np.zeros(1)}, "Not expected: z"),
        ({"x": np.zeros([1, 2])}, "Received: float64 of shape"),
        ({"x": np.zeros([1, 3], "f")}, r"to be float32 of shape \(None, 2\)"),
        ({"x": np.array(["a"], object)}, "Received: string"),
    ],
)
def test_inputs_are_checked(version, inputs, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        version.run("small", inputs)


def test_other_signatures(version):
    with pytest.raises(tf.errors.FailedPreconditionError, match="one of: many, small"):
        version.run("hop", {})


@pytest.mark.parametrize("content", [None, b"", b"broken"])
def test_no_saved_model(content, tmp_path):
    (tmp_path / "1").mkdir()
    if content is not None:
        (tmp_path / "1" / "saved_model.pb").write_bytes(content)
    with pytest.raises(Exception, match=r"saved_model.pb|parsing"):
        ModelVersion(tmp_path / "1")
