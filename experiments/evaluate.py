r"""Measures a tracker on test sequences and prints one JSON object.

python experiments/evaluate.py --model=pretrained:moving_mnist --dataset=moving_mnist
"""

import contextlib
import json
import sys

import trained
from absl import app, flags

import ratm_tf
from ratm_tf.datasets import bouncing_balls, kth, moving_mnist, otb, people
from ratm_tf.evaluation import tracker_inputs
from ratm_tf.visualize import film_strip, save_image

flags.adopt_module_key_flags(trained)
flags.mark_flag_as_required("model")
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
_FILM_STRIP = flags.DEFINE_string(
    "film_strip", None, "Where to draw the first sequences tracked, as a PNG file."
)
_KTH_DIR = flags.DEFINE_string(
    "kth_dir", "data/kth", "KTH's videos and KTHBoundingBoxInfo.txt."
)
_TEST_SUBJECT = flags.DEFINE_integer("test_subject", 1, "The KTH subject to track.")
_SKIP_BAD = flags.DEFINE_bool(
    "skip_bad", False, "Leave out KTH sequences that cannot be read, each with a log."
)
_PENNFUDAN_PATH = flags.DEFINE_string(
    "pennfudan_path", None, "The Penn-Fudan database (default: download it)."
)
_OTB_DIR = flags.DEFINE_string("otb_dir", "data/otb", "Sequences of TB-100.")


def balls():
    """Bouncing balls: all frames that trackers are trained on, and the last one."""
    frames = _FRAMES.value or 32
    dataset = bouncing_balls(
        "test",
        num_frames=frames,
        batch_size=100,
        num_sequences=_SEQUENCES.value or 10_000,
        seed=_SEED.value,
    )
    return dataset, sorted({(1, min(32, frames)), (1, frames), (frames, frames)})


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


def kth_subject():
    """All sequences of one subject, whole."""
    dataset = kth(
        "test",
        data_dir=_KTH_DIR.value,
        test_subject=_TEST_SUBJECT.value,
        skip_bad=_SKIP_BAD.value,
    )
    return dataset.padded_batch(16), [(1, 10), (1, 30), None]


def kth_like_people():
    """Cut-out people with boxes as a detector gives them, as KTH's are."""
    frames = _FRAMES.value or 30
    dataset = people(
        "test",
        num_frames=frames,
        num_sequences=_SEQUENCES.value or 2_000,
        batch_size=50,
        seed=_SEED.value,
        pennfudan_path=_PENNFUDAN_PATH.value,
    )
    dataset = dataset.map(lambda e: e | {"boxes": e["detected_boxes"]})
    return dataset, [(1, min(10, frames)), None]


def tb_100():
    """Whole sequences, one at a time."""
    return otb(_OTB_DIR.value).batch(1), [(1, 10), (1, 50), (1, 100), None]


DATASETS = {
    "bouncing_balls": balls,
    "kth": kth_subject,
    "moving_mnist": lambda: digits(num_digits=1, num_sequences=10_000),
    "moving_mnist_two_digits": lambda: digits(num_digits=2, num_sequences=5_000),
    "otb": tb_100,
    "people": kth_like_people,
}
_DATASET = flags.DEFINE_enum(
    "dataset", "moving_mnist", list(DATASETS), "What to track."
)


def draw(tracker, example, path, sequences=4, every=3):
    """Draws true and predicted boxes, as training does."""
    outputs = tracker.predict_on_batch(tracker_inputs(example))
    shown = example["frames"], outputs["glimpses"], outputs["boxes"], example["boxes"]
    strip = film_strip(*(values[:sequences, ::every] for values in shown))
    save_image(path, strip)


def main(_):
    """Evaluates; progress goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        tracker = trained.load_tracker()
        dataset, spans = DATASETS[_DATASET.value]()
        metrics = ratm_tf.evaluate(tracker, dataset, spans)
        if _FILM_STRIP.value:
            draw(tracker, next(iter(dataset)), _FILM_STRIP.value)
    report = {
        "model": trained.MODEL.value,
        "dataset": _DATASET.value,
        "seed": _SEED.value,
    }
    print(json.dumps(report | metrics))


if __name__ == "__main__":
    app.run(main)
