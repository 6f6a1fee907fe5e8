"""What exports answer, held against the trackers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.export.signatures import MOST_STATE_VALUES
from tests.export.trackers import (
    BOX,
    VIDEO,
    encoded,
    initial_box,
    smooth_video,
    stream,
    tracker_of_kind,
)


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


def test_scores(tmp_path):
    score = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")])
    config = tracker_of_kind("learned").get_config() | {"score": None}
    tracker = ratm_tf.Tracker.from_config(config)
    tracker.score = score
    tracker.build({"frames": (None, None, None, None, 1)})
    signatures = tf.saved_model.load(
        ratm_tf.export_saved_model(tracker, tmp_path)
    ).signatures
    expected = tracker.predict({"frames": VIDEO}, verbose=0)["scores"]
    whole = signatures["track"](frames=VIDEO)["scores"]
    assert whole.shape == (2, 5) and np.ptp(whole) > 0
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    states = signatures["start"](frame_size=tf.constant([[20, 24]] * 2))
    frame = tf.constant(VIDEO[:, 0])
    stepped = signatures["step"](frame=frame, **states)["scores"]
    np.testing.assert_allclose(stepped, expected[:, 0], atol=1e-5)


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


def call_unchecked(signature, **inputs):
    """Calls as TensorFlow Serving does, which feeds what has the type."""
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    specs = {name: tf.TensorSpec(None, value.dtype) for name, value in inputs.items()}
    call = tf.function(lambda **inputs: signature(**inputs), autograph=False)
    return call.get_concrete_function(**specs)(**inputs)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A loaded export that starts on a given target, and requests by signature."""
    folder = ratm_tf.export_saved_model(
        tracker_of_kind("given"), tmp_path_factory.mktemp("given")
    )
    model = tf.saved_model.load(folder)
    frames, files = VIDEO[:, 0], encoded(VIDEO)
    sizes = np.int32([[20, 24], [20, 24]])
    states = model.signatures["start"](frame_size=sizes, initial_box=BOX)
    states = {name: state.numpy() for name, state in states.items()}
    return model, {
        "track": {"frames": VIDEO, "initial_box": BOX},
        "track_encoded": {"frames": files, "initial_box": BOX},
        "start": {"frame_size": sizes, "initial_box": BOX},
        "step": {"frame": frames} | states,
        "step_encoded": {"frame": files[:, 0]} | states,
    }


@pytest.mark.parametrize(
    "signature, wrong",
    [
        ("track", {"frames": VIDEO[0]}),
        ("track", {"frames": np.repeat(VIDEO, 3, axis=-1)}),
        ("track", {"initial_box": BOX[0]}),
        ("track_encoded", {"frames": encoded(VIDEO)[0]}),
        ("start", {"frame_size": np.int32([12, 14])}),
        ("start", {"frame_size": np.int32([[12, 14, 1]] * 2)}),
        ("start", {"initial_box": BOX[:, :2]}),
        ("step", {"frame": VIDEO}),
        ("step", {"state_0": np.float32([[0.1], [0.1]])}),
        ("step", {"state_2": np.zeros([2, 7], np.float32)}),
        ("step_encoded", {"frame": encoded(VIDEO)}),
    ],
)
def test_the_graph_checks_shapes(given, signature, wrong):
    model, requests = given
    inputs = requests[signature]
    assert call_unchecked(model.signatures[signature], **inputs)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected shape") as error:
        call_unchecked(model.signatures[signature], **inputs | wrong)
    assert f"{next(iter(wrong))} [" in error.value.message


@pytest.mark.parametrize(
    "signature, name",
    [
        *(("track", "frames"), ("track", "initial_box")),
        *(("track_encoded", "frames"), ("start", "frame_size")),
        *(("start", "initial_box"), ("step", "frame"), ("step", "state_1")),
        ("step_encoded", "state_0"),
    ],
)
def test_the_graph_checks_batch_sizes(given, signature, name):
    model, requests = given
    inputs = requests[signature]
    with pytest.raises(tf.errors.InvalidArgumentError, match="of one batch size"):
        model.signatures[signature](
            **{n: tf.constant(v[:1] if n == name else v) for n, v in inputs.items()}
        )


def test_a_start_has_a_bound(signatures, kind):
    count = MOST_STATE_VALUES // (8 + 6 + 6)
    sizes = np.tile(np.int32([[20, 24]]), [count + 1, 1])
    boxes = np.tile(BOX[:1], [count + 1, 1])
    signatures["start"](frame_size=sizes[1:], **initial_box(kind, boxes[1:]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="states of at most"):
        signatures["start"](frame_size=sizes, **initial_box(kind, boxes))
