"""Videos of targets of any kind before photographs, as a `tf.data` pipeline."""

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import (
    SPLITS,
    height_and_width,
    integer,
    sequence_indices,
)
from ratm_tf.datasets.cutouts import FRAME_SIZE
from ratm_tf.datasets.cutouts.scene import film
from ratm_tf.datasets.rendered import rendered
from ratm_tf.datasets.sources.cutouts import load_cutouts
from ratm_tf.opencv import cv2
from ratm_tf.types import Path, Size, Split


def cutout_sequences(
    split: Split,
    *,
    num_frames: int,
    batch_size: int | None = None,
    num_sequences: int | None = None,
    start: int = 0,
    step: int = 1,
    seed: int = 0,
    frame_size: Size = FRAME_SIZE,
    cutouts_path: Path,
    pennfudan_path: Path | None = None,
) -> tf.data.Dataset:
    """Builds videos of a target of any kind, to train trackers that follow anything.

    People, things and pieces of photographs move before photographs as targets of
    real videos do: half of the displacements are below a 25th of the box, some are
    half a box. Cameras are still, follow, pan, shake, jerk and zoom, nearer and
    farther things at their own speed. Others that look like the target pass by or go
    along with it, poles, cars and passers-by hide it; it walks, bends, turns, grows,
    enters and leaves; light, motion blur, noise and compression differ. In a third of
    the videos people walk before a structure that stands still. Objects and
    backgrounds of the test split are never seen in training.

    Sequence `i` of a `seed` and `split` is always the same one, whatever the batch
    size. Frames are rendered on the fly, in one thread of OpenCV per sequence. `start`
    skips sequences without rendering them: continue an interrupted training there.
    `step` leaves those between out: give worker `w` of `n` the sequences from `w` on by
    steps of `n`.

    Args:
        split: "train" or "test", see `load_cutouts`.
        num_frames: frames per sequence, T.
        batch_size: optional number of sequences per element, B; the last batch
            may be smaller. Without it, elements are single sequences.
        num_sequences: how many sequences; without it, they never end.
        start: index of the first sequence.
        step: from one sequence's index to the next.
        seed: integer, chooses the whole collection of sequences.
        frame_size: (height, width) in pixels, each at least 64.
        cutouts_path: folder of objects and backgrounds, see `load_cutouts`.
        pennfudan_path: optional folder of the Penn-Fudan database, for more people and
            streets, see `load_penn_fudan`.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, height, width, 3], RGB, 0..255; some videos are
          grey, with three equal channels;
        - `boxes`: float32 of shape [T, 4], the extent of the target's whole outline,
          (x1, y1, x2, y2) in pixels, also where it is hidden or outside of the frame;
        - `initial_box`: float32 of shape [4], the first box with errors, sometimes of
          half the target;
        - `mask`: bool of shape [T], whether at least a third of the target is visible.

    Raises:
        ValueError: an argument is out of its range, or a folder has wrong contents.
        FileNotFoundError: there is no such folder.

    Example:
    >>> import pathlib
    >>> drawn = "datasets/cutouts/dummy_data/cutouts"  # two of each kind
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> videos = ratm_tf.datasets.cutout_sequences(
    ...     "train", num_frames=8, batch_size=4, cutouts_path=drawn
    ... )
    >>> next(iter(videos))["frames"].shape
    TensorShape([4, 8, 160, 160, 3])
    """
    num_frames = integer("num_frames", num_frames, at_least=1)
    seed = integer("seed", seed)
    height, width = height_and_width(frame_size, at_least=64)
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, at_least=1)
    indices = sequence_indices(start, num_sequences, step)

    pictures = load_cutouts(
        split,
        str(cutouts_path),
        None if pennfudan_path is None else str(pennfudan_path),
    )
    cv2.setNumThreads(1)
    spec = {
        "frames": tf.TensorSpec([num_frames, height, width, 3], tf.uint8),
        "boxes": tf.TensorSpec([num_frames, 4], tf.float32),
        "initial_box": tf.TensorSpec([4], tf.float32),
        "mask": tf.TensorSpec([num_frames], tf.bool),
    }

    def filmed(index):
        path = np.array([seed, SPLITS.index(split), index], np.int64)
        rng = np.random.default_rng(path.view(np.uint32))
        return film(rng, pictures, num_frames, (height, width))

    return rendered(indices, filmed, spec, batch_size)
