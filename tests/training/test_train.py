import json

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.visualize import tracked_film_strip

FRAMES = np.random.default_rng(0).integers(0, 256, [2, 7, 24, 30, 1], np.uint8)
BOXES = np.tile(np.float32([5, 6, 17, 18]), [2, 7, 1])
SHOWN = {"frames": FRAMES, "boxes": BOXES}
DATA = tf.data.Dataset.from_tensors(({"frames": FRAMES}, {"boxes": BOXES}))


def train(folder, rate=0.01, **options):
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, (6, 6)))
    tracker.compile(
        keras.optimizers.SGD(rate),
        loss={"boxes": "mae"},
        weighted_metrics={"corner_boxes": ratm_tf.MeanIoU()},
    )
    tracker.build({"frames": (None, None, 24, 30, 1)})
    options = {"run": {"seed": 0}, "steps": 4, "steps_per_epoch": 2} | options
    starts = []

    def sequences(start):
        starts.append(start)
        return DATA.repeat()

    history = ratm_tf.train(
        tracker, sequences, model_dir=folder, batch_size=2, shown=SHOWN, **options
    )
    return tracker, history, starts


def test_goes_on_where_it_stopped(tmp_path):
    whole, history, starts = train(tmp_path / "whole")
    assert len(history.epoch) == 2 and starts == [0]
    train(tmp_path / "parts", steps=2)
    resumed, history, starts = train(tmp_path / "parts", steps=4)
    assert history.epoch == [1] and starts == [4]
    for ours, theirs in zip(resumed.weights, whole.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_best_weights_are_those_returned_saved_and_drawn(tmp_path):
    # A rate so high that the first epoch is the best.
    tracker, history, _ = train(
        tmp_path, rate=30.0, steps=8, validation_data=DATA, patience=2
    )
    best = int(np.argmax(history.history["val_corner_boxes_iou"]))
    assert len(history.epoch) == best + 3
    values = tracker.evaluate(DATA, verbose=0, return_dict=True)
    expected = history.history["val_corner_boxes_iou"][best]
    assert values["corner_boxes_iou"] == pytest.approx(expected, abs=1e-6)
    assert expected != history.history["val_corner_boxes_iou"][-1]
    saved = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    for ours, theirs in zip(saved.weights, tracker.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    picture = cv2.imread(str(tmp_path / "film_strip.png"))[..., ::-1]
    np.testing.assert_array_equal(picture, tracked_film_strip(tracker, SHOWN))


def test_patience_needs_validation_data(tmp_path):
    with pytest.raises(ValueError, match="`validation_data`"):
        train(tmp_path, patience=3)


def test_another_run_is_refused_by_what_differs(tmp_path):
    train(tmp_path, steps=1, run={"seed": 0, "units": 8})
    with pytest.raises(ValueError, match="another run, with seed: 0, not 1$"):
        train(tmp_path, steps=1, run={"seed": 1, "units": 8})


@pytest.mark.parametrize(
    "run",
    [
        {"frame_size": (24, 30)},
        {"split": {1: 0.5}},
        {"clip": float("nan")},
        {"seed": np.int64(0)},
    ],
    ids=["tuple", "integer key", "NaN", "NumPy integer"],
)
def test_the_same_run_is_known_again(tmp_path, run):
    train(tmp_path, steps=1, run=run)
    _, history, _ = train(tmp_path, steps=1, run=run)
    assert not history.epoch
    note = json.loads((tmp_path / "run.json").read_text())
    assert set(note) == {"run", "versions", "git"}
