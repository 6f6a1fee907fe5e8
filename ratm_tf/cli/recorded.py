"""The flags that choose recorded sequences: those of TB-100, and one's own videos."""

import numpy as np
from absl import flags

from ratm_tf.cli import dataset

flags.declare_key_flag("dataset")
flags.declare_key_flag("frames")
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
STARTS = flags.DEFINE_enum(
    "starts",
    "first",
    ["first", "temporal", "spatial"],
    "Where to start: on the first box; at twenty frames of a sequence; or on twelve "
    "boxes that are a little off the first.",
)
_FIRST_FRAME = flags.DEFINE_integer(
    "first_frame", 0, "Number of the first frame in tables of boxes."
)


def chosen():
    """Whether sequences are recorded ones, each of its own size and length."""
    return dataset.DATASET.value in ("otb", "videos")


def sequences(channels, seed):
    """The recorded sequences that the flags ask for, or their first frames.

    Args:
        channels: 1 for grey frames, 3 for RGB.
        seed: of the splits.

    Returns:
        A finite dataset of batches of one, as `ratm_tf.datasets` has them.
    """
    from ratm_tf import datasets
    from ratm_tf.datasets import starts
    from ratm_tf.datasets.parts import PER_FRAME

    def beginning(example):
        cut = {name: example[name][: dataset.FRAMES.value] for name in PER_FRAME}
        return example | cut

    if dataset.DATASET.value == "otb":
        found = datasets.otb_sequences(_OTB_DIR.value, _NAMES.value, channels)
    else:
        found = datasets.videos(
            _data(),
            _SPLIT.value,
            seed=seed,
            channels=channels,
            first_frame=_FIRST_FRAME.value,
        )
    found = found.map(beginning)
    if STARTS.value != "first":
        ways = {"temporal": starts.temporal_starts, "spatial": starts.spatial_starts}
        found = found.flat_map(ways[STARTS.value])
    return found.batch(1)


def name_of(example):
    """The name of a sequence of `sequences`, for a file of its own."""
    if "name" in example:
        return example["name"].numpy()[0].decode()
    return _video_name(
        *(example[part].numpy()[0].decode() for part in ("video", "target"))
    )


def truths(seed):
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

    if dataset.DATASET.value == "otb":
        targets = find_targets(_OTB_DIR.value, _NAMES.value)
        true = {name: read_boxes(file) for name, _, file in targets}
    else:
        found = {v.name: v for v in find_videos(_data(), _FIRST_FRAME.value)}
        true = {}
        for name in split_of(_SPLIT.value, list(found), seed):
            for target, rows in found[name].targets.items():
                first, last = rows[0].frame, rows[-1].frame
                boxes = np.full([last + 1 - first, 4], np.nan)
                boxes[[row.frame - first for row in rows]] = [r.xyxy for r in rows]
                true[_video_name(name, target)] = boxes
    return {name: boxes[: dataset.FRAMES.value] for name, boxes in true.items()}


def _data():
    if _DATA.value is None:
        raise ValueError("Expected --data=DIR with --dataset=videos. Received: none")
    return _DATA.value


def _video_name(video, target):
    stem, dot, ending = video.rpartition(".")
    name = stem if dot and "/" not in ending else video
    return f"{name}.{target}" if target else name
