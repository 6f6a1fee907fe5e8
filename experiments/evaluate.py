r"""Measures a tracker on test sequences and prints one JSON object.

python experiments/evaluate.py --model=pretrained:moving_mnist --dataset=moving_mnist
"""

import contextlib
import json
import sys

import keras
from absl import app, flags

import ratm_tf
from ratm_tf.datasets import moving_mnist

_MODEL = flags.DEFINE_string(
    "model", None, "A .keras file, or pretrained:NAME.", required=True
)
_SEQUENCES = flags.DEFINE_integer(
    "sequences",
    None,
    "Test sequences (default: as the paper).",
    lower_bound=1,
)
_FRAMES = flags.DEFINE_integer(
    "frames", None, "Frames of each sequence (default: the paper's).", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the test sequences.")
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
)


def digits(num_digits, num_sequences):
    """Moving MNIST: the length that trackers are trained on, and the whole length."""
    frames = _FRAMES.value or 30
    dataset = moving_mnist(
        "test",
        num_frames=frames,
        num_digits=num_digits,
        batch_size=100,
        num_sequences=_SEQUENCES.value or num_sequences,
        seed=_SEED.value,
        mnist_path=_MNIST_PATH.value,
    )
    return dataset, sorted({(1, min(10, frames)), (1, frames)})


DATASETS = {
    "moving_mnist": lambda: digits(num_digits=1, num_sequences=10_000),
    "moving_mnist_two_digits": lambda: digits(num_digits=2, num_sequences=5_000),
}
_DATASET = flags.DEFINE_enum(
    "dataset", "moving_mnist", list(DATASETS), "What to track."
)


def main(_):
    """Evaluates; progress goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        kind, _, name = _MODEL.value.partition(":")
        if kind == "pretrained":
            tracker = ratm_tf.load_pretrained(name)
        else:
            tracker = keras.saving.load_model(_MODEL.value, compile=False)
        metrics = ratm_tf.evaluate(tracker, *DATASETS[_DATASET.value]())
    report = {
        "model": _MODEL.value,
        "dataset": _DATASET.value,
        "seed": _SEED.value,
    }
    print(json.dumps(report | metrics))


if __name__ == "__main__":
    app.run(main)
