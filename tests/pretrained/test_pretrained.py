import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import ratm_tf
from ratm_tf.boxes import iou
from ratm_tf.datasets import (
    bouncing_balls_sequences,
    cutout_sequences,
    moving_mnist_sequences,
    people_sequences,
    tracker_inputs,
)
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH
from ratm_tf.pretrained import PRESETS

DATASETS = pathlib.Path(ratm_tf.datasets.__file__).parent
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
# Trackers that the package shipped once, saved before their classes changed; in
# `one_scale` those of digits and of people before they saw beyond their window, and in
# `two_scales` those of digits before they had 200 units.
SAVED = [HERE / "saved", *(HERE / "saved" / n for n in ("one_scale", "two_scales"))]
FRAME_SIZES = {
    "bouncing_balls": (20, 20),
    "bouncing_balls_last": (20, 20),
    "moving_mnist": (100, 100),
    "moving_mnist_two_digits": (100, 100),
    "people": (120, 160),
    "targets": (120, 160),
}


def drawn_videos(height, width, num_frames=12):
    """A soft disc that crosses the frame, and the same upside down."""
    rows, columns = np.mgrid[:height, :width]
    times = np.arange(num_frames)
    places = zip(
        width * (0.3 + 0.03 * times), height * (0.6 - 0.02 * times), strict=True
    )
    radius = height / 8
    video = [
        255 * np.exp(-((((columns - x) ** 2 + (rows - y) ** 2) / radius**2) ** 2))
        for x, y in places
    ]
    video = np.stack(video).astype(np.uint8)[..., None]
    return np.stack([video, video[:, ::-1]])


def predictions(folder):
    """What the files predicted when they were saved."""
    return json.loads((folder / "predictions.json").read_text())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((PRESETS[name].path, predictions(HERE)[name]) for name in FRAME_SIZES),
        *(
            (folder / f"{name}.keras", expected)
            for folder in SAVED
            for name, expected in predictions(folder).items()
        ),
    ],
    ids=lambda value: getattr(value, "stem", ""),
)
def test_saved_trackers_predict_what_they_did(path, expected):
    height, width = FRAME_SIZES[path.stem]
    tracker = keras.saving.load_model(path, compile=False)
    frames = drawn_videos(height, width)
    inputs = {"frames": np.repeat(frames, tracker.channels, axis=-1)}
    if tracker.starts_on_target:
        radius, x = height / 8, 0.3 * width
        inputs["initial_box"] = np.float32(
            [
                [x - radius, y - radius, x + radius, y + radius]
                for y in (0.6 * height, 0.4 * height - 1)
            ]
        )
    outputs = tracker.predict(inputs, verbose=0)
    for output in ("boxes", "corner_boxes"):
        np.testing.assert_allclose(
            outputs[output][:, [1, 5, 11]], expected[output], atol=0.02
        )
    means = outputs["glimpses"][:, [1, 5, 11]].mean(axis=(2, 3, 4))
    np.testing.assert_allclose(means, expected["glimpse_mean"], atol=1e-3)


@pytest.mark.parametrize("name", ["mnist_cnn", "human_cnn"])
def test_saved_classifiers_predict_what_they_did(name):
    model = keras.saving.load_model(PRESETS[name].path, compile=False)
    glimpses = drawn_videos(28, 28, num_frames=1)[:, 0] / np.float32(255)
    found = model.predict(glimpses, verbose=0)
    np.testing.assert_allclose(found, predictions(HERE)[name], atol=1e-4)


