"""Trains a tracker so that an interrupted training goes on where it stopped."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from ratm_tf.datasets.rate import throughput
from ratm_tf.tracker import Tracker
from ratm_tf.training.callbacks import Throughput, TrackedSequences
from ratm_tf.training.checkpoints import Checkpoints
from ratm_tf.training.run_folder import run_folder
from ratm_tf.training.workers import (
    as_the_chief,
    fit,
    from_chief,
    is_chief,
    prepare,
)
from ratm_tf.types import Example, Path
from ratm_tf.visualize import save_image, tracked_film_strip


def train(
    tracker: Tracker,
    sequences: Callable[..., tf.data.Dataset],
    *,
    model_dir: Path,
    run: dict[str, object],
    steps: int,
    batch_size: int,
    shown: Example,
    steps_per_epoch: int = 100,
    validation_data: tf.data.Dataset | None = None,
    patience: int | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Fits a tracker with checkpoints, TensorBoard logs and pictures.

    Everything goes to `model_dir`: the trained model (`model.keras`), a picture of what
    it tracks (`film_strip.png`, and one per epoch in the logs), TensorBoard logs
    (`logs`), the last finished epochs and the best one (`checkpoints`), and what run it
    is (`run.json`: `run`, the batch size, and the versions and the commit that it began
    with). Called again with the same arguments after an interruption of any kind, it
    goes on after the last finished epoch, on the sequences that come next.

    A tracker that was made in the `scope()` of a `tf.distribute` strategy, see
    `make_strategy`, is trained by that: every worker calls this function with the same
    arguments, each step's sequences are shared out among them, and the chief, the first
    one, alone writes to its `model_dir`. The losses are those of one worker. What was
    begun by some number of workers goes on with any other.

    Args:
        tracker: a compiled and built `ratm_tf.Tracker`.
        sequences: function of a sequence's index that returns an endless, batched
            `tf.data.Dataset` of what `Tracker.fit` takes, from that sequence on; with
            a strategy also of `step` and `batch_size`, for each `step`-th sequence from
            that one on, in such batches.
        model_dir: output folder, made if need be.
        run: dict of JSON values that tell one run from another, such as the seed.
        steps: number of training steps, rounded up to whole epochs.
        batch_size: sequences per step.
        shown: batched example of `ratm_tf.datasets`, the sequences to draw.
        steps_per_epoch: training steps between two checkpoints; all of `steps` if they
            are fewer. A run keeps that of its first call.
        validation_data: finite, batched `tf.data.Dataset` of what `Tracker.fit` takes.
        patience: with validation data, epochs without a better corner IoU on them
            before training stops. The tracker is then left, drawn and saved with its
            best weights; it must have been compiled with a `MeanIoU` on `corner_boxes`.
            None trains to the end, and takes the last weights.
        callbacks: more `keras.callbacks.Callback`s, of every worker.

    Returns:
        The `keras.callbacks.History` of the epochs of this call.

    Raises:
        ValueError: if `model_dir` holds another run, there is a `patience` and no
            validation data, or a batch cannot be split among the workers.
        RuntimeError: if another process trains in `model_dir`, or a worker is gone.
        NotFinite: if the loss or the weights are not finite; the epochs before are
            kept.

    Example:
    >>> import tempfile
    >>> tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, glimpse_size=(5, 5)))
    >>> tracker.compile("sgd", loss={"boxes": "mae"})
    >>> tracker.build({"frames": (None, None, 20, 20, 1)})
    >>> def sequences(start):
    ...     return ratm_tf.datasets.bouncing_balls_sequences(
    ...         "train", num_frames=4, batch_size=2, start=start
    ...     )
    >>> history = ratm_tf.train(
    ...     tracker, lambda start: sequences(start).map(ratm_tf.labelled),
    ...     model_dir=tempfile.mkdtemp(), run={"seed": 0}, steps=3, batch_size=2,
    ...     shown=next(iter(sequences(0))),
    ... )
    Model: ...
    >>> len(history.history["loss"])
    1
    """
    if patience is not None and validation_data is None:
        raise ValueError("Expected `validation_data` with `patience`. Received: None")
    folder, callbacks = pathlib.Path(model_dir), list(callbacks)
    if is_chief(tracker.distribute_strategy):
        logs = folder / "logs"
        callbacks = [
            Throughput(batch_size),
            keras.callbacks.TensorBoard(logs),
            TrackedSequences(shown, logs / "tracked"),
            *callbacks,
        ]

    def begin(dataset):
        rate = throughput(dataset, min(steps, 100)) * batch_size
        print(f"Data pipeline alone: {rate:,.0f} sequences/s")

    def end():
        aside = folder / f"writing_{os.getpid()}.keras"
        tracker.save(aside)
        aside.replace(folder / "model.keras")
        save_image(folder / "film_strip.png", tracked_film_strip(tracker, shown))

    return train_model(
        tracker,
        sequences,
        model_dir=folder,
        run=run,
        steps=steps,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation_data,
        monitor=None if patience is None else "val_corner_boxes_iou",
        patience=patience,
        callbacks=callbacks,
        begin=begin,
        end=end,
    )


