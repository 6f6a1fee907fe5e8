import os
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

import ratm_tf
from ratm_tf.attention import library
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def smooth_video(*shape):
    """Noise without the sharp edges that magnify rounding errors from step to step."""
    noise = np.random.default_rng(0).random([*shape, 1], np.float32)
    frames = [
        cv2.GaussianBlur(frame, (0, 0), 2) for frame in noise.reshape(-1, *shape[2:])
    ]
    frames = np.reshape(frames, noise.shape)
    return np.uint8(255 * (frames - frames.min()) / np.ptp(frames))


VIDEO = smooth_video(2, 5, 20, 24)
BOX = np.float32([[2.5, 3.5, 12.5, 11.5], [0.0, 1.0, 9.0, 8.0]])
KINDS = ["learned", "given"]


def tracker_of_kind(kind, recurrent_cell=None):
    """A small tracker whose windows move."""
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=recurrent_cell or keras.layers.GRUCell(8),
            glimpse_size=(8, 8),
            initial_window=kind,
        )
    )
    tracker.build({"frames": (None, None, None, None, 1)})
    tracker.cell.window.kernel.assign(tracker.cell.window.kernel * 20)
    return tracker


def initial_box(kind, box=BOX):
    return {"initial_box": box} if kind == "given" else {}


def encoded(frames):
    """PNG files, which lose nothing, of frames [..., H, W, C]."""
    flat = frames.reshape(-1, *frames.shape[-3:])
    files = [tf.io.encode_png(frame).numpy() for frame in flat]
    return np.array(files, object).reshape(frames.shape[:-3])


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=["tf", "fused"])
def ops(request):
    if request.param == "fused" and library.unavailable_reason() is not None:
        assert os.environ.get("RATM_TF_REQUIRE_FUSED") != "1"
        pytest.skip(library.unavailable_reason())
    return request.param


@pytest.fixture(scope="module")
def folder(kind, ops, tmp_path_factory):
    directory = tmp_path_factory.mktemp(f"{kind}_{ops}")
    return ratm_tf.export_saved_model(tracker_of_kind(kind), directory, ops=ops)


@pytest.fixture(scope="module")
def signatures(folder):
    return ratm_tf.load_saved_model(folder).signatures


def stream(signatures, video, kind, step="step"):
    """The outputs of `track`, frame by frame."""
    height, width = VIDEO.shape[2:4]
    states = signatures["start"](
        frame_size=tf.constant([[height, width]] * len(video)),
        **{name: tf.constant(box) for name, box in initial_box(kind).items()},
    )
    outputs = []
    for frame in np.moveaxis(video, 1, 0):
        output = signatures[step](frame=tf.constant(frame), **states)
        outputs.append([output[n] for n in ("boxes", "corner_boxes", "windows")])
        states = {name: output[name] for name in states}
    return [np.stack(sequence, axis=1) for sequence in zip(*outputs, strict=True)]


def test_tracks_as_the_tracker(signatures, kind):
    inputs = {"frames": VIDEO} | initial_box(kind)
    expected = tracker_of_kind(kind).predict(inputs, verbose=0)
    assert np.ptp(expected["boxes"][..., 0]) > 0.5
    for name in ("serving_default", "track"):
        outputs = signatures[name](**inputs)
        assert set(outputs) == {"boxes", "corner_boxes", "windows"}
        for output in outputs:
            np.testing.assert_allclose(outputs[output], expected[output], atol=5e-5)


def test_streams_exactly_what_it_tracks(signatures, kind):
    whole = signatures["track"](frames=VIDEO, **initial_box(kind))
    for step, video in (("step", VIDEO), ("step_encoded", encoded(VIDEO))):
        for name, frames in zip(
            ("boxes", "corner_boxes", "windows"),
            stream(signatures, video, kind, step),
            strict=True,
        ):
            np.testing.assert_array_equal(frames, whole[name])


def test_tracks_encoded_frames(signatures, kind):
    box = initial_box(kind)
    expected = signatures["track"](frames=VIDEO, **box)
    files = tf.constant(encoded(VIDEO))
    outputs = signatures["track_encoded"](frames=files, **box)
    for name, output in outputs.items():
        np.testing.assert_array_equal(output, expected[name])


@pytest.mark.parametrize("encode", [tf.io.encode_png, tf.io.encode_jpeg])
def test_converts_colour(signatures, kind, encode):
    grey = np.repeat(np.repeat(VIDEO[:, :1, ::4, ::4], 4, 2), 4, 3)
    colour = np.repeat(grey, 3, axis=-1)
    files = [[encode(video[0]).numpy()] for video in colour]
    box = initial_box(kind)
    outputs = signatures["track_encoded"](frames=tf.constant(files), **box)
    expected = signatures["track"](frames=grey, **box)
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 9, 33), (3, 7, 40, 16)])
def test_sizes_are_free(signatures, kind, shape):
    video = smooth_video(*shape)
    box = initial_box(kind, np.tile(BOX[:1], (shape[0], 1)))
    expected = tracker_of_kind(kind).predict({"frames": video} | box, verbose=0)
    outputs = signatures["track"](frames=video, **box)
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=1e-4)


