"""Requests of several clients that run as one."""

import concurrent.futures
import gc
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec

from ratm_tf import serving
from ratm_tf.serving.server.batching import _FREE_QUEUES, batched

PARAMETERS = {
    "max_batch_size": 4,
    "batch_timeout_micros": 2_000_000,
    "max_enqueued_batches": 10,
    "num_batch_threads": 1,
}


def load(model_folder, name, parameters=PARAMETERS):
    model = serving.ServedModel(model_folder, batching=parameters)
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

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def positive(x):
        tf.debugging.Assert(tf.reduce_all(x > 0), ["negative", x])
        return {"x": x}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def scalar(x):
        return {"x": x}

    tf.saved_model.save(
        module,
        tmp_path / "counter" / "1",
        {"serving_default": count, "positive": positive, "scalar": scalar},
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


def meet(*calls):
    """Makes the calls at the same time; returns what they return or raise."""
    together = threading.Barrier(len(calls))

    def run(call):
        together.wait(30)
        try:
            return call()
        except tf.errors.OpError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_requests_that_meet_and_differ(counter):
    """They fail as one, and then run alone."""
    inputs = [np.full([1, 2 + index % 2], index, "f") for index in range(4)]
    answers = meet(
        *(lambda x=x: counter.run("serving_default", {"x": x}) for x in inputs)
    )
    for x, outputs in zip(inputs, answers, strict=True):
        np.testing.assert_array_equal(outputs["x"], x)
        assert outputs["count"] == 1


def test_one_bad_request_does_not_fail_the_others(counter):
    inputs = [np.full([1, 2], x, "f") for x in (1, -1, 2, 3)]
    good, bad, *others = meet(
        *(lambda x=x: counter.run("positive", {"x": x}) for x in inputs)
    )
    assert "negative" in bad.message and "-1" in bad.message
    assert isinstance(bad, tf.errors.InvalidArgumentError)
    for x, outputs in zip((1, 2, 3), (good, *others), strict=True):
        np.testing.assert_array_equal(outputs["x"], [[x, x]])


def test_each_signature_and_version_has_a_queue_of_its_own(tmp_path):
    """What another does with the same inputs does not mix with it."""
    x = np.float32([[1, 2]])
    calls, expected = [], []
    for version in (1, 2):
        module = tf.Module()
        signatures = {}
        for factor in (1, 10):
            signatures[f"by{factor}"] = tf.function(
                lambda x, by=factor * version: {"y": x * float(by)},
                [tf.TensorSpec([None, 2], tf.float32, "x")],
            )
        tf.saved_model.save(module, tmp_path / "factors" / str(version), signatures)
        loaded = load(tmp_path / "factors", "factors")
        for factor in (1, 10):
            name = f"by{factor}"
            calls.append(lambda of=loaded, name=name: of.run(name, {"x": x}))
            expected.append(factor * version * x)
    # Too few for a batch of one queue: they all wait, then each runs as its own.
    for answer, y in zip(meet(*calls), expected, strict=True):
        np.testing.assert_array_equal(answer["y"], y)


def test_errors_do_not_show_the_server(tmp_path):
    """The queue is full: the scheduler says so, and no stack of calls."""
    running, go_on = threading.Semaphore(0), threading.Event()

    def wait(x):
        running.release()
        go_on.wait(30)
        return x

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def slow(x):
        return {"y": tf.ensure_shape(tf.numpy_function(wait, [x], x.dtype), [None])}

    module = tf.Module()
    module.slow = slow
    tf.saved_model.save(module, tmp_path / "slow" / "1", slow)
    parameters = PARAMETERS | {"max_batch_size": 1, "max_enqueued_batches": 1}
    model = load(tmp_path / "slow", "slow", parameters)
    x = {"x": np.float32([1])}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = pool.submit(model.run, "serving_default", x)
        assert running.acquire(timeout=30)
        others = [pool.submit(model.run, "serving_default", x) for _ in range(7)]
        done, _ = concurrent.futures.wait(
            others, 30, concurrent.futures.FIRST_COMPLETED
        )
        error = done.pop().exception()
        go_on.set()
        assert first.result(30)["y"] == [1]
    assert isinstance(error, tf.errors.UnavailableError)
    assert "queue" in error.message and "full" in error.message
    for own in ("File", ".py", "/", "Graph execution error", "Detected at", "[Op:"):
        assert own not in error.message


def test_a_queue_is_used_again():
    """TensorFlow keeps queues and their threads, so that versions must not add up."""
    parameters = PARAMETERS | {"max_enqueued_batches": 77, "batch_timeout_micros": 0}
    specs = {"x": tf.TensorSpec([None], tf.float32)}
    names = []
    for factor in (2.0, 3.0):
        function = batched(lambda x, by=factor: {"y": by * x}, specs, parameters)
        assert function(x=tf.ones([1]))["y"] == factor
        del function
        gc.collect()
        names.append(list(_FREE_QUEUES[tuple(sorted(parameters.items()))]))
    assert len(names[0]) == 1 and names[0] == names[1]


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
