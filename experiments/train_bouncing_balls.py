r"""Trains RATM to follow a bouncing ball (section 5.1 of the paper).

Needs no flags. Writes to MODEL_DIR the trained model (model.keras), its IoU on test
sequences (metrics.json), a picture of tracked test sequences (film_strip.png) and
TensorBoard logs; started again after an interruption, it goes on from the last epoch.

python experiments/train_bouncing_balls.py --penalty=last --model_dir=/tmp/ratm_balls
"""

import math

import keras
import program
import tensorflow as tf
from absl import app, flags

import ratm_tf
from ratm_tf.datasets import bouncing_balls
from ratm_tf.datasets.bouncing_balls.sequences import FRAME_SIZE, render
from ratm_tf.objectives import PixelLoss

FRAMES = 32
BATCH_SIZE = 16
EPOCH = 100_000 // BATCH_SIZE  # The paper's epochs, in steps.
GLIMPSE_SIZE = (5, 5)
UNITS = 64

# With the default preset, a penalty on the last frame is one on the fourth at first and
# on one frame later every 32 steps: the way to the last frame is long to learn at once.
FIRST_FRAMES, STEPS_PER_FRAME = 4, 32

flags.adopt_module_key_flags(program)
flags.FLAGS.set_default("test_sequences", 10_000)
_PENALTY = flags.DEFINE_enum(
    "penalty", "all", ["last", "all"], "The frames that the objective looks at."
)


def fast_tracker(steps):
    """A GRU that learns the ball's box, at first from a blurred view."""
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            glimpse_size=GLIMPSE_SIZE,
            recurrent_cell=keras.layers.GRUCell(UNITS),
            initial_sigma=4.0,
            implementation=program.IMPLEMENTATION.value,
        )
    )
    tracker.build({"frames": (None, None, *FRAME_SIZE, 1)})
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(4e-3, steps), global_clipnorm=1.0
    )
    loss = keras.losses.MeanAbsoluteError(reduction="mean_with_sample_weight")
    return tracker, optimizer, {"corner_boxes": loss}, None


def paper_tracker(steps):
    """The paper's IRNN and objective, the pixels of a ball, from a random window."""
    del steps
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            UNITS, GLIMPSE_SIZE, implementation=program.IMPLEMENTATION.value
        )
    )
    tracker.build({"frames": (None, None, *FRAME_SIZE, 1)})
    center = tf.random.uniform([2], -1.0, 1.0)
    stride = tf.random.uniform([2], 0.5, 1.0)
    tracker.cell.window_bias.assign(tf.concat([center, tf.ones([2]), stride], axis=0))
    optimizer = keras.optimizers.SGD(0.01, global_clipnorm=1.0)
    pixels = PixelLoss(reduction="mean_with_sample_weight")
    # Squared errors add up over pixels, as in the `mse` of the paper's published code;
    # Keras's losses are their mean.
    loss_weights = {"glimpses": math.prod(GLIMPSE_SIZE)}
    return tracker, optimizer, {"glimpses": pixels}, loss_weights


# The recipe, its steps and the steps between its checkpoints.
PRESETS = {
    "fast": (fast_tracker, 2_000, 100),
    "paper": (paper_tracker, 200 * EPOCH, EPOCH),
}


def main(_):
    """Trains, evaluates and saves a tracker."""
    keras.utils.set_random_seed(program.SEED.value)
    if program.MODEL_DIR.value is None:
        program.MODEL_DIR.value = f"runs/bouncing_balls_{_PENALTY.value}"
    build, steps, steps_per_epoch = PRESETS[program.PRESET.value]
    steps = program.STEPS.value or steps
    run = {
        "preset": program.PRESET.value,
        "penalty": _PENALTY.value,
        "seed": program.SEED.value,
    }

    tracker, optimizer, loss, loss_weights = build(steps)
    tracker.compile(
        optimizer,
        loss,
        loss_weights=loss_weights,
        weighted_metrics={
            "corner_boxes": ratm_tf.MeanIoU(),
            "boxes": ratm_tf.MeanIoU(),
        },
        # A step takes no longer than Python takes between two.
        steps_per_execution=math.gcd(50, min(steps, steps_per_epoch)),
    )
    num_tests = program.TEST_SEQUENCES.value
    test = sequences("test", batch_size=100, num_sequences=num_tests)
    ratm_tf.train(
        tracker,
        training_sequences,
        model_dir=program.MODEL_DIR.value,
        run=run,
        steps=steps,
        batch_size=BATCH_SIZE,
        steps_per_epoch=steps_per_epoch,
        shown={name: values[:4] for name, values in next(iter(test)).items()},
    )
    print(f"Testing on {num_tests:,} sequences of {FRAMES} frames")
    metrics = ratm_tf.evaluate(tracker, test, [(1, FRAMES), (FRAMES, FRAMES)])
    program.report(run | {"steps": int(tracker.optimizer.iterations)} | metrics)


def sequences(split, batch_size, **options):
    """Bouncing balls as the flags have it."""
    return bouncing_balls(
        split,
        num_frames=FRAMES,
        batch_size=batch_size,
        seed=program.SEED.value,
        **options,
    )


def training_sequences(start):
    """Endless inputs, labels and the weights of the frames under penalty."""
    grows = program.PRESET.value == "fast" and _PENALTY.value == "last"

    def labelled(step, example):
        length = FRAMES
        if grows:
            length = tf.minimum(FIRST_FRAMES + step // STEPS_PER_FRAME, FRAMES)
            example = {name: values[:, :length] for name, values in example.items()}
        inputs, labels = ratm_tf.labelled(example, GLIMPSE_SIZE)
        shape = tf.shape(labels["glimpses"])
        # A glimpse that lies pixel by pixel on a ball's centre.
        ball = tf.cast(render([[10.5, 10.5]])[8:13, 8:13], tf.float32) / 255.0
        labels["glimpses"] = tf.broadcast_to(ball, shape)
        if _PENALTY.value == "last":
            weights = tf.one_hot(length - 1, tf.cast(length, tf.int32))
        else:
            weights = tf.ones([length])
        return inputs, labels, tf.broadcast_to(weights, shape[:2])

    batches = sequences("train", BATCH_SIZE, start=start)
    return batches.enumerate(start // BATCH_SIZE).map(labelled)


if __name__ == "__main__":
    app.run(main)