def train_model(
    model: keras.Model,
    sequences: Callable[..., tf.data.Dataset],
    *,
    model_dir: Path,
    run: dict[str, object],
    steps: int,
    batch_size: int,
    steps_per_epoch: int,
    validation_data: tf.data.Dataset | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    begin: Callable[[tf.data.Dataset], None] = lambda dataset: None,
    end: Callable[[], None] = lambda: None,
) -> keras.callbacks.History:
    """Fits a model of any kind as `train` does a tracker: what the two share.

    Args:
        model: a compiled and built `keras.Model`, made in the `scope()` of the strategy
            that trains it.
        sequences: see `train`; of what the model's `fit` takes.
        model_dir: see `train`.
        run: see `train`.
        steps: see `train`.
        batch_size: see `train`.
        steps_per_epoch: see `train`.
        validation_data: see `train`.
        monitor: see `Checkpoints`.
        patience: see `Checkpoints`.
        callbacks: of this worker.
        begin: function of the first worker's dataset that the chief calls before it
            trains.
        end: function that the chief calls once the model has its best weights.

    Returns:
        The `keras.callbacks.History` of the epochs of this call.

    Raises:
        ValueError: see `train`.
        RuntimeError: see `train`.
        NotFinite: see `train`.

    Example:
    >>> import tempfile
    >>> from ratm_tf.training.train import train_model
    >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> data = tf.data.Dataset.from_tensors((tf.zeros([2, 3]), tf.zeros([2, 1])))
    >>> history = train_model(
    ...     model, lambda start: data.repeat(), model_dir=tempfile.mkdtemp(),
    ...     run={"seed": 0}, steps=2, batch_size=2, steps_per_epoch=1,
    ... )
    Model: ...
    >>> history.epoch
    [0, 1]
    """
    strategy = model.distribute_strategy
    chief = is_chief(strategy)
    prepare(strategy, model)
    callbacks = list(callbacks)
    with contextlib.ExitStack() as stack:
        if chief:
            folder = stack.enter_context(
                run_folder(model_dir, run | {"batch_size": batch_size})
            )
            checkpoints = Checkpoints(
                folder / "checkpoints",
                monitor=monitor,
                patience=patience,
                steps_per_epoch=max(min(steps, steps_per_epoch), 1),
            )
            callbacks = [checkpoints, *callbacks]

        def restored():
            checkpoints.restore(model)
            if checkpoints.epoch:
                print(f"Resuming in {folder} after epoch {checkpoints.epoch}")
            model.summary()
            return checkpoints.epoch, checkpoints.steps_per_epoch, checkpoints.finished

        done, steps_per_epoch, finished = from_chief(strategy, restored)
        as_the_chief(strategy, model)
        start = done * steps_per_epoch * batch_size
        dataset = sequences(start)
        if chief:
            begin(dataset)
        options = {
            "steps_per_epoch": steps_per_epoch,
            "initial_epoch": done,
            "epochs": done if finished else -(-steps // steps_per_epoch),
            "validation_data": validation_data,
            "callbacks": callbacks,
        }
        if strategy.num_replicas_in_sync > 1:
            history = fit(
                model, sequences, start=start, batch_size=batch_size, **options
            )
        else:
            history = model.fit(dataset, shuffle=False, **options)
        if chief:
            checkpoints.restore_best(model)
            end()
        as_the_chief(strategy, model)
    return history
