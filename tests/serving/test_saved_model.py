"""Exported trackers in C++, by the loader that TensorFlow Serving uses."""

import os
import shutil
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

import ratm_tf
from ratm_tf.attention import library

SOURCE = os.path.join(os.path.dirname(__file__), "predict.cc")
SIGNATURES = {"serving_default", "track", "track_encoded"} | {
    "start",
    "step",
    "step_encoded",
}
BOX = np.float32([[8.0, 6.0, 30.0, 28.0]])


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    path = tmp_path_factory.mktemp("program") / "predict"
    folder = tf.sysconfig.get_lib()
    command = [
        *(compiler, "-std=c++17", "-O1", "-DNDEBUG", "-Wall", "-Wextra", "-Werror"),
        *("-isystem", tf.sysconfig.get_include(), SOURCE, "-o", path, f"-L{folder}"),
        # Nothing names the kernels, which register themselves.
        *("-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2"),
        *("-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{folder}", "-pthread"),
    ]
    subprocess.run(command, check=True)
    return path


def exported(kind, ops, directory):
    """A small tracker's SavedModel."""
    keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(
        recurrent_cell=keras.layers.GRUCell(8),
        glimpse_size=(8, 8),
        initial_window=kind,
        initial_sigma=3.0,
    )
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": (None, None, None, None, 1)})
    tracker.cell.window.kernel.assign(tracker.cell.window.kernel * 20)
    return ratm_tf.export_saved_model(tracker, directory, ops=ops)


def request_bytes(kind):
    """A `PredictRequest` that tracks a blurred patch through six frames."""
    video = np.zeros([1, 6, 48, 64, 1], np.uint8)
    for index, frame in enumerate(video[0]):
        frame[10 + 2 * index :][:12, 8 + 3 * index :][:, :14] = 255
        frame[..., 0] = cv2.GaussianBlur(frame, (0, 0), 2)
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "track_encoded"
    files = [[tf.io.encode_png(frame).numpy() for frame in video[0]]]
    request.inputs["frames"].CopyFrom(tf.make_tensor_proto(files))
    if kind == "given":
        request.inputs["initial_box"].CopyFrom(tf.make_tensor_proto(BOX))
    return request.SerializeToString()


def descriptors(file):
    """TensorFlow Serving's messages in `file` and all that it imports."""
    files = {}

    def add(file):
        if file.name not in files:
            for dependency in file.dependencies:
                add(dependency)
            proto = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(proto)
            files[file.name] = proto

    add(file)
    return descriptor_pb2.FileDescriptorSet(file=files.values()).SerializeToString()


def predict(program, folder, request, scratch, *op_library):
    """Runs the program; returns it and the bytes of the `PredictResponse`."""
    messages = descriptors(prediction_log_pb2.DESCRIPTOR)
    (scratch / "descriptors").write_bytes(messages)
    (scratch / "request").write_bytes(request)
    names = ("descriptors", "request", "response")
    result = subprocess.run(
        [program, folder, *(scratch / name for name in names), *op_library],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    response = scratch / "response"
    return result, response.read_bytes() if response.exists() else None


def check(program, folder, kind, scratch, *op_library):
    """Holds the program's answer against the same SavedModel's in Python."""
    request = request_bytes(kind)
    result, response = predict(program, folder, request, scratch, *op_library)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) == SIGNATURES
    response = predict_pb2.PredictResponse.FromString(response)
    request = predict_pb2.PredictRequest.FromString(request)
    inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    signature = ratm_tf.load_saved_model(folder).signatures["track_encoded"]
    expected = signature(**inputs)
    assert set(response.outputs) == set(expected)
    for name, output in response.outputs.items():
        np.testing.assert_allclose(
            tf.make_ndarray(output), expected[name], atol=1e-4, err_msg=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["learned", "given"])
def test_plain_flavour(program, kind, tmp_path):
    check(program, exported(kind, "tf", tmp_path / "model"), kind, tmp_path)


@pytest.mark.slow
def test_fused_flavour(program, tmp_path):
    if library.unavailable_reason() is not None:
        pytest.skip(library.unavailable_reason())
    folder = exported("given", "fused", tmp_path / "model")
    check(program, folder, "given", tmp_path, library.PATH)


@pytest.mark.slow
def test_fused_flavour_without_the_op(program, tmp_path):
    if library.unavailable_reason() is not None:
        pytest.skip(library.unavailable_reason())
    folder = exported("given", "fused", tmp_path / "model")
    result, response = predict(program, folder, request_bytes("given"), tmp_path)
    assert result.returncode == 1 and response is None
    assert "Op type not registered 'Ratm>GaussianGlimpse'" in result.stderr


@pytest.mark.slow
def test_request_path_errors(program, tmp_path):
    folder = exported("learned", "tf", tmp_path / "model")
    request = predict_pb2.PredictRequest.FromString(request_bytes("learned"))
    request.inputs["frames"].string_val[2] = b"no image"
    result, _ = predict(program, folder, request.SerializeToString(), tmp_path)
    assert result.returncode == 1
    assert "not decode" in result.stderr and "[0 2]" in result.stderr


@pytest.mark.slow
def test_saved_model_cli(tmp_path):
    folder = exported("learned", "tf", tmp_path / "model")
    command = os.path.join(os.path.dirname(sys.executable), "saved_model_cli")
    common = [f"--dir={folder}", "--tag_set=serve", "--signature_def=track"]
    shown = subprocess.check_output([command, "show", *common], text=True)
    assert "inputs['frames']" in shown and "(-1, -1, -1, -1, 1)" in shown
    np.save(tmp_path / "video.npy", np.zeros([1, 3, 20, 24, 1], np.uint8))
    inputs = f"--inputs=frames={tmp_path / 'video.npy'}"
    subprocess.check_call(
        [command, "run", *common, inputs, f"--outdir={tmp_path}"],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert np.load(tmp_path / "boxes.npy").shape == (1, 3, 4)
