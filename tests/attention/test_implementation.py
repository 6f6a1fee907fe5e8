"""Which form runs: arguments, scopes, the environment and the devices at hand."""

import doctest
import re
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.attention import (
    GaussianGlimpse,
    RATMCell,
    gaussian_glimpse,
    implementation,
    library,
)
from ratm_tf.attention.implementation import (
    choose,
    fallback_reason,
    implementation_scope,
)

IMAGES = tf.random.stateless_uniform([2, 12, 13, 1], (1, 2))
WINDOW = tf.constant([[6.0, 5.0, 1.0, 1.2, 1.5, 2.0]] * 2)
OP = "Ratm>GaussianGlimpse"


def ops_of(function, *arguments):
    """The types of the ops in the graph of a function, and of those it calls."""
    graph = tf.function(function).get_concrete_function(*arguments).graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {node.op for node in nodes}


def test_a_scope_overrules_what_is_asked_for(fused):
    for form in ("auto", "fused", "tf"):
        with implementation_scope("tf"):
            assert choose(form) == "tf"
        with implementation_scope("fused"):
            assert choose(form) == "fused"
    assert choose("tf") == "tf" and choose("fused") == "fused"


def test_the_innermost_scope_counts_and_ends_with_an_error(fused):
    with implementation_scope("tf"):
        with pytest.raises(KeyError), implementation_scope("fused"):
            assert choose("tf") == "fused"
            raise KeyError
        assert choose("fused") == "tf"
    assert choose("fused") == "fused"


def test_a_scope_is_of_its_thread_alone(fused):
    seen = []
    with implementation_scope("tf"):
        thread = threading.Thread(target=lambda: seen.append(choose("fused")))
        thread.start()
        thread.join()
    assert seen == ["fused"]


def test_a_scope_decides_what_a_graph_holds(fused):
    for form in ("fused", "tf"):
        layer = GaussianGlimpse((3, 4), implementation=form)
        with implementation_scope("tf"):
            assert OP not in ops_of(layer, IMAGES, WINDOW)
        with implementation_scope("fused"):
            assert OP in ops_of(layer, IMAGES, WINDOW)
        assert layer.implementation == form
        assert (OP in ops_of(layer, IMAGES, WINDOW)) == (form == "fused")


def test_a_scope_reaches_the_cell_of_a_model(fused):
    frames = tf.random.stateless_uniform([2, 3, 12, 13, 1], (1, 2))
    rnn = keras.layers.RNN(RATMCell(4, (3, 4)), return_sequences=True)
    rnn.build(frames.shape)
    with implementation_scope("tf"):
        assert OP not in ops_of(rnn, frames)
    with implementation_scope("fused"):
        assert OP in ops_of(rnn, frames)
    assert rnn.cell.implementation == "auto"


def test_both_forms_in_one_scope_each_agree(fused):
    results = []
    for form in ("fused", "tf"):
        with implementation_scope(form):
            results.append(gaussian_glimpse(IMAGES, WINDOW, (3, 4)))
    np.testing.assert_allclose(*results, atol=1e-6)


@pytest.mark.parametrize("first", ["plain", "compiled"])
def test_auto_is_the_form_of_each_caller_of_a_function(fused, first):
    """Whether XLA's caller or another traced the function first."""

    @tf.function
    def read(window):
        return gaussian_glimpse(IMAGES, window, (3, 4))

    callers = {
        "plain": tf.function(lambda window: read(window)),
        "compiled": tf.function(lambda window: read(window), jit_compile=True),
    }
    for name in (first, *callers):
        np.testing.assert_allclose(
            callers[name](WINDOW),
            gaussian_glimpse(IMAGES, WINDOW, (3, 4), "tf"),
            atol=1e-6,
        )
    assert OP in ops_of(callers["plain"], WINDOW)
    assert OP not in ops_of(callers["compiled"], WINDOW)


def test_the_environment_is_stronger_than_a_scope(fused, monkeypatch):
    monkeypatch.setenv("RATM_TF_PY_OPS", "1")
    with implementation_scope("fused"):
        assert choose("fused") == "tf"
        assert "RATM_TF_PY_OPS=1" in fallback_reason("fused")


