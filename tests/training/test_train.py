import time

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.training import NotFinite
from ratm_tf.visualize import tracked_film_strip
from tests import programs

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
    options = {
        "run": {"seed": 0},
        "steps": 4,
        "steps_per_epoch": 2,
        "batch_size": 2,
    } | options
    starts = []

    def sequences(start):
        starts.append(start)
        return DATA.repeat()

    history = ratm_tf.train(
        tracker, sequences, model_dir=folder, shown=SHOWN, **options
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


def test_a_run_that_stopped_stays_so(tmp_path):
    options = {"rate": 30.0, "steps": 8, "validation_data": DATA, "patience": 2}
    first, history, _ = train(tmp_path, **options)
    assert len(history.epoch) < 4
    again, history, _ = train(tmp_path, **options)
    assert not history.epoch
    for ours, theirs in zip(again.weights, first.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_length_of_epoch_skips_no_data(tmp_path):
    train(tmp_path, steps=1)
    _, history, starts = train(tmp_path, steps=4)
    assert history.epoch == [1, 2, 3] and starts == [2]


def test_another_batch_size_is_another_run(tmp_path):
    train(tmp_path, steps=1)
    with pytest.raises(ValueError, match="batch_size: 2, not 4"):
        train(tmp_path, steps=1, batch_size=4)


class Poison(keras.callbacks.Callback):
    """Makes a weight NaN in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            weight = self.model.trainable_variables[0]
            weight.assign(weight * float("nan"))


def test_what_is_not_finite_leaves_the_last_good_model(tmp_path):
    train(tmp_path, steps=2)
    with pytest.raises(NotFinite, match="epoch 2.*keeps epoch 1"):
        train(tmp_path, steps=8, callbacks=[Poison()])
    saved = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert all(np.isfinite(weight).all() for weight in saved.get_weights())


def test_a_rate_too_high_ends_training(tmp_path):
    with pytest.raises(NotFinite, match="lower learning rate"):
        train(tmp_path, steps=4, rate=float("inf"))
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(tmp_path):
    whole, _, _ = train(tmp_path / "whole", steps=20, steps_per_epoch=1)
    folder = tmp_path / "killed"
    options = {"steps": 20, "steps_per_epoch": 1}
    rng = np.random.default_rng(0)
    for _ in range(5):
        process = programs.CONTEXT.Process(target=train, args=(folder,), kwargs=options)
        process.start()
        while process.is_alive() and not (folder / "logs" / "train").exists():
            time.sleep(0.1)
        time.sleep(rng.uniform(0, 4))
        process.kill()
        process.join()
    train(folder, **options)
    trained = keras.saving.load_model(folder / "model.keras", compile=False)
    for ours, theirs in zip(trained.weights, whole.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
