"""Trains a tracker so that an interrupted training goes on where it stopped."""

import json
import pathlib

import keras

from ratm_tf.datasets.rate import throughput
from ratm_tf.training.best_weights import keep_best
from ratm_tf.training.callbacks import Throughput, TrackedSequences
from ratm_tf.training.provenance import provenance
from ratm_tf.visualize import save_image, tracked_film_strip


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
    patience=None,
    callbacks=(),
):
    """Fits a tracker with checkpoints, TensorBoard logs and pictures.

    Everything goes to `model_dir`: the trained model (`model.keras`), a picture of what
    it tracks (`film_strip.png`, and one per epoch in the logs), TensorBoard logs
    (`logs`), the last finished epoch (`backup`), the best weights (`best.weights.h5`)
    and what run it is (`run.json`: `run`, and the versions and the commit that it began
    with). Called again with the same arguments after an interruption, it goes on after
    the last finished epoch, on the sequences that come next.

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
        patience: with validation data, epochs without a better corner IoU on them
            before training stops. The tracker is then left, drawn and saved with its
            best weights; it must have been compiled with a `MeanIoU` on `corner_boxes`.
            None trains to the end, and takes the last weights.
        callbacks: more `keras.callbacks.Callback`s.

    Returns:
        The `keras.callbacks.History` of the epochs of this call.

    Raises:
        ValueError: if `model_dir` holds another run, or there is a `patience` and no
            validation data.

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
    model_dir = pathlib.Path(model_dir)
    backup, logs = model_dir / "backup", model_dir / "logs"
    best = model_dir / "best.weights.h5"
    steps_per_epoch = min(steps, steps_per_epoch)
    done = _finished_epochs(model_dir, backup, run) * steps_per_epoch
    dataset = sequences(done * batch_size)
    tracker.summary()
    print(f"Data pipeline alone: {throughput(dataset) * batch_size:,.0f} sequences/s")
    callbacks = list(callbacks)
    if patience is not None:
        callbacks += keep_best(
            tracker,
            best,
            monitor="val_corner_boxes_iou",
            patience=patience,
            validation_data=validation_data,
        )
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
            TrackedSequences(shown, logs / "tracked"),
            *callbacks,
        ],
    )
    if patience is not None:
        tracker.load_weights(best)
    tracker.save(model_dir / "model.keras")
    save_image(model_dir / "film_strip.png", tracked_film_strip(tracker, shown))
    return history


def _finished_epochs(model_dir, backup, run):
    note = model_dir / "run.json"
    # As it will be read again: JSON knows no tuples and no numbers of NumPy.
    run = json.loads(json.dumps(run, default=lambda number: number.item()))
    if note.exists():
        found = json.loads(note.read_text())["run"]
        differences = [
            f"{name}: {found.get(name)!r}, not {run.get(name)!r}"
            for name in found.keys() | run.keys()
            if repr(found.get(name)) != repr(run.get(name))  # NaN is not itself
        ]
        if differences:
            raise ValueError(
                f"Expected `model_dir` {model_dir} to be new or to hold this run. It "
                f"holds another run, with {'; '.join(sorted(differences))}"
            )
    else:
        model_dir.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"run": run} | provenance(), indent=2) + "\n")
    progress = backup / "training_metadata.json"
    if not progress.exists():
        return 0
    epochs = json.loads(progress.read_text())["epoch"]
    print(f"Resuming in {model_dir} after epoch {epochs}")
    return epochs
