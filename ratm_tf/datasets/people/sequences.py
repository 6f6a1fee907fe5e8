"""KTH-like videos of people that walk, jog and run, as a `tf.data` pipeline."""

from typing import Literal

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import (
    SPLITS,
    height_and_width,
    integer,
    one_of,
    sequence_indices,
)
from ratm_tf.datasets.people import FRAME_SIZE
from ratm_tf.datasets.people.scene import film
from ratm_tf.datasets.rendered import rendered
from ratm_tf.datasets.sources.penn_fudan import load_penn_fudan
from ratm_tf.types import Path, Size, Split

_STREAMS = ("scene", "detector", "sensor")


def people_sequences(
    split: Split,
    *,
    num_frames: int,
    batch_size: int | None = None,
    num_sequences: int | None = None,
    start: int = 0,
    step: int = 1,
    seed: int = 0,
    frame_size: Size = FRAME_SIZE,
    pennfudan_path: Path | None = None,
    detector: Literal["fine", "coarse"] = "fine",
) -> tf.data.Dataset:
    """Builds videos of one person that crosses the view, in the manner of KTH.

    A person cut out of the Penn-Fudan database walks, jogs or runs across a plain
    background or a street, bobbing and moving its legs, larger or smaller on the way;
    light, camera shake and sensor noise differ from video to video. People and
    backgrounds of the test split are never seen in training.

    Sequence `i` of a `seed` and `split` is always the same one, whatever the batch
    size, and its first frames are the same however many are asked for. Frames are
    rendered on the fly. `start` skips sequences without rendering them: continue an
    interrupted training there. `step` leaves those between out: give worker `w` of `n`
    the sequences from `w` on by steps of `n`.

    Args:
        split: "train" or "test", see `load_penn_fudan`.
        num_frames: frames per sequence, T.
        batch_size: optional number of sequences per element, B; the last batch
            may be smaller. Without it, elements are single sequences.
        num_sequences: how many sequences; without it, they never end.
        start: index of the first sequence.
        step: from one sequence's index to the next.
        seed: integer, chooses the whole collection of sequences.
        frame_size: (height, width) in pixels, each at least 64.
        pennfudan_path: optional folder of the Penn-Fudan database, see
            `load_penn_fudan`; without it, it is downloaded.
        detector: of `detected_boxes`: "fine" errs in the first frames most, "coarse"
            holds on to a part of the person for some frames, as KTH's often does.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, height, width, 1], 0..255;
        - `boxes`: float32 of shape [T, 4], the true extent of what the frame shows of
          the person, (x1, y1, x2, y2) in pixels, edges included;
        - `detected_boxes`: float32 of shape [T, 4], the same person as a detector
          sees it, in the manner of KTH's boxes: of one aspect, inside the frame, with
          errors in size and place; labels to train on;
        - `initial_box`: float32 of shape [4], the first of `detected_boxes`, often
          poor;
        - `mask`: bool of shape [T], false once less than a third of the person is
          left in the frame; boxes then stay as they were.

    Raises:
        ValueError: an argument is out of its range, or `pennfudan_path` has wrong
            contents.
        FileNotFoundError: there is no such database at `pennfudan_path`.

    Example:
    >>> import pathlib
    >>> drawn = "datasets/people/dummy_data/PennFudanPed"  # two drawn people
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> videos = ratm_tf.datasets.people_sequences(
    ...     "train", num_frames=20, batch_size=16, pennfudan_path=drawn
    ... )
    >>> next(iter(videos))["frames"].shape
    TensorShape([16, 20, 120, 160, 1])
    """
    num_frames = integer("num_frames", num_frames, at_least=1)
    seed = integer("seed", seed)
    coarse = one_of("detector", detector, ("fine", "coarse")) == "coarse"
    height, width = height_and_width(frame_size, at_least=64)
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, at_least=1)
    indices = sequence_indices(start, num_sequences, step)

    cutouts, streets = load_penn_fudan(split, pennfudan_path)
    spec = {
        "frames": tf.TensorSpec([num_frames, height, width, 1], tf.uint8),
        "boxes": tf.TensorSpec([num_frames, 4], tf.float32),
        "detected_boxes": tf.TensorSpec([num_frames, 4], tf.float32),
        "initial_box": tf.TensorSpec([4], tf.float32),
        "mask": tf.TensorSpec([num_frames], tf.bool),
    }

    def filmed(index):
        def stream(name):
            path = [seed, SPLITS.index(split), index, _STREAMS.index(name)]
            # Of one length, so that none of its 64-bit numbers runs into the next.
            return np.random.default_rng(np.array(path, np.int64).view(np.uint32))

        return film(stream, cutouts, streets, num_frames, (height, width), coarse)

    return rendered(indices, filmed, spec, batch_size)
