r"""Trains RATM to follow a moving MNIST digit (section 5.2 of the paper).

With --digits=2 there are two, which bounce off each other; the tracker starts on one
and must not hop to the other.

Needs no flags. Writes to MODEL_DIR the trained model (model.keras), its IoU on test
sequences (metrics.json), a picture of tracked test sequences (film_strip.png) and
TensorBoard logs; started again after an interruption, it goes on from the last epoch.

python experiments/train_mnist.py --model_dir=/tmp/ratm_mnist
"""

import keras
import program
from absl import app, flags

import ratm_tf
from ratm_tf.datasets import moving_mnist
from ratm_tf.objectives import LocalizationLoss, PixelLoss

FRAME_SIZE = (100, 100)
BATCH_SIZE = 32
TRAIN_FRAMES, TEST_FRAMES = 10, 30

# W_rec of the paper's IRNN starts as this multiple of the identity. From 1 it learns to
# drift: windows fly off beyond the ten frames of training.
RECURRENT_SCALE = 0.9

flags.adopt_module_key_flags(program)
_DIGITS = flags.DEFINE_integer(
    "digits", 1, "Digits in each sequence.", lower_bound=1, upper_bound=2
)
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
)


def fast_tracker(steps):
    """A GRU that learns the box and what to see in it, at first from a blurred view."""
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=keras.layers.GRUCell(100), initial_sigma=6.0, **_cell()
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
    irnn = ratm_tf.IRNNCell(100, RECURRENT_SCALE)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(recurrent_cell=irnn, **_cell()),
        objectives={"class_probabilities": classifier},
    )
    tracker.compile(
        keras.optimizers.SGD(0.001, momentum=0.9, global_clipnorm=1.0),
        loss={
            "boxes": LocalizationLoss(FRAME_SIZE),
            "class_probabilities": keras.losses.MeanSquaredError(),
        },
        # Costs add up over the frames of a sequence; Keras's losses are their mean.
        loss_weights={"boxes": TRAIN_FRAMES, "class_probabilities": TRAIN_FRAMES},
        metrics={
            "corner_boxes": ratm_tf.MeanIoU(),
            "boxes": ratm_tf.MeanIoU(),
            "class_probabilities": keras.metrics.CategoricalAccuracy(name="accuracy"),
        },
    )
    return tracker


def _cell():
    """The attention's options that the recipes share."""
    return {
        "initial_window": "learned" if _DIGITS.value == 1 else "given",
        "implementation": program.IMPLEMENTATION.value,
    }


PRESETS = {"fast": fast_tracker, "paper": paper_tracker}
# By number of digits: steps of the presets, test sequences, output folder.
DEFAULTS = {
    1: ({"fast": 1_000, "paper": 32_000}, 10_000, "runs/mnist"),
    2: ({"fast": 2_000, "paper": 32_000}, 5_000, "runs/mnist_two_digits"),
}


def main(_):
    """Trains, evaluates and saves a tracker."""
    keras.utils.set_random_seed(program.SEED.value)
    steps, num_tests, model_dir = DEFAULTS[_DIGITS.value]
    flags.FLAGS.set_default("model_dir", model_dir)
    num_tests = program.TEST_SEQUENCES.value or num_tests
    steps = program.STEPS.value or steps[program.PRESET.value]
    run = {
        "digits": _DIGITS.value,
        "preset": program.PRESET.value,
        "seed": program.SEED.value,
    }

    tracker = PRESETS[program.PRESET.value](steps)
    tracker.build({"frames": (None, None, *FRAME_SIZE, 1)})
    test = sequences("test", TEST_FRAMES, 100, num_sequences=num_tests)
    ratm_tf.train(
        tracker,
        lambda start: sequences("train", TRAIN_FRAMES, BATCH_SIZE, start=start).map(
            ratm_tf.labelled
        ),
        model_dir=program.MODEL_DIR.value,
        run=run,
        steps=steps,
        batch_size=BATCH_SIZE,
        shown={name: values[:4] for name, values in next(iter(test)).items()},
    )
    print(f"Testing on {num_tests:,} sequences of {TEST_FRAMES} frames")
    metrics = ratm_tf.evaluate(tracker, test, [(1, TRAIN_FRAMES), (1, TEST_FRAMES)])
    program.report(run | {"steps": int(tracker.optimizer.iterations)} | metrics)


def sequences(split, num_frames, batch_size, **options):
    """Moving MNIST as the flags have it."""
    return moving_mnist(
        split,
        num_frames=num_frames,
        num_digits=_DIGITS.value,
        batch_size=batch_size,
        seed=program.SEED.value,
        frame_size=FRAME_SIZE,
        mnist_path=_MNIST_PATH.value,
        **options,
    )


if __name__ == "__main__":
    app.run(main)
