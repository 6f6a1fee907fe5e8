"""The flags that choose what a tracker is shown."""

import numpy as np
from absl import flags

DATASET = flags.DEFINE_enum(
    "dataset",
    "moving_mnist",
    [
        "bouncing_balls",
        "kth",
        "moving_mnist",
        "moving_mnist_two_digits",
        "otb",
        "people",
        "videos",
    ],
    "What to track.",
)
FRAMES = flags.DEFINE_integer(
    "frames", None, "Frames of each sequence (default: the paper's).", lower_bound=1
)
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
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
    "names",
    None,
    "Sequences of TB-100, such as Couple,Jogging.2 (default: all there are).",
)
_DATA = flags.DEFINE_string(
    "data", None, "Folder of one's own videos, with boxes beside them."
)
_SPLIT = flags.DEFINE_enum(
    "split",
    "test",
    ["train", "validation", "test", "all"],
    "Which of one's own videos: as `train` splits them with this seed, or all.",
)
_FIRST_FRAME = flags.DEFINE_integer(
    "first_frame", 0, "Number of the first frame in tables of boxes."
)


def is_recorded():
    """Whether sequences are recorded ones, each of its own size and length."""
    return DATASET.value in ("otb", "videos")


def recorded_sequences(channels, seed):
    """The recorded sequences that the flags ask for, or their first frames.

    Args:
        channels: 1 for grey frames, 3 for RGB.
        seed: of the splits.

    Returns:
        A finite dataset of batches of one, as `ratm_tf.datasets` has them.
    """
    from ratm_tf import datasets
    from ratm_tf.datasets.parts import PER_FRAME

    def beginning(example):
        cut = {name: example[name][: FRAMES.value] for name in PER_FRAME}
        return example | cut

    if DATASET.value == "otb":
        sequences = datasets.otb_sequences(_OTB_DIR.value, _NAMES.value, channels)
    else:
        sequences = datasets.videos(
            _data(),
            _SPLIT.value,
            seed=seed,
            channels=channels,
            first_frame=_FIRST_FRAME.value,
        )
    return sequences.map(beginning).batch(1)


def recorded_name(example):
    """The name of a sequence of `recorded_sequences`, for a file of its own."""
    if "name" in example:
        return example["name"].numpy()[0].decode()
    return _video_name(
        *(example[part].numpy()[0].decode() for part in ("video", "target"))
    )


def recorded_truths(seed):
    """The true boxes of the recorded sequences, without their frames.

    Args:
        seed: of the splits.

    Returns:
        Dict of float `[T, 4]` by the sequence's name, `(x1, y1, x2, y2)`; NaN where
        there is none.
    """
    from ratm_tf.datasets.annotated.folder import find_videos
    from ratm_tf.datasets.annotated.videos import split_of
    from ratm_tf.datasets.otb.annotations import read_boxes
    from ratm_tf.datasets.otb.sequences import find_targets

    if DATASET.value == "otb":
        targets = find_targets(_OTB_DIR.value, _NAMES.value)
        truths = {name: read_boxes(file) for name, _, file in targets}
    else:
        found = {v.name: v for v in find_videos(_data(), _FIRST_FRAME.value)}
        truths = {}
        for name in split_of(_SPLIT.value, list(found), seed):
            for target, rows in found[name].targets.items():
                first, last = rows[0].frame, rows[-1].frame
                boxes = np.full([last + 1 - first, 4], np.nan)
                boxes[[row.frame - first for row in rows]] = [r.xyxy for r in rows]
                truths[_video_name(name, target)] = boxes
    return {name: boxes[: FRAMES.value] for name, boxes in truths.items()}


def _data():
    if _DATA.value is None:
        raise ValueError(
            "Expected --data, a folder, for --dataset=videos. It is missing"
        )
    return _DATA.value


def _video_name(video, target):
    stem, dot, ending = video.rpartition(".")
    name = stem if dot and "/" not in ending else video
    return f"{name}.{target}" if target else name


def recipe(starts_on_target, **changes):
    """The recipe whose sequences the flags ask for.

    Args:
        starts_on_target: whether a ball's tracker is told where to look first.
        **changes: fields of the recipe with other values; None leaves one as it is.
    """
    from ratm_tf import recipes

    changes = {"test_frames": FRAMES.value} | changes
    changes = {name: value for name, value in changes.items() if value is not None}
    match DATASET.value:
        case "bouncing_balls":
            return recipes.bouncing_balls(
                penalty="all", random_window=starts_on_target, **changes
            )
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
        case name:
            raise ValueError(
                f"Expected --dataset to be one that trackers train on. Received: {name}"
            )
