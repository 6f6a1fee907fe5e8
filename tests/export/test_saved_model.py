"""SavedModels on disk: versions, flavours, and processes that load them.

Among them a C++ program with the loader that TensorFlow Serving uses.
"""

import os
import pathlib
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
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH
from tests.export.trackers import BOX, VIDEO, tracker_of_kind

SOURCE = pathlib.Path(__file__).parents[1] / "serving" / "predict.cc"
SIGNATURES = {
    *("serving_default", "track", "track_encoded"),
    *("start", "step", "step_encoded"),
}
TARGET = np.float32([[8.0, 6.0, 30.0, 28.0]])


@pytest.mark.parametrize(
    ("name", "num_digits"), [("moving_mnist", 1), ("moving_mnist_two_digits", 2)]
)
def test_pretrained_tracker_in_both_flavours(name, num_digits, tmp_path):
    if library.unavailable_reason() is not None:
        pytest.skip(library.unavailable_reason())
    tracker = ratm_tf.load_pretrained(name)
    digits = ratm_tf.datasets.moving_mnist_sequences(
        "test",
        num_frames=30,
        num_digits=num_digits,
        batch_size=2,
        mnist_path=SAMPLE_PATH,
    )
    inputs = ratm_tf.datasets.tracker_inputs(next(iter(digits)))
    boxes = [tracker.predict(inputs, verbose=0)["boxes"]]
    for ops in ("tf", "fused"):
        folder = ratm_tf.export_saved_model(tracker, tmp_path, ops=ops)
        assert tracker.cell.glimpse.implementation == "auto"
        signature = ratm_tf.load_saved_model(folder).signatures["track"]
        boxes.append(signature(**inputs)["boxes"])
    np.testing.assert_allclose(boxes[1], boxes[2], atol=1e-4)
    np.testing.assert_allclose(boxes[1], boxes[0], atol=1e-4)


def test_a_tracker_that_diverged_is_not_exported_without_a_word(tmp_path):
    tracker = tracker_of_kind("learned")
    kernel = tracker.cell.window.kernel
    kernel.assign(kernel * float("nan"))
    with pytest.warns(UserWarning, match="not all finite.*window/kernel"):
        ratm_tf.export_saved_model(tracker, tmp_path)


def test_versions(tmp_path):
    tracker = tracker_of_kind("learned")
    for version, name in ((None, "1"), (10, "10"), (None, "11")):
        folder = ratm_tf.export_saved_model(tracker, tmp_path / "a", version=version)
        assert folder == tmp_path / "a" / name
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"1", "10", "11"}
    with pytest.raises(FileExistsError, match="version"):
        ratm_tf.export_saved_model(tracker, tmp_path / "a", version=10)


@pytest.mark.parametrize("version", [None, 1])
def test_exports_at_the_same_time(version, tmp_path, monkeypatch):
    """Another export ends while this one is written."""

    def others_end(*_):
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "saved_model.pb").touch()

    monkeypatch.setattr("ratm_tf.export.saved_model._describe", others_end)
    tracker = tracker_of_kind("learned")
    if version is None:
        assert ratm_tf.export_saved_model(tracker, tmp_path) == tmp_path / "2"
        assert ratm_tf.load_saved_model(tmp_path / "2").signatures
    else:
        with pytest.raises(FileExistsError, match="`version` to be a new one"):
            ratm_tf.export_saved_model(tracker, tmp_path, version=version)
    assert (tmp_path / "1" / "saved_model.pb").read_bytes() == b""
    assert not list(tmp_path.glob(".export-*"))


def test_folders_that_tensorflow_does_not_load_from(tmp_path):
    tracker = tracker_of_kind("learned")
    for name in ("run [best]", "a*", "b?", "c\\d"):
        with pytest.raises(ValueError, match="path of `directory`"):
            ratm_tf.export_saved_model(tracker, tmp_path / name)
    assert not list(tmp_path.iterdir())
    folder = ratm_tf.export_saved_model(tracker, tmp_path / "{x, y}" / "ü ]" / "%41")
    assert tf.saved_model.load(folder).signatures


