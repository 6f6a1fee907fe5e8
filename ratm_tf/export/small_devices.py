"""Trackers for small devices: LiteRT and ONNX files, of these runtimes' own ops."""

import pathlib
import tempfile
from typing import Literal

import tensorflow as tf

from ratm_tf.attention import filterbank
from ratm_tf.attention.implementation import implementation_scope
from ratm_tf.export.signatures import check_built, tracking_functions
from ratm_tf.tracker import Tracker
from ratm_tf.types import Path

_OPSET = 17
_SMALL = 1024  # Constants of so few numbers stay as they are.


def export_litert(
    tracker: Tracker,
    path: Path,
    precision: Literal["float32", "float16", "int8"] = "float32",
) -> pathlib.Path:
    """Writes a tracker as one LiteRT (TensorFlow Lite) file.

    It has the signatures `start`, `step` and `track` of `ratm_tf.export`, for a batch
    of one, with frames in uint8 of any size, and videos of any length. They are of
    LiteRT's built-in ops alone.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        path: the file to write, `.tflite`; missing folders are made.
        precision: how weights are kept: `"float32"`; `"float16"`, in half the room,
            which moves boxes by some hundredths of a pixel, because LiteRT so keeps all
            constants; or `"int8"`, in a quarter of it, with less accuracy. It computes
            in float32, with weights in int8 partly in integers.

    Returns:
        The file, a `pathlib.Path`.

    Raises:
        ValueError: the tracker is not built, or there is no such precision.

    Example:
    >>> import tempfile
    >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
    >>> path = ratm_tf.export.export_litert(tracker, f"{tempfile.mkdtemp()}/b.tflite")
    >>> path.stat().st_size < 2**20
    True
    """
    _check(tracker, precision, ("float32", "float16", "int8"))
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    functions = _traced(tracker, batch_size=1)
    module = tf.Module()
    module.captured = [function.variables for function in functions.values()]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[*functions]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())
    return path


def export_onnx(
    tracker: Tracker,
    directory: Path,
    precision: Literal["float32", "float16"] = "float32",
) -> pathlib.Path:
    """Writes a tracker as ONNX files: `start.onnx`, `step.onnx` and `track.onnx`.

    Their inputs and outputs are those of the signatures in `ratm_tf.export`, with
    frames in uint8, but that `start` and `step` put out the states as `next_state_0`,
    `next_state_1`, ...: in ONNX no two have one name. Batch, size of frames and length
    of videos are free. The extra `onnx` has what it takes.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        directory: the folder to write them to, made if need be.
        precision: how weights are kept: `"float32"`, or `"float16"`, in half the room.
            Computed is in float32.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: the tracker is not built, or there is no such precision.
        ImportError: `tf2onnx` is not installed.

    Example (with the extra `onnx`):

        folder = ratm_tf.export.export_onnx(tracker, "digits")
        start = onnxruntime.InferenceSession(folder / "start.onnx")
        start.run(["next_state_0"], {"frame_size": np.int32([[100, 100]])})
    """
    _check(tracker, precision, ("float32", "float16"))
    import onnx
    import tf2onnx

    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # Its converter loses weights that branches use.
    traced = _traced(tracker, state_prefix="next_", branches=False)
    for name, function in traced.items():
        specs = [
            tf.TensorSpec.from_spec(spec, name=name)
            for name, spec in function.structured_input_signature[1].items()
        ]
        model, _ = tf2onnx.convert.from_function(
            tf.function(_by_position(function, specs), autograph=False),
            input_signature=specs,
            opset=_OPSET,
        )
        if precision == "float16":
            _keep_in_float16(model.graph)
        onnx.save(model, directory / f"{name}.onnx")
    return directory


def _check(tracker, precision, precisions):
    if precision not in precisions:
        raise ValueError(
            f"Expected `precision` to be one of {precisions}. Received: {precision!r}"
        )
    check_built(tracker)


def _traced(tracker, batch_size=None, state_prefix="", branches=True):
    """The concrete functions by name, in ops that other runtimes have."""
    traced = {}
    functions = tracking_functions(tracker, tf.uint8, batch_size)
    with implementation_scope("tf"), filterbank.portable(branches):
        for name, (function, specs) in functions.items():
            renamed = _with_prefix(function, state_prefix)
            traced[name] = tf.function(renamed, autograph=False).get_concrete_function(
                **specs
            )
    return traced


def _with_prefix(function, prefix):
    def renamed(**inputs):
        outputs = function(**inputs)
        return {
            prefix + name if name.startswith("state_") else name: value
            for name, value in outputs.items()
        }

    return renamed


def _by_position(function, specs):
    names = [spec.name for spec in specs]
    return lambda *inputs: function(**dict(zip(names, inputs, strict=True)))


def _keep_in_float16(graph):
    """Keeps large constants in float16, and casts them as the graph runs."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for constant in graph.initializer:
        value = numpy_helper.to_array(constant)
        if constant.data_type != TensorProto.FLOAT or value.size <= _SMALL:
            continue
        name = constant.name
        constant.CopyFrom(
            numpy_helper.from_array(value.astype("float16"), f"{name}:16")
        )
        casts.append(
            helper.make_node("Cast", [constant.name], [name], to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
