"""Videos of one's own, as a `tf.data` pipeline."""

import hashlib
import itertools
from typing import Literal

import numpy as np
import tensorflow as tf

from ratm_tf.boxes import xyxy_from_xywh
from ratm_tf.datasets.annotated import SPLITS
from ratm_tf.datasets.annotated.folder import find_videos
from ratm_tf.datasets.annotated.frames import read_frames
from ratm_tf.datasets.arguments import height_and_width, integer, one_of
from ratm_tf.datasets.parts import random_parts, whole_sequences
from ratm_tf.types import Path, Size

_HELD_OUT = 0.15  # of the videos, for validation, and again for tests


def videos(
    folder: Path,
    split: Literal["train", "validation", "test", "all"] = "all",
    *,
    num_frames: int | None = None,
    batch_size: int | None = None,
    frame_size: Size | None = None,
    num_sequences: int | None = None,
    start: int = 0,
    step: int = 1,
    seed: int = 0,
    channels: int = 1,
    first_frame: int = 0,
) -> tf.data.Dataset:
    """Builds sequences of the videos in a folder, with the boxes beside them.

    A sequence follows one target of a video, from its first box to its last. With
    `num_frames`, these are random parts of sequences, without an end unless
    `num_sequences` says so, which begin with a box; part `i` of a `seed` is always the
    same. Without, they are all sequences of the split as they are, once, in the order
    of the videos' names. Frames without a box, and those that pad sequences shorter
    than `num_frames` or than others of their batch, are told by `mask`.

    Boxes are a table `clip.csv` with a header such as `frame,x,y,w,h` for `clip.mp4` or
    for a folder `clip` of pictures; TB-100's `groundtruth_rect.txt`, the MOT
    Challenge's `gt/gt.txt`, the XML of CVAT, or the JSON of COCO with videos will do:
    see `ratm_tf.datasets.annotated.folder.find_videos` for where they lie, and
    `ratm_tf.datasets.annotated.annotations` for what is in them.

    The split's frames are read at once and kept in memory: at 120x160 and in grey,
    20 MB for a thousand frames of a target.

    Args:
        folder: where the videos are, themselves or in folders of it.
        split: "train", "validation" or "test", see `split_of`; or "all".
        num_frames: frames per sequence, T. Without it, whole sequences.
        batch_size: optional number of sequences per element, B; the last batch may be
            smaller. Without it, elements are single sequences.
        frame_size: (height, width) that frames are resized to together with their
            boxes; proportions are kept, and what is left, to the right or below, is
            black. None leaves frames as they are; `num_frames` and batches then need
            videos of one size.
        num_sequences: how many sequences; whole ones, at most.
        start: index of the first sequence.
        step: from one sequence's index to the next.
        seed: integer >= 0, chooses the split and the parts.
        channels: 1 for grey frames, 3 for RGB.
        first_frame: the number of the first frame in the column `frame` of tables.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, height, width, channels], 0..255;
        - `boxes`: float32 of shape [T, 4], (x1, y1, x2, y2) in pixels, edges included,
          as `ratm_tf.boxes` has them; zeros where there is none;
        - `initial_box`: float32 of shape [4], the first one;
        - `mask`: bool of shape [T], whether there is a box;
        - `video`, `target`: string scalars, the video's path in the folder, and the
          target's name in it, which is empty if there is but one without a name.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: another argument is out of its range, the split is empty, or a file
            cannot be understood, by file and line.

    Example:
    >>> def train_batches(folder):
    ...     return ratm_tf.datasets.videos(
    ...         folder, "train", num_frames=20, batch_size=16, frame_size=(120, 160)
    ...     )
    """
    start = integer("start", start, at_least=0)
    step = integer("step", step, at_least=1)
    first_frame = integer("first_frame", first_frame)
    one_of("channels", channels, (1, 3))
    if frame_size is not None:
        frame_size = height_and_width(frame_size, at_least=1)
    if num_sequences is not None:
        num_sequences = integer("num_sequences", num_sequences, at_least=1)
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, at_least=1)
    found = {video.name: video for video in find_videos(folder, first_frame)}
    names = split_of(split, list(found), seed)
    targets = [
        (found[name], target) for name in names for target in found[name].targets
    ]
    whole = num_frames is None
    if whole:
        if start >= len(targets):
            raise ValueError(
                f"Expected `start` to be less than the {len(targets)} sequences of "
                f"the split {split!r}. Received: {start}"
            )
        targets = targets[start::step][:num_sequences]
    examples = list(_examples(targets, frame_size, channels))
    sizes = {example["frames"].shape[1:3] for example in examples}
    if len(sizes) > 1 and not (whole and batch_size in (None, 1)):
        raise ValueError(
            "Expected a `frame_size`, for videos of several sizes. Received: None, for "
            f"{sorted(sizes)}"
        )
    if num_frames is None:
        dataset = whole_sequences(examples)
    else:
        dataset = random_parts(
            examples,
            num_frames=num_frames,
            num_sequences=num_sequences,
            start=start,
            step=step,
            seed=(seed, split),
        )
    if batch_size is not None:
        dataset = dataset.padded_batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def split_of(split, names, seed=0):
    """The videos of a split.

    They are drawn by their names, 15 % of them for validation and for tests each and
    one at least; more videos leave most where they are. If all of them lie in folders
    `train`, `validation` and `test`, these are the splits.

    Args:
        split: "train", "validation", "test", or "all".
        names: list of the videos' paths in their folder, with slashes.
        seed: integer >= 0.

    Returns:
        List of names in alphabetical order.

    Raises:
        ValueError: an argument is out of its range, or the split is empty.

    Example:
    >>> from ratm_tf.datasets.annotated.videos import split_of
    >>> names = [f"{number:02d}.mp4" for number in range(20)]
    >>> split_of("test", names)
    ['06.mp4', '12.mp4', '15.mp4']
    >>> split_of("test", ["train/a.mp4", "test/a.mp4"])
    ['test/a.mp4']
    """
    one_of("split", split, (*SPLITS, "all"))
    seed = integer("seed", seed, at_least=0)
    if split == "all":
        return sorted(names)
    folders = {name: name.partition("/")[0] for name in names}
    if set(folders.values()) <= {*SPLITS}:
        chosen = [name for name in names if folders[name] == split]
        if not chosen:
            raise ValueError(
                f"Expected videos in the folder {split}. Received: none, in "
                f"{', '.join(sorted(set(folders.values())))}"
            )
        return sorted(chosen)
    if len(names) < len(SPLITS):
        raise ValueError(
            "Expected three videos at least, one for each of the splits "
            f"{', '.join(SPLITS)}. Received: {', '.join(sorted(names))}"
        )

    def drawn(name):
        return hashlib.sha256(f"{seed} {name}".encode()).digest()

    names, held_out = sorted(names, key=drawn), max(1, round(_HELD_OUT * len(names)))
    return sorted(
        {
            "test": names[:held_out],
            "validation": names[held_out : 2 * held_out],
            "train": names[2 * held_out :],
        }[split]
    )


def _examples(targets, frame_size, channels):
    for video, of_video in itertools.groupby(targets, key=lambda pair: pair[0]):
        frames, scale = read_frames(video, frame_size, channels)
        for _, target in of_video:
            rows = video.targets[target]
            first, last = rows[0].frame, rows[-1].frame
            if last >= len(frames):
                raise ValueError(
                    f"{rows[-1].place}: Expected frames of {video.path}, which has "
                    f"{len(frames)}; `first_frame` says whether tables count from 0. "
                    f"Received: frame {last} from 0"
                )
            there = [row.frame - first for row in rows]
            boxes = np.zeros([last + 1 - first, 4], np.float32)
            mask = np.zeros(len(boxes), bool)
            mask[there] = True
            boxes[there] = xyxy_from_xywh([row.box for row in rows] * np.tile(scale, 2))
            yield {
                "frames": frames[first : last + 1],
                "boxes": boxes,
                "initial_box": boxes[0],
                "mask": mask,
                "video": video.name,
                "target": target,
            }
