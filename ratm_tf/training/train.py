"""Trains a tracker so that an interrupted training goes on where it stopped."""

import contextlib
import os
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
    strategy = tracker.distribute_strategy
    chief = is_chief(strategy)
    prepare(strategy, tracker)
    callbacks = list(callbacks)
    with contextlib.ExitStack() as stack:
        if chief:
            folder = stack.enter_context(
                run_folder(model_dir, run | {"batch_size": batch_size})
            )
            checkpoints = Checkpoints(
                folder / "checkpoints",
                monitor=None if patience is None else "val_corner_boxes_iou",
                patience=patience,
                steps_per_epoch=min(steps, steps_per_epoch),
            )
            logs = folder / "logs"
            callbacks = [
                checkpoints,
                Throughput(batch_size),
                keras.callbacks.TensorBoard(logs),
                TrackedSequences(shown, logs / "tracked"),
                *callbacks,
            ]

        def restored():
            checkpoints.restore(tracker)
            if checkpoints.epoch:
                print(f"Resuming in {folder} after epoch {checkpoints.epoch}")
            tracker.summary()
            return checkpoints.epoch, checkpoints.steps_per_epoch, checkpoints.finished

        done, steps_per_epoch, finished = from_chief(strategy, restored)
        as_the_chief(strategy, tracker)
        epochs = done if finished else -(-steps // steps_per_epoch)
        start = done * steps_per_epoch * batch_size
        if chief:
            dataset = sequences(start)
            rate = throughput(dataset) * batch_size
            print(f"Data pipeline alone: {rate:,.0f} sequences/s")
        options = {
            "steps_per_epoch": steps_per_epoch,
            "initial_epoch": done,
            "epochs": epochs,
            "validation_data": validation_data,
            "callbacks": callbacks,
        }
        if strategy.num_replicas_in_sync > 1:
            history = fit(
                tracker, sequences, start=start, batch_size=batch_size, **options
            )
        else:
            history = tracker.fit(dataset, shuffle=False, **options)
        if chief:
            checkpoints.restore_best(tracker)
            aside = folder / f"writing_{os.getpid()}.keras"
            tracker.save(aside)
            aside.replace(folder / "model.keras")
            save_image(folder / "film_strip.png", tracked_film_strip(tracker, shown))
        as_the_chief(strategy, tracker)
    return history
