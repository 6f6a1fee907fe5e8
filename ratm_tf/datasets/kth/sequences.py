"""KTH human actions (section 6.3 of the paper), as a `tf.data` pipeline."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import integer, one_of
from ratm_tf.datasets.kth import MOVING
from ratm_tf.datasets.kth.annotations import ACTIONS, SUBJECTS
from ratm_tf.datasets.kth.videos import read_sequences, subjects_at_hand
from ratm_tf.datasets.parts import random_parts, whole_sequences
from ratm_tf.types import Path


def kth_sequences(
    split: Literal["train", "validation", "test"],
    *,
    data_dir: Path,
    test_subject: int,
    num_frames: int | None = None,
    batch_size: int | None = None,
    num_sequences: int | None = None,
    start: int = 0,
    seed: int = 0,
    actions: Sequence[str] = MOVING,
    skip_bad: bool = False,
) -> tf.data.Dataset:
    """Builds sequences of a walking, running or jogging person, leaving one out.

    With `num_frames`, these are random parts of the annotated sequences, without an end
    unless `num_sequences` says so; part `i` of a `seed` is always the same. Without,
    they are all annotated sequences of the split as they are, once, in the order of the
    box file. Sequences shorter than `num_frames` or than others of their batch are
    padded with zeros, which `mask` tells.

    The split's annotated frames are read at once and kept in memory: 1 GB for the whole
    of the three actions.

    Args:
        split: "test": the sequences of `test_subject`; "validation": those of another
            subject, drawn by `seed`; "train": those of the rest.
        data_dir: folder of `KTHBoundingBoxInfo.txt` and the original videos,
            `personPP_ACTION_dS_uncomp.avi`.
        test_subject: 1..25, the subject to leave out.
        num_frames: frames per sequence, T. Without it, whole sequences.
        batch_size: optional number of sequences per element, B; the last batch may be
            smaller. Without it, elements are single sequences.
        num_sequences: how many sequences; whole ones, at most.
        start: index of the first sequence.
        seed: integer >= 0, chooses the validation subject and the parts.
        actions: which actions to read.
        skip_bad: whether to log and leave out sequences that cannot be read instead of
            raising: a bad row of the box file, a missing or truncated video or one of
            another size, a row of more frames than its video has. Subjects of whom
            there is no video are then none of those to draw from.

    Returns:
        A `tf.data.Dataset` of dicts, here with a leading B if batched:

        - `frames`: uint8 of shape [T, 120, 160, 1], 0..255;
        - `boxes`: float32 of shape [T, 4], (x1, y1, x2, y2) in pixels, edges included;
        - `initial_box`: float32 of shape [4], the first one;
        - `mask`: bool of shape [T], False where padded;
        - `subject`, `action` (index into `ACTIONS`), `scenario`, `sequence`: int64
          scalars.

    Raises:
        FileNotFoundError: there is no box file.
        BadSequence: a sequence cannot be read.
        ValueError: another argument is out of its range, or the split is empty.

    Example:
    >>> def train_batches(data_dir):
    ...     return ratm_tf.datasets.kth_sequences(
    ...         "train", data_dir=data_dir, test_subject=7, num_frames=30, batch_size=16
    ...     )
    """
    start = integer("start", start, at_least=0)
    if num_sequences is not None:
        num_sequences = integer("num_sequences", num_sequences, at_least=1)
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, at_least=1)
    at_hand = subjects_at_hand(data_dir, actions, skip_bad)
    subjects = subjects_of(split, test_subject, seed, at_hand)
    examples = [
        _example(row, frames)
        for row, frames in read_sequences(data_dir, subjects, actions, skip_bad)
    ]
    if not examples:
        raise ValueError(
            f"Expected `data_dir` to have sequences of the actions {actions} of the "
            f"subjects {subjects}, the {split} split. Received: {data_dir}"
        )
    if num_frames is not None:
        dataset = random_parts(
            examples,
            num_frames=num_frames,
            num_sequences=num_sequences,
            start=start,
            seed=(seed, split),
        )
    else:
        if start >= len(examples):
            raise ValueError(
                f"Expected `start` to be less than the {len(examples)} sequences of "
                f"the {split} split. Received: {start}"
            )
        dataset = whole_sequences(examples[start:][:num_sequences])
    if batch_size is not None:
        dataset = dataset.padded_batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _example(row, frames):
    return {
        "frames": frames,
        "boxes": row.boxes,
        "initial_box": row.boxes[0],
        "mask": np.ones([len(frames)], bool),
        "subject": np.int64(row.subject),
        "action": np.int64(ACTIONS.index(row.action)),
        "scenario": np.int64(row.scenario),
        "sequence": np.int64(row.sequence),
    }


def subjects_of(split, test_subject, seed=0, subjects=SUBJECTS):
    """The subjects of a split that leaves one subject out.

    Args:
        split: "train", "validation" or "test".
        test_subject: one of `subjects`, that of the test split.
        seed: integer >= 0; the validation split has one of the others, drawn by it.
        subjects: tuple of all there are, of 1..25.

    Returns:
        Tuple of subjects, 1..25.

    Raises:
        ValueError: an argument is out of its range, or there are not three subjects,
            one for each split.

    Example:
    >>> from ratm_tf.datasets.kth.sequences import subjects_of
    >>> subjects_of("test", test_subject=7)
    (7,)
    >>> len(subjects_of("train", test_subject=7))
    23
    """
    split = one_of("split", split, ("train", "validation", "test"))
    test_subject = one_of("test_subject", test_subject, subjects)
    seed = integer("seed", seed, at_least=0)
    if split == "test":
        return (test_subject,)
    others = [subject for subject in subjects if subject != test_subject]
    if len(others) < 2:
        raise ValueError(
            "Expected three `subjects` at least: one to test, one to validate, and "
            f"the rest to train. Received: {subjects}"
        )
    drawn = others[np.random.default_rng([seed, test_subject]).integers(len(others))]
    if split == "validation":
        return (drawn,)
    return tuple(subject for subject in others if subject != drawn)
