"""Trains a tracker so that an interrupted training goes on where it stopped."""

import json
import pathlib

import keras

from ratm_tf.callbacks import Throughput, TrackedSequences
from ratm_tf.datasets import throughput


def train(
    tracker,
    sequences,
    *,
    model_dir,
    run,
    steps,
    batch_size,
    shown,
    steps_per_epoch=100,
    validation_data=None,
    callbacks=(),
):
    """Fits a tracker with checkpoints, TensorBoard logs and pictures.

    Everything goes to `model_dir`: the trained model (`model.keras`), pictures of
    tracked sequences (`film_strip.png`, one per epoch in the logs), TensorBoard logs
    (`logs`), the last finished epoch (`backup`) and what run it is (`run.json`). Called
    again with the same arguments after an interruption, it goes on after the last
    finished epoch, on the sequences that come next.

    Args:
        tracker: a compiled and built `ratm_tf.Tracker`.
        sequences: function of a sequence's index that returns an endless, batched
            `tf.data.Dataset` of what `Tracker.fit` takes, from that sequence on.
        model_dir: output folder, made if need be.
        run: dict of JSON values that tell one run from another, such as the seed.
        steps: number of training steps, rounded up to whole epochs.
        batch_size: sequences per step.
        shown: batched example of `ratm_tf.datasets`, the sequences to draw.
        steps_per_epoch: training steps between two checkpoints.
        validation_data: finite, batched `tf.data.Dataset` of what `Tracker.fit` takes.
        callbacks: more `keras.callbacks.Callback`s.

    Returns:
        The `keras.callbacks.History` of the epochs of this call.

    Raises:
        ValueError: if `model_dir` holds another run.

    Example:
    >>> import tempfile
    >>> tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, glimpse_size=(8, 8)))
    >>> tracker.compile("sgd", loss={"boxes": "mae"})
    >>> tracker.build({"frames": (None, None, 50, 50, 1)})
    >>> def sequences(start):
    ...     return ratm_tf.datasets.moving_mnist(
    ...         "train", num_frames=4, batch_size=2, start=start, frame_size=(50, 50)
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
    model_dir = pathlib.Path(model_dir)
    backup, logs = model_dir / "backup", model_dir / "logs"
    steps_per_epoch = min(steps, steps_per_epoch)
    done = _finished_epochs(model_dir, backup, run) * steps_per_epoch
    dataset = sequences(done * batch_size)
    tracker.summary()
    print(f"Data pipeline alone: {throughput(dataset) * batch_size:,.0f} sequences/s")
    history = tracker.fit(
        dataset,
        steps_per_epoch=steps_per_epoch,
        epochs=-(-steps // steps_per_epoch),
        shuffle=False,
        validation_data=validation_data,
        callbacks=[
            keras.callbacks.BackupAndRestore(
                backup, double_checkpoint=True, delete_checkpoint=False
            ),
            Throughput(batch_size),
            keras.callbacks.TensorBoard(logs),
            TrackedSequences(shown, logs / "tracked", model_dir / "film_strip.png"),
            *callbacks,
        ],
    )
    tracker.save(model_dir / "model.keras")
    return history


def _finished_epochs(model_dir, backup, run):
    note = model_dir / "run.json"
    if note.exists() and json.loads(note.read_text()) != run:
        raise ValueError(
            f"Expected `model_dir` {model_dir} to be new or to hold the run "
            f"{json.dumps(run)}. It holds another run, {note.read_text().strip()}."
        )
    model_dir.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(run) + "\n")
    progress = backup / "training_metadata.json"
    if not progress.exists():
        return 0
    epochs = json.loads(progress.read_text())["epoch"]
    print(f"Resuming in {model_dir} after epoch {epochs}")
    return epochs
