r"""Measures a tracker on test sequences and prints one JSON object.

ratm-tf evaluate --model=pretrained:moving_mnist --dataset=moving_mnist
"""

import contextlib
import json
import sys

from absl import flags

from ratm_tf.cli import tracker

flags.adopt_module_key_flags(tracker)
flags.mark_flag_as_required("model")
_DATASET = flags.DEFINE_enum(
    "dataset",
    "moving_mnist",
    [
        "bouncing_balls",
        "kth",
        "moving_mnist",
        "moving_mnist_two_digits",
        "otb",
        "people",
    ],
    "What to track.",
)
_SEQUENCES = flags.DEFINE_integer(
    "sequences", None, "Test sequences (default: as the paper).", lower_bound=1
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
_FILM_STRIP_EVERY = flags.DEFINE_integer(
    "film_strip_every", 3, "Draw every so many frames.", lower_bound=1
)
_FILM_STRIP = flags.DEFINE_string(
    "film_strip",
    None,
    "Where to draw the first sequences tracked, a .png or .jpg file.",
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
_NAMES = flags.DEFINE_list(
    "names", None, "Those to track, such as Couple,Jogging.2 (default: all there are)."
)


def recipe(starts_on_target):
    """The recipe whose test sequences the flags ask for.

    Args:
        starts_on_target: whether a ball's tracker is told where to look first.
    """
    from ratm_tf import recipes

    changes = {"test_frames": _FRAMES.value, "test_sequences": _SEQUENCES.value}
    changes = {name: value for name, value in changes.items() if value is not None}
    match _DATASET.value:
        case "bouncing_balls":
            return recipes.bouncing_balls(random_window=starts_on_target, **changes)
        case "moving_mnist" | "moving_mnist_two_digits" as name:
            digits = 1 if name == "moving_mnist" else 2
            return recipes.moving_mnist(
                digits, mnist_path=_MNIST_PATH.value, sample=True, **changes
            )
        case "people":
            return recipes.people(pennfudan_path=_PENNFUDAN_PATH.value, **changes)
        case "kth":
            return recipes.people(
                "kth",
                test_subject=_TEST_SUBJECT.value,
                kth_dir=_KTH_DIR.value,
                skip_bad=_SKIP_BAD.value,
            )


def otb_beginnings():
    """The sequences of TB-100 that the flags ask for, whole or their first frames."""
    from ratm_tf.datasets import otb_sequences
    from ratm_tf.datasets.parts import PER_FRAME

    def beginning(example):
        cut = {name: example[name][: _FRAMES.value] for name in PER_FRAME}
        return example | cut

    return otb_sequences(_OTB_DIR.value, _NAMES.value).map(beginning)


def main(_):
    """Evaluates; progress goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        import ratm_tf

        loaded = tracker.load_tracker()
        if _DATASET.value == "otb":  # whole sequences, one at a time
            dataset = otb_beginnings().batch(1)
            length = _FRAMES.value or 100
            spans = [(1, last) for last in (10, 50, 100) if last <= length]
            spans, average, known = [*spans, None], "sequences", {}
        else:
            tested = recipe(loaded.starts_on_target)
            dataset = tested.test_data(seed=_SEED.value)
            spans, average = tested.spans, "frames"
            known = tested.oracle_iou(seed=_SEED.value)
        metrics = ratm_tf.evaluate(loaded, dataset, spans, average=average)
        if _FILM_STRIP.value:
            first = {name: values[:4] for name, values in next(iter(dataset)).items()}
            ratm_tf.visualize.save_image(
                _FILM_STRIP.value,
                ratm_tf.visualize.tracked_film_strip(
                    loaded, first, _FILM_STRIP_EVERY.value
                ),
            )
    report = {
        "model": tracker.MODEL.value,
        "dataset": _DATASET.value,
        "seed": _SEED.value,
        "average": average,
    }
    print(json.dumps(report | metrics | known))
