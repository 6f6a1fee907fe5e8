import json

import keras
import numpy as np
import pytest

from ratm_tf.training import Checkpoints, NotFinite

DATA = np.zeros([4, 1], np.float32), np.zeros([4, 1], np.float32)


class Answers(keras.layers.Layer):
    """A single weight, which training moves from 0 on by one a step."""

    def build(self, shape):
        self.value = self.add_weight(shape=(), initializer="zeros", name="value")

    def call(self, inputs):
        return inputs * 0 + self.value


def make_model():
    model = keras.Sequential([keras.Input([1]), Answers()])
    slope = keras.optimizers.SGD(1.0, momentum=0.0)
    model.compile(slope, lambda true, predicted: -keras.ops.mean(predicted))
    return model


def value(model):
    return float(model.layers[-1].value)


class Score(keras.callbacks.Callback):
    """The best answer is 2."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_score"] = -abs(value(self.model) - 2.0)


def fit(folder, epochs, **options):
    """Trains as `ratm_tf.train` does; returns the model and the epochs of this call."""
    model, checkpoints = make_model(), Checkpoints(folder, **options)
    checkpoints.restore(model)
    history = model.fit(
        *DATA,
        initial_epoch=checkpoints.epoch,
        epochs=checkpoints.epoch if checkpoints.finished else epochs,
        callbacks=[Score(), checkpoints],
        verbose=0,
    )
    return model, checkpoints, history.epoch


def test_goes_on_after_the_last_epoch(tmp_path):
    assert value(fit(tmp_path, 3)[0]) == 3
    model, _, epochs = fit(tmp_path, 5)
    assert epochs == [3, 4] and value(model) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch_000004",
        "epoch_000005",
    ]


def test_a_training_keeps_its_epochs_length(tmp_path):
    assert fit(tmp_path, 1, steps_per_epoch=3)[1].steps_per_epoch == 3
    assert fit(tmp_path, 1, steps_per_epoch=100)[1].steps_per_epoch == 3


@pytest.mark.parametrize("moment", ["weights", "progress"])
def test_what_died_while_it_was_written_is_not_there(tmp_path, monkeypatch, moment):
    fit(tmp_path, 2)
    if moment == "weights":

        def save(self, path):
            path.write_bytes(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr(keras.Model, "save_weights", save)
    else:

        def dumps(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(json, "dumps", dumps)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, 3)
    monkeypatch.undo()
    model, _, epochs = fit(tmp_path, 3)
    assert epochs == [2] and value(model) == 3


@pytest.mark.parametrize("content", [b"", b"{", b"[]", None])
@pytest.mark.parametrize("name", ["progress.json", "model.weights.h5"])
def test_the_last_whole_epoch_takes_the_place_of_a_damaged_one(
    tmp_path, caplog, name, content
):
    fit(tmp_path, 3)
    damaged = tmp_path / "epoch_000003" / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)
    model, _, epochs = fit(tmp_path, 3)
    assert epochs == [2] and value(model) == 3
    assert (tmp_path / "damaged_epoch_000003_0").is_dir()
    assert "epoch_000003 is damaged" in caplog.text


def test_weights_of_another_epoch_are_damage(tmp_path):
    """One epoch's weights with another's progress would train on other data."""
    fit(tmp_path, 3)
    name = "model.weights.h5"
    older = (tmp_path / "epoch_000002" / name).read_bytes()
    (tmp_path / "epoch_000003" / name).write_bytes(older)
    assert fit(tmp_path, 3)[2] == [2]


def test_begins_anew_where_all_is_damaged(tmp_path):
    fit(tmp_path, 2)
    for path in tmp_path.glob("epoch_*/progress.json"):
        path.write_text("")
    model, _, epochs = fit(tmp_path, 2)
    assert epochs == [0, 1] and value(model) == 2


def test_the_best_is_kept_and_training_stops_after_it(tmp_path):
    watched = {"monitor": "val_score", "patience": 3}
    model, checkpoints, epochs = fit(tmp_path, 100, **watched)
    assert len(epochs) == 2 + 3 and value(model) == 5 and checkpoints.finished
    checkpoints.restore_best(model)
    assert value(model) == 2
    # Called again, it is over; interrupted on the way, it knows what it has seen.
    model, checkpoints, epochs = fit(tmp_path, 100, **watched)
    assert epochs == [] and checkpoints.finished
    checkpoints.restore_best(model)
    assert value(model) == 2


@pytest.mark.parametrize("interrupted_after", [1, 2, 3, 4])
def test_an_interruption_changes_neither_the_best_nor_the_end(
    tmp_path, interrupted_after
):
    watched = {"monitor": "val_score", "patience": 3}
    fit(tmp_path, interrupted_after, **watched)
    model, checkpoints, _ = fit(tmp_path, 100, **watched)
    assert value(model) == 5
    checkpoints.restore_best(model)
    assert value(model) == 2


def test_a_damaged_best_epoch_gives_way(tmp_path):
    watched = {"monitor": "val_score", "patience": 3}
    fit(tmp_path, 4, **watched)
    (tmp_path / "epoch_000002" / "progress.json").write_text("")
    model, checkpoints, _ = fit(tmp_path, 100, **watched)
    checkpoints.restore_best(model)
    assert value(model) == 4  # the best of those that are left


class Poison(keras.callbacks.Callback):
    """Makes the weight NaN in an epoch, at its first step or its last."""

    def __init__(self, epoch, first):
        super().__init__()
        self._epoch, self._first = epoch, first

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch == self._epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._now and batch == (0 if self._first else 3):
            self.model.layers[-1].value.assign(float("nan"))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (True, "loss is not finite in epoch 3, at step 2"),
        (False, "after the last step"),
    ],
)
def test_what_is_not_finite_ends_training_and_replaces_nothing(
    tmp_path, first, message
):
    def train(*callbacks):
        model, checkpoints = make_model(), Checkpoints(tmp_path)
        checkpoints.restore(model)
        model.fit(
            *DATA,
            batch_size=1,
            epochs=5,
            initial_epoch=checkpoints.epoch,
            callbacks=[*callbacks, checkpoints],
            verbose=0,
        )
        return model

    with pytest.raises(NotFinite, match=f"{message}.*keeps epoch 2"):
        train(Poison(2, first))
    assert np.isfinite(value(train()))
    assert value(train()) == 5 * 4


def test_a_first_epoch_that_is_not_finite_says_what_to_do(tmp_path):
    model = make_model()
    with pytest.raises(ArithmeticError, match="lower learning rate"):
        model.fit(
            *DATA,
            batch_size=1,
            callbacks=[Poison(0, True), Checkpoints(tmp_path)],
            verbose=0,
        )