@pytest.mark.parametrize(
    "damage", [lambda file: b"no image", lambda file: b"", lambda file: file[:60]]
)
def test_names_the_frame_that_does_not_decode(signatures, kind, damage):
    files = encoded(VIDEO)
    files[1, 3] = damage(files[1, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not decode.*\[\[?1 3"):
        signatures["track_encoded"](frames=tf.constant(files), **initial_box(kind))
    files[:] = damage(files[0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not decode.*\[\[?0 0"):
        signatures["track_encoded"](frames=tf.constant(files), **initial_box(kind))


def test_pretrained_tracker_in_both_flavours(tmp_path):
    if library.unavailable_reason() is not None:
        pytest.skip(library.unavailable_reason())
    tracker = ratm_tf.load_pretrained("moving_mnist")
    digits = ratm_tf.datasets.moving_mnist_sequences(
        "test", num_frames=30, batch_size=2, mnist_path=SAMPLE_PATH
    )
    frames = next(iter(digits))["frames"]
    boxes = [tracker.predict({"frames": frames}, verbose=0)["boxes"]]
    for ops in ("tf", "fused"):
        folder = ratm_tf.export_saved_model(tracker, tmp_path, ops=ops)
        assert tracker.cell.glimpse.implementation == "auto"
        signature = ratm_tf.load_saved_model(folder).signatures["track"]
        boxes.append(signature(frames=frames)["boxes"])
    np.testing.assert_allclose(boxes[1], boxes[2], atol=1e-4)
    np.testing.assert_allclose(boxes[1], boxes[0], atol=1e-4)


def test_float_frames(tmp_path):
    folder = ratm_tf.export_saved_model(
        tracker_of_kind("learned"), tmp_path, dtype="float32"
    )
    track = tf.saved_model.load(folder).signatures["track"]
    frames = VIDEO / np.float32(255)
    expected = tracker_of_kind("learned").predict({"frames": frames}, verbose=0)
    outputs = track(frames=tf.constant(frames))
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=1e-4)


def test_cells_with_two_hidden_states(tmp_path):
    tracker = tracker_of_kind("learned", keras.layers.LSTMCell(8))
    folder = ratm_tf.export_saved_model(tracker, tmp_path, ops="tf")
    signatures = tf.saved_model.load(folder).signatures
    states = signatures["start"](frame_size=tf.constant([[20, 24]]))
    assert {name: state.shape[1] for name, state in states.items()} == {
        "state_0": 8,
        "state_1": 8,
        "state_2": 6,
        "state_3": 6,
    }
    whole = signatures["track"](frames=VIDEO)["boxes"]
    boxes, *_ = stream(signatures, VIDEO, "learned")
    np.testing.assert_array_equal(boxes, whole)


def test_streams_of_different_sizes_start_together(tmp_path):
    folder = ratm_tf.export_saved_model(tracker_of_kind("given"), tmp_path)
    start = tf.saved_model.load(folder).signatures["start"]
    sizes = tf.constant([[20, 24], [100, 80]])
    together = start(frame_size=sizes, initial_box=tf.constant(BOX))
    for index in range(2):
        alone = start(
            frame_size=sizes[index : index + 1],
            initial_box=tf.constant(BOX[index : index + 1]),
        )
        for name, state in alone.items():
            np.testing.assert_array_equal(together[name][index], state[0])


def test_versions(tmp_path):
    tracker = tracker_of_kind("learned")
    for version, name in ((None, "1"), (10, "10"), (None, "11")):
        folder = ratm_tf.export_saved_model(tracker, tmp_path / "a", version=version)
        assert folder == tmp_path / "a" / name
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"1", "10", "11"}
    with pytest.raises(FileExistsError, match="version"):
        ratm_tf.export_saved_model(tracker, tmp_path / "a", version=10)


def test_clear_errors(tmp_path):
    tracker = tracker_of_kind("learned")
    for wrong in ({"ops": "cuda"}, {"dtype": "float16"}, {"version": 0}):
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


def test_warmup_requests(folder, signatures):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    seen = set()
    for record in tf.data.TFRecordDataset(str(path)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(t) for name, t in request.inputs.items()}
        signature = signatures[request.model_spec.signature_name]
        outputs = signature(**{n: tf.constant(value) for n, value in inputs.items()})
        assert all(np.isfinite(output).all() for output in outputs.values())
        seen.add(request.model_spec.signature_name)
    assert seen == set(signatures)


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
