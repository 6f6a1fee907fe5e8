"""Requests of several clients that run as one."""

import concurrent.futures
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec

from ratm_tf import serving
from ratm_tf.model_server import write_configuration

PARAMETERS = {
    "max_batch_size": 4,
    "batch_timeout_micros": 2_000_000,
    "max_enqueued_batches": 10,
    "num_batch_threads": 1,
}


def load(model_folder, name):
    model = serving.ServedModel(model_folder, batching=PARAMETERS)
    model.refresh()
    return model.version(ModelSpec(name=name))


@pytest.fixture
def counter(tmp_path):
    """A model that returns its inputs and how many came at once."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def count(x):
        size = tf.shape(x)[0]
        # Outputs in another order than their names'.
        return {"x": x, "count": tf.fill([size], size)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def scalar(x):
        return {"x": x}

    tf.saved_model.save(
        module,
        tmp_path / "counter" / "1",
        {"serving_default": count, "scalar": scalar},
    )
    return load(tmp_path / "counter", "counter")


def test_requests_run_as_one(counter):
    together = threading.Barrier(4)

    def call(index):
        together.wait(30)
        return counter.run("serving_default", {"x": np.full([1, 2], index, "f")})

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for index, outputs in enumerate(pool.map(call, range(4))):
            assert outputs["count"].tolist() == [4]
            np.testing.assert_array_equal(outputs["x"], [[index, index]])


def test_a_request_larger_than_a_batch(counter):
    x = np.arange(16, dtype=np.float32).reshape(8, 2)
    outputs = counter.run("serving_default", {"x": x})
    assert outputs["count"].tolist() == [8] * 8
    np.testing.assert_array_equal(outputs["x"], x)


def test_requests_that_meet_and_differ_fail(counter):
    """As they do in TensorFlow Serving; README says so."""
    together = threading.Barrier(4)

    def call(index):
        together.wait(30)
        width = 2 + index % 2
        with pytest.raises(tf.errors.InvalidArgumentError):
            counter.run("serving_default", {"x": np.zeros([1, width], "f")})

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))
    assert counter.run("serving_default", {"x": np.zeros([1, 2], "f")})["count"] == 1


def test_signatures_without_a_batch_axis_run_alone(counter):
    assert counter.run("scalar", {"x": np.float32(3)}) == {"x": 3}


def test_tracks_as_without_batching(models, tracker):
    version = load(models / "free", "free")
    frames = np.random.default_rng(0).integers(0, 256, [4, 3, 20, 24, 1], np.uint8)
    expected = tracker.predict({"frames": frames}, verbose=0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        outputs = pool.map(
            lambda video: version.run("track", {"frames": video[None]}), frames
        )
        for index, output in enumerate(outputs):
            for name, values in output.items():
                np.testing.assert_allclose(values[0], expected[name][index], atol=1e-3)


def test_reads_what_the_export_writes(tmp_path):
    write_configuration(tmp_path)
    parameters = serving.read_batching_parameters(tmp_path / "batching.config")
    assert parameters.keys() == PARAMETERS.keys()
    assert all(value >= 1 for value in parameters.values())


GOOD = "\n".join(f"{name} {{ value: {value} }}" for name, value in PARAMETERS.items())


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"expected all of .*Received: \[\]"),
        (GOOD + "\nmax_batch_size { value: 4 }", "line 5: expected one of"),
        (GOOD + "\npad_variable_length_inputs: true", "pad_variable_length_inputs"),
        ("max_batch_size { value: many }", "line 1"),
    ],
)
def test_other_files(text, message, tmp_path):
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        serving.read_batching_parameters(path)


def test_file_with_comments(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text("# Measured.\n\n" + GOOD.replace(" {", ": {"))
    assert serving.read_batching_parameters(path) == PARAMETERS
