r"""Trains RATM to follow a moving MNIST digit (section 5.2 of the paper).

Needs no flags. Writes to MODEL_DIR the trained model (model.keras), its IoU on test
sequences (metrics.json), a picture of tracked test sequences (film_strip.png) and
TensorBoard logs; started again after an interruption, it goes on from the last epoch.

python experiments/train_mnist.py --model_dir=/tmp/ratm_mnist
"""

import json
import pathlib

import keras
from absl import app, flags

import ratm_tf
from ratm_tf.callbacks import Throughput, TrackedSequences
from ratm_tf.datasets import moving_mnist, throughput
from ratm_tf.objectives import LocalizationLoss, PixelLoss

FRAME_SIZE = (100, 100)
BATCH_SIZE = 32
TRAIN_FRAMES, TEST_FRAMES = 10, 30
STEPS_PER_EPOCH = 100

_PRESET = flags.DEFINE_enum(
    "preset",
    "fast",
    ["fast", "paper"],
    "The recipe: 'fast' trains a GRU on boxes and pixels with Adam; 'paper' is the "
    "paper's, an IRNN on grid centres and digit classes with SGD.",
)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    f"Training steps, in whole epochs of {STEPS_PER_EPOCH} (default: the preset's).",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the weights and the sequences.")
_MODEL_DIR = flags.DEFINE_string("model_dir", "runs/mnist", "Output folder.")
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
)
_IMPLEMENTATION = flags.DEFINE_enum(
    "implementation", "auto", ["auto", "fused", "tf"], "How to take glimpses."
)
_TEST_SEQUENCES = flags.DEFINE_integer(
    "test_sequences", 10_000, "Sequences of the final evaluation.", lower_bound=1
)


def fast_tracker(steps):
    """A GRU that learns the box and what to see in it, at first from a blurred view."""
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=keras.layers.GRUCell(100),
            initial_sigma=6.0,
            implementation=_IMPLEMENTATION.value,
        )
    )
    tracker.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(4e-3, steps), global_clipnorm=1.0
        ),
        loss={
            "corner_boxes": keras.losses.MeanAbsoluteError(),
            "glimpses": PixelLoss(),
        },
        loss_weights={"corner_boxes": 1.0, "glimpses": 30.0},
        metrics={"corner_boxes": ratm_tf.MeanIoU(), "boxes": ratm_tf.MeanIoU()},
    )
    return tracker


def paper_tracker(steps):
    """The paper's IRNN, objective and optimiser, whatever the number of steps."""
    del steps
    classifier = ratm_tf.load_pretrained("mnist_cnn")
    classifier.trainable = False
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(units=100, implementation=_IMPLEMENTATION.value),
        objectives={"class_probabilities": classifier},
    )
    tracker.compile(
        keras.optimizers.SGD(0.001, momentum=0.9, global_clipnorm=1.0),
        loss={
            "boxes": LocalizationLoss(FRAME_SIZE),
            "class_probabilities": keras.losses.MeanSquaredError(),
        },
        metrics={
            "corner_boxes": ratm_tf.MeanIoU(),
            "boxes": ratm_tf.MeanIoU(),
            "class_probabilities": keras.metrics.CategoricalAccuracy(name="accuracy"),
        },
    )
    return tracker


PRESETS = {"fast": (fast_tracker, 1_000), "paper": (paper_tracker, 32_000)}


def main(_):
    """Trains, evaluates and saves a tracker."""
    keras.utils.set_random_seed(_SEED.value)
    model_dir = pathlib.Path(_MODEL_DIR.value)
    build, steps = PRESETS[_PRESET.value]
    steps = _STEPS.value or steps
    epochs = -(-steps // STEPS_PER_EPOCH)

    tracker = build(steps)
    tracker.build({"frames": (None, None, *FRAME_SIZE, 1)})
    backup = model_dir / "backup"
    done = finished_epochs(model_dir, backup) * STEPS_PER_EPOCH
    train = sequences("train", TRAIN_FRAMES, BATCH_SIZE, start=done * BATCH_SIZE)
    test = sequences("test", TEST_FRAMES, 100, num_sequences=_TEST_SEQUENCES.value)
    tracker.summary()
    print(f"Data pipeline alone: {throughput(train) * BATCH_SIZE:,.0f} sequences/s")

    shown = {name: values[:4] for name, values in next(iter(test)).items()}
    logs = model_dir / "logs"
    tracker.fit(
        train.map(ratm_tf.labelled),
        steps_per_epoch=min(steps, STEPS_PER_EPOCH),
        epochs=epochs,
        shuffle=False,
        callbacks=[
            keras.callbacks.BackupAndRestore(
                backup, double_checkpoint=True, delete_checkpoint=False
            ),
            Throughput(BATCH_SIZE),
            keras.callbacks.TensorBoard(logs),
            TrackedSequences(shown, logs / "tracked", model_dir / "film_strip.png"),
        ],
    )
    tracker.save(model_dir / "model.keras")

    print(f"Testing on {_TEST_SEQUENCES.value:,} sequences of {TEST_FRAMES} frames")
    metrics = ratm_tf.evaluate(tracker, test, [(1, TRAIN_FRAMES), (1, TEST_FRAMES)])
    metrics |= {
        "preset": _PRESET.value,
        "steps": int(tracker.optimizer.iterations),
        "seed": _SEED.value,
    }
    (model_dir / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics))


def sequences(split, num_frames, batch_size, **options):
    """Moving MNIST as the flags have it."""
    return moving_mnist(
        split,
        num_frames=num_frames,
        batch_size=batch_size,
        seed=_SEED.value,
        frame_size=FRAME_SIZE,
        mnist_path=_MNIST_PATH.value,
        **options,
    )


def finished_epochs(model_dir, backup):
    """How many epochs an earlier run of these flags in this folder had finished."""
    run = {"preset": _PRESET.value, "seed": _SEED.value}
    note = model_dir / "run.json"
    if note.exists() and json.loads(note.read_text()) != run:
        raise app.UsageError(
            f"--model_dir={model_dir} holds another run, {note.read_text().strip()}. "
            "Choose another folder or remove this one."
        )
    model_dir.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(run) + "\n")
    progress = backup / "training_metadata.json"
    if not progress.exists():
        return 0
    epochs = json.loads(progress.read_text())["epoch"]
    print(f"Resuming in {model_dir} after epoch {epochs}")
    return epochs


if __name__ == "__main__":
    app.run(main)
