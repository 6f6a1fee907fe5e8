"""The files run in the runtimes that they are for, and track as the tracker does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.attention import filterbank
from ratm_tf.export import export_litert, export_onnx
from tests.export.trackers import KINDS, tracker_of_kind

KIND_AND_PRECISION = [
    *zip(KINDS, ["float16", "float32"], strict=True),
    pytest.param(("target", "float32"), marks=pytest.mark.slow),
]


def tracker_of_a_target():
    """A small tracker that looks for its target."""
    keras.utils.set_random_seed(0)
    convolution = keras.layers.Conv2D(4, 3, strides=2, padding="same")
    features = keras.Sequential([keras.Input([16, 16, 3]), convolution])
    tracker = ratm_tf.Tracker(ratm_tf.CorrelationCell(features, units=4))
    tracker.build({"frames": (None, None, None, None, 3)})
    return tracker


@pytest.fixture(params=KIND_AND_PRECISION, ids="-".join)
def tracked(request):
    """A tracker, its video and boxes, and the precision to keep weights in."""
    kind, precision = request.param
    tracker = tracker_of_a_target() if kind == "target" else tracker_of_kind(kind)
    for weight in tracker.weights:
        weight.assign(np.asarray(weight, precision))
    shape = [1, 5, 30, 40, tracker.channels]
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    box = {}
    if tracker.starts_on_target:
        box = {"initial_box": np.float32([[8, 9, 24, 21]])}
    outputs = tracker({"frames": frames} | box)
    return tracker, frames, box, outputs, precision


def stream(call, frames, box, prefix):
    """Boxes and scores of frame after frame, by `start` and `step`."""
    outputs = call("start", frame_size=np.int32([frames.shape[2:4]]), **box)
    boxes = []
    for frame in frames[0]:
        states = {
            name.removeprefix(prefix): value
            for name, value in outputs.items()
            if name.startswith(f"{prefix}state_")
        }
        outputs = call("step", frame=frame[np.newaxis], **states)
        boxes.append(outputs["boxes"][0])
    return np.array(boxes)[np.newaxis]


def check(call, tracked, prefix="", atol=1e-3):
    _, frames, box, expected, _ = tracked
    outputs = call("track", frames=frames, **box)
    names = {"boxes", "corner_boxes", "windows", "scores"} & set(expected)
    assert set(outputs) == names
    for name in names:
        np.testing.assert_allclose(outputs[name], expected[name], atol=atol)
    boxes = stream(call, frames, box, prefix)
    np.testing.assert_allclose(boxes, expected["boxes"], atol=atol)


def test_litert(tracked, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = export_litert(tracked[0], tmp_path / "model.tflite", tracked[-1])
    lite = interpreter.Interpreter(str(path))

    def call(name, **inputs):
        return lite.get_signature_runner(name)(**inputs)

    # It keeps every constant in float16, such as one over the glimpse's rows.
    check(call, tracked, atol=0.02 if tracked[-1] == "float16" else 1e-3)


def test_onnx(tracked, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    folder = export_onnx(tracked[0], tmp_path / "model", tracked[-1])

    def call(name, **inputs):
        session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    check(call, tracked, prefix="next_")


@pytest.mark.slow
def test_weights_take_less_room(tmp_path):
    tracker = ratm_tf.load_pretrained("moving_mnist")
    sizes = [
        export_litert(tracker, tmp_path / name, name).stat().st_size
        for name in ("float32", "float16", "int8")
    ]
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.4 * sizes[0]


@pytest.mark.parametrize("export", [export_litert, export_onnx])
def test_what_cannot_be_exported_is_named(export, tmp_path):
    tracker = ratm_tf.load_pretrained("bouncing_balls")
    with pytest.raises(ValueError, match="`precision`.*'float8'"):
        export(tracker, tmp_path / "model", "float8")
    fresh = ratm_tf.Tracker(ratm_tf.RATMCell(4, (4, 4)))
    with pytest.raises(ValueError, match="built `tracker`"):
        export(fresh, tmp_path / "model")


def test_portable_glimpses_are_of_float32_alone_and_as_good():
    images = tf.random.stateless_uniform([2, 720, 1280, 1], [0, 0])
    window = tf.constant([[1000.3, 500.6, 2.0, 1.5, 4.0, 3.0]] * 2)
    glimpse = tf.function(filterbank.glimpse)
    with filterbank.portable():
        portable = glimpse.get_concrete_function(images, window, (8, 8))
    dtypes = {
        tensor.dtype
        for operation in portable.graph.get_operations()
        for tensor in operation.outputs
    }
    assert tf.float64 not in dtypes
    np.testing.assert_allclose(
        portable(images, window), filterbank.glimpse(images, window, (8, 8)), atol=1e-4
    )