def test_a_layer_and_a_cell_can_be_set_another_form(fused):
    layer, cell = GaussianGlimpse((3, 4)), RATMCell(4, (3, 4))
    for settable in (layer, cell):
        glimpse = getattr(settable, "glimpse", settable)
        settable.implementation = "tf"
        assert settable.get_config()["implementation"] == "tf"
        assert glimpse.supports_jit
        settable.implementation = "fused"
        assert settable.implementation == "fused"
        assert not glimpse.supports_jit
        with pytest.raises(ValueError, match="Expected `implementation` .*'cuda'"):
            settable.implementation = "cuda"
        assert settable.implementation == "fused"
    assert OP in ops_of(layer, IMAGES, WINDOW)
    layer.implementation = "tf"
    assert OP not in ops_of(layer, IMAGES, WINDOW)


def test_wrong_names_are_refused():
    for call in (
        choose,
        fallback_reason,
        lambda x: implementation_scope(x).__enter__(),
    ):
        with pytest.raises(ValueError, match="Expected `implementation` .*'cuda'"):
            call("cuda")


@pytest.mark.parametrize(
    "unavailable,devices,gpu_visible,reason",
    [
        (None, {"CPU"}, False, None),
        (None, {"CPU", "GPU"}, False, None),
        (None, {"CPU", "GPU"}, True, None),
        (None, {"CPU"}, True, "for the CPU alone"),
        ("it is lost", set(), True, "unavailable: it is lost"),
        ("it is lost", set(), False, "unavailable: it is lost"),
    ],
)
def test_auto_wants_kernels_for_the_gpu(
    monkeypatch, unavailable, devices, gpu_visible, reason
):
    monkeypatch.setattr(library, "unavailable_reason", lambda: unavailable)
    monkeypatch.setattr(library, "devices", lambda: devices)
    monkeypatch.setattr(implementation.build_record, "read", lambda path: {})
    gpus = ["GPU:0"] if gpu_visible else []
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    actual = fallback_reason("auto")
    assert actual is None if reason is None else reason in actual
    assert (fallback_reason("fused") is None) == (unavailable is None)


@pytest.mark.parametrize(
    "capability,record,reason",
    [
        ((7, 5), {"gpu_architectures": ["75", "80", "90"]}, None),
        ((8, 6), {"gpu_architectures": ["75", "80", "90"]}, None),
        ((12, 0), {"gpu_architectures": ["75", "80", "90"]}, None),
        ((7, 0), {"gpu_architectures": ["75", "80", "90"]}, "75, 80, 90, .* one of 70"),
        ((8, 9), {"gpu_architectures": ["75", "90"]}, "75, 90, .* one of 89"),
        ((9, 0), {"gpu_architectures": ["90"], "nvcc": "12.9"}, None),
        ((9, 0), {"gpu_architectures": ["90"], "nvcc": "11.8"}, None),
        ((9, 0), {"gpu_architectures": ["90"], "nvcc": "13.0"}, "13.0 .* CUDA 12.5"),
        (None, {"gpu_architectures": ["90"]}, None),
        ((7, 0), {}, None),
    ],
)
def test_auto_wants_kernels_for_the_gpu_at_hand(
    monkeypatch, capability, record, reason
):
    details = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(library, "unavailable_reason", lambda: None)
    monkeypatch.setattr(library, "devices", lambda: {"CPU", "GPU"})
    monkeypatch.setattr(implementation.build_record, "read", lambda path: record)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: details
    )
    monkeypatch.setattr(
        tf.sysconfig, "get_build_info", lambda: {"cuda_version": "12.5.1"}
    )
    actual = fallback_reason("auto")
    assert actual is None if reason is None else re.search(reason, actual)
    assert fallback_reason("fused") is None


def test_a_loaded_model_set_to_tensorflow_holds_no_fused_op(fused):
    model = ratm_tf.load_pretrained("moving_mnist")
    frames = tf.zeros([1, 2, 100, 100, 1])
    assert OP in ops_of(lambda x: model({"frames": x})["boxes"], frames)
    model.cell.implementation = "tf"
    assert OP not in ops_of(lambda x: model({"frames": x})["boxes"], frames)


def test_examples():
    results = doctest.testmod(implementation, extraglobs={"ratm_tf": ratm_tf})
    assert results.attempted and not results.failed
