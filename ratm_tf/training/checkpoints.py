"""What a training leaves behind at the end of an epoch, whole or not at all."""

import hashlib
import json
import math
import os
import pathlib
import shutil
from typing import Any

import keras
import numpy as np
from absl import logging

from ratm_tf.types import Path

_WEIGHTS, _PROGRESS = "model.weights.h5", "progress.json"


class NotFinite(ArithmeticError):
    """A loss or weights that are not finite: training cannot go on from there."""


class Checkpoints(keras.callbacks.Callback):
    """Keeps weights, optimizer and progress together, so that training can go on.

    At the end of an epoch they are written aside and take their place by one renaming:
    whenever the process dies, what lies there is whole. The last two epochs are kept,
    and the best one. What is found damaged is set aside, and the last that is whole
    takes its place.

    With a `monitor` training stops once it gets no better, also when it was interrupted
    on the way; without, the last epoch is the best. A loss or weights that are not
    finite stop it, and never take the place of others.

    Args:
        folder: where to keep them, made if need be.
        monitor: name of a metric in the epoch's logs, the greater the better, such as
            `"val_accuracy"`.
        patience: with `monitor`, epochs without a better value before training stops.
        steps_per_epoch: of a training that begins; one that goes on keeps its own.

    Attributes:
        epoch: epochs that are finished.
        steps_per_epoch: steps of each of them.
        finished: whether training was stopped because it got no better.

    Raises:
        NotFinite: in training, with the step.

    Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> data = np.zeros([4, 3]), np.zeros([4, 1])
    >>> for _ in range(2):  # The second goes on where the first ended.
    ...     checkpoints = Checkpoints(folder)
    ...     checkpoints.restore(model)
    ...     history = model.fit(
    ...         *data, epochs=checkpoints.epoch + 2, initial_epoch=checkpoints.epoch,
    ...         callbacks=[checkpoints], verbose=0,
    ...     )
    >>> history.epoch
    [2, 3]
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None = None,
        patience: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__()
        self._folder = pathlib.Path(folder)
        self._monitor = monitor
        self._patience = patience
        self._progress: dict[str, Any] = {
            "epoch": 0,
            "steps_per_epoch": steps_per_epoch,
            "value": None,
            "best": None,
            "best_epoch": 0,
        }

    @property
    def epoch(self) -> int:
        """Epochs that are finished."""
        return self._progress["epoch"]

    @property
    def steps_per_epoch(self) -> int:
        """Steps of each epoch, those that are finished and those to come."""
        return self._progress["steps_per_epoch"]

    @property
    def finished(self) -> bool:
        """Whether training was stopped because it got no better."""
        waited = self.epoch - self._progress["best_epoch"]
        return self._patience is not None and waited >= self._patience

    def restore(self, model: keras.Model) -> None:
        """Gives a model the state of the last epoch that is whole, if there is one.

        Args:
            model: the compiled and built `keras.Model` that is to be trained.
        """
        for path in reversed(self._epochs()):
            progress = _whole(path)
            if progress is None:
                continue
            best = self._path(progress["best_epoch"])
            if best != path and _whole(best) is None:
                progress |= {
                    "best": progress["value"],
                    "best_epoch": progress["epoch"],
                }
            self._progress = progress
            _load(model, path)
            return

    def restore_best(self, model: keras.Model) -> None:
        """Gives a model the weights of the best epoch, or of the last one.

        Args:
            model: a `keras.Model` of the same weights.
        """
        if self.epoch:
            _load(model, self._path(self._progress["best_epoch"]))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise NotFinite(
                f"The loss is not finite in epoch {self._epoch + 1}, at step "
                f"{batch + 1} or before. {self._what_is_kept()}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not all(np.isfinite(weight).all() for weight in self.model.get_weights()):
            raise NotFinite(
                f"Weights are not finite after the last step of epoch {epoch + 1}. "
                f"{self._what_is_kept()}"
            )
        value = None
        if self._monitor is not None:
            value = float((logs or {})[self._monitor])
            if not math.isfinite(value):
                value = -math.inf
        progress = self._progress | {"epoch": epoch + 1, "value": value}
        best = progress["best"]
        if value is None or best is None or value > best:
            progress |= {"best": value, "best_epoch": epoch + 1}
        self._write(progress)
        self._progress = progress
        kept = {epoch, epoch + 1, progress["best_epoch"]}
        for path in self._epochs():
            if _number(path) not in kept:
                shutil.rmtree(path)
        if self.finished:
            self.model.stop_training = True

    def _what_is_kept(self):
        if not self.epoch:
            return "No epoch was finished: try a lower learning rate."
        return f"{self._folder} keeps epoch {self.epoch}, which was the last good one."

    def _path(self, epoch):
        return self._folder / f"epoch_{epoch:06d}"

    def _epochs(self):
        """The folders of finished epochs, the first one first."""
        return sorted(self._folder.glob("epoch_" + "[0-9]" * 6))

    def _write(self, progress):
        aside = self._folder / "writing"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        self.model.save_weights(aside / _WEIGHTS)
        content = (aside / _WEIGHTS).read_bytes()
        note = progress | {"sha256": hashlib.sha256(content).hexdigest()}
        (aside / _PROGRESS).write_text(json.dumps(note) + "\n")
        for path in (aside / _WEIGHTS, aside / _PROGRESS):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        target = self._path(progress["epoch"])
        if target.exists():  # left by a run whose later epochs were damaged
            shutil.rmtree(target)
        aside.rename(target)


def _whole(path):
    """The progress of an epoch's folder, or None if that is damaged and set aside."""
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        number = 0
        while (aside := path.with_name(f"damaged_{path.name}_{number}")).exists():
            number += 1
        if path.exists():
            path.rename(aside)
        logging.warning("%s is damaged (%s): it is now %s", path, error, aside)
        return None


def _read(path):
    progress = json.loads((path / _PROGRESS).read_text())
    content = (path / _WEIGHTS).read_bytes()
    if hashlib.sha256(content).hexdigest() != progress.pop("sha256"):
        raise ValueError("the weights are not those that were written")
    names = ("epoch", "steps_per_epoch", "value", "best", "best_epoch")
    return {name: progress[name] for name in names}


def _load(model, path):
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_weights)
    model.load_weights(path / _WEIGHTS)


def _number(path):
    return int(path.name.rpartition("_")[2])