def test_holds_what_tracks_and_nothing_else(tmp_path):
    tracker = tracker_of_kind("learned")
    tracker.compile("adam", loss={"boxes": "mse"})
    boxes = np.zeros([2, 5, 4], np.float32)
    tracker.fit({"frames": VIDEO}, {"boxes": boxes}, verbose=0)
    folder = ratm_tf.export_saved_model(tracker, tmp_path)
    held = tf.train.list_variables(str(folder / "variables" / "variables"))
    shapes = [tuple(shape) for name, shape in held if name.startswith("captured")]
    weights = [tuple(weight.shape) for weight in tracker.cell.weights]
    assert sorted(shapes) == sorted(weights)


def test_trackers_with_objectives(tmp_path):
    cell = ratm_tf.RATMCell(units=8, glimpse_size=(6, 6))
    judge = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    tracker = ratm_tf.Tracker(cell, objectives={"digit": judge})
    expected = tracker({"frames": VIDEO})["boxes"]
    folder = ratm_tf.export_saved_model(tracker, tmp_path)
    track = ratm_tf.load_saved_model(folder).signatures["track"]
    assert set(track.structured_outputs) == {"boxes", "corner_boxes", "windows"}
    np.testing.assert_allclose(track(frames=VIDEO)["boxes"], expected, atol=1e-4)


def test_clear_errors(tmp_path):
    tracker = tracker_of_kind("learned")
    for wrong in (
        {"ops": "cuda"},
        {"dtype": "float16"},
        {"version": 0},
        {"version": 2**63},
    ):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"`{name}`"):
            ratm_tf.export_saved_model(tracker, tmp_path, **wrong)
    with pytest.raises(ValueError, match="built `tracker`"):
        ratm_tf.export_saved_model(ratm_tf.Tracker(ratm_tf.RATMCell()), tmp_path)
    assert not list(tmp_path.iterdir())


def test_fused_op_missing(tmp_path, monkeypatch):
    if library.unavailable_reason() is not None:
        pytest.skip(library.unavailable_reason())
    tracker = tracker_of_kind("learned")
    folder = ratm_tf.export_saved_model(tracker, tmp_path, ops="fused")
    monkeypatch.setenv("RATM_TF_PY_OPS", "1")
    with pytest.raises(RuntimeError, match="gaussian_glimpse_ops_lib.*ops='tf'"):
        ratm_tf.load_saved_model(folder)
    with pytest.raises(RuntimeError, match="RATM_TF_PY_OPS"):
        ratm_tf.export_saved_model(tracker, tmp_path, ops="fused")


WITHOUT_PACKAGE = """
import sys
sys.modules["ratm_tf"] = None  # Where the package is installed, too.
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

def run(folder):
    signatures = tf.saved_model.load(folder).signatures
    ran = set()
    path = folder + "/assets.extra/tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(path):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {n: tf.constant(tf.make_ndarray(t)) for n, t in request.inputs.items()}
        signatures[request.model_spec.signature_name](**inputs)
        ran.add(request.model_spec.signature_name)
    assert ran == set(signatures) and len(ran) == 6, ran
    inputs = np.load(folder + "/inputs.npz").items()
    outputs = signatures["track"](**{n: tf.constant(value) for n, value in inputs})
    np.testing.assert_allclose(outputs["boxes"], np.load(folder + "/boxes.npy"))

_, library, *folders = sys.argv
for folder in folders:
    if "fused" in folder:
        try:
            run(folder)
        except RuntimeError as error:
            assert "Op type not registered 'Ratm>GaussianGlimpse'" in str(error), error
        else:
            raise AssertionError("ran without its op")
    else:
        run(folder)
if library:
    tf.load_op_library(library)
    run(folders[-1])
"""


def test_runs_without_the_package(tmp_path):
    folders = []
    for ops in ("tf", "fused")[: 1 + (library.unavailable_reason() is None)]:
        tracker = tracker_of_kind("given")
        folder = ratm_tf.export_saved_model(tracker, tmp_path / ops, ops=ops)
        inputs = {"frames": VIDEO, "initial_box": BOX}
        np.savez(folder / "inputs.npz", **inputs)
        track = ratm_tf.load_saved_model(folder).signatures["track"]
        np.save(folder / "boxes.npy", track(**inputs)["boxes"])
        folders.append(folder)
    path = library.PATH if library.unavailable_reason() is None else ""
    result = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_PACKAGE, path, *folders],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


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
        request.inputs["initial_box"].CopyFrom(tf.make_tensor_proto(TARGET))
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