def test_saved_features_are_what_they_were():
    model = keras.saving.load_model(PRESETS["target_features"].path, compile=False)
    glimpses = np.repeat(drawn_videos(64, 64, 1)[:, 0] / np.float32(255), 3, axis=-1)
    found = model.predict(glimpses, verbose=0).mean(axis=(1, 2))
    expected = predictions(HERE)["target_features"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_table_says_what_there_is(preset):
    assert preset.size < 2 * 2**20
    program, *flags = preset.command.split()
    text = (DATASETS.parents[1] / "experiments" / program).read_text()
    assert all(flag.startswith("--") for flag in flags) and "program.run" in text
    assert preset.figures and preset.follows and preset.differs and preset.data
    files = {path.stem for path in DATASETS.parent.glob("pretrained/*.keras")}
    assert files == set(PRESETS)


def test_bouncing_balls_pass_the_paper():
    """Table 1 has 66.86 over all frames; they go on for ten times as many."""
    test = bouncing_balls_sequences(
        "test", num_frames=300, batch_size=100, num_sequences=100
    )
    tracker = ratm_tf.load_pretrained("bouncing_balls")
    metrics = ratm_tf.evaluate(tracker, test, [(1, 32), (1, 300)], verbose=0)
    assert metrics["corner_iou_1_32"] > 0.93
    assert metrics["corner_iou_1_300"] > 0.96


def test_bouncing_balls_with_a_penalty_on_the_last_frame_pass_the_paper():
    """Table 1 has 69.15 on the last frame, and 54.65 over all."""
    test = bouncing_balls_sequences(
        "test", num_frames=32, batch_size=100, num_sequences=300
    )
    tracker = ratm_tf.load_pretrained("bouncing_balls_last")
    metrics = ratm_tf.evaluate(tracker, test, [(1, 32), (32, 32)], verbose=0)
    assert metrics["corner_iou_32_32"] > 0.9
    assert metrics["corner_iou_1_32"] > 0.55


@pytest.mark.parametrize(
    ("name", "num_digits", "least"),
    [("moving_mnist", 1, 0.8), ("moving_mnist_two_digits", 2, 0.79)],
)
def test_moving_mnist_passes_the_paper(name, num_digits, least):
    """Table 1 has 63.53 over 30 frames, and 51.62 with two digits."""
    test = moving_mnist_sequences(
        "test",
        num_frames=30,
        num_digits=num_digits,
        batch_size=50,
        num_sequences=200,
        mnist_path=SAMPLE_PATH,
    )
    tracker = ratm_tf.load_pretrained(name)
    metrics = ratm_tf.evaluate(tracker, test, [(1, 30)], verbose=0)
    assert metrics["corner_iou_1_30"] > least


def test_people_tracks_drawn_ones_at_any_scale():
    """Table 1 has 55.03 on KTH; these people are none that it was trained on."""
    drawn = DATASETS / "people" / "dummy_data" / "PennFudanPed"
    test = people_sequences(
        "test", num_frames=30, batch_size=40, num_sequences=40, pennfudan_path=drawn
    )
    example = next(iter(test))
    tracker = ratm_tf.load_pretrained("people")
    outputs = tracker.predict_on_batch(tracker_inputs(example))
    values = iou(example["detected_boxes"], outputs["corner_boxes"]).numpy()
    mask = example["mask"].numpy()
    assert values[mask].mean() > 0.65

    # In a frame twice as high and wide, people are half as large for the tracker.
    margin = [[0, 0], [0, 0], [60, 60], [80, 80], [0, 0]]
    shift = np.float32([80, 60, 80, 60])
    padded = {
        "frames": np.pad(example["frames"], margin, mode="edge"),
        "initial_box": example["initial_box"] + shift,
    }
    boxes = tracker.predict_on_batch(padded)["corner_boxes"] - shift
    assert iou(example["detected_boxes"], boxes).numpy()[mask].mean() > 0.65


def test_targets_are_followed_and_known_to_be():
    """Drawn ones, which it has never seen."""
    drawn = DATASETS / "cutouts" / "dummy_data" / "cutouts"
    films = cutout_sequences(
        "test", num_frames=20, batch_size=10, num_sequences=20, cutouts_path=drawn
    )
    tracker = ratm_tf.load_pretrained("targets")
    overlaps, scores = [], []
    for film in films:
        outputs = tracker.predict_on_batch(tracker_inputs(film))
        seen = film["mask"].numpy()
        overlaps.append(iou(film["boxes"], outputs["boxes"]).numpy()[seen])
        scores.append(outputs["scores"][seen])
    overlaps, scores = np.concatenate(overlaps), np.concatenate(scores)
    assert overlaps.mean() > 0.5
    assert scores[overlaps > 0.6].mean() > scores[overlaps < 0.2].mean() + 0.2


def test_a_file_loads_where_nothing_else_has_been_imported(tmp_path):
    penalty = ratm_tf.objectives.WeightPenalty(0.2)
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(2, (4, 4), kernel_regularizer=penalty))
    tracker.build({"frames": (None, 2, 8, 8, 1)})
    tracker.save(tmp_path / "model.keras")
    code = "import sys; from ratm_tf import pretrained; pretrained.load(sys.argv[1])"
    # Not a fork of a process that has imported it all.
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"], check=True, cwd=ROOT
    )


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_cnn.*moving_mnist.*nobody"):
        ratm_tf.load_pretrained("nobody")
