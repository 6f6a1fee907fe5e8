"""The KTH videos, cut into annotated sequences."""

import itertools
import pathlib

import numpy as np
from absl import logging

from ratm_tf.datasets.arguments import one_of
from ratm_tf.datasets.kth import FRAME_SIZE
from ratm_tf.datasets.kth.annotations import (
    ACTIONS,
    SUBJECTS,
    BadSequence,
    read_annotations,
)
from ratm_tf.opencv import cv2

BOX_FILE = "KTHBoundingBoxInfo.txt"


def subjects_at_hand(data_dir, actions, skip_bad=False):
    """The subjects that leaving one out is about.

    Args:
        data_dir: folder of `KTHBoundingBoxInfo.txt` and the videos.
        actions: the actions to look for, of `ACTIONS`.
        skip_bad: whether those of whom there is no video are left out.

    Returns:
        Tuple of subjects, in their order: of 1..25 all, or those with a video.

    Raises:
        FileNotFoundError: there is no box file.

    Example:
    >>> from ratm_tf.datasets.kth.videos import subjects_at_hand
    >>> len(subjects_at_hand("/nowhere", ["jogging"]))
    25
    """
    if not skip_bad:
        return SUBJECTS
    data_dir = pathlib.Path(data_dir)
    annotations = read_annotations(data_dir / BOX_FILE, skip_bad)
    videos = {(row.subject, row.video) for row in annotations if row.action in actions}
    return tuple(
        sorted({subject for subject, name in videos if (data_dir / name).exists()})
    )


def read_sequences(data_dir, subjects, actions, skip_bad=False):
    """Reads annotated sequences, in the order of the box file.

    Args:
        data_dir: folder of `KTHBoundingBoxInfo.txt` and the original videos,
            `personPP_ACTION_dS_uncomp.avi`.
        subjects: the subjects to read, of 1..25.
        actions: the actions to read, of `ACTIONS`.
        skip_bad: whether to log and leave out what cannot be read: a bad row, a missing
            or truncated video or one of another size, a row of more frames than its
            video has.

    Yields:
        `(annotation, frames)`: the row of the box file and the frames it speaks of,
        uint8 `[T, 120, 160, 1]`, in the video's order.

    Raises:
        FileNotFoundError: there is no box file.
        ValueError: an action is unknown.
        BadSequence: a sequence cannot be read.

    Example:
    >>> from ratm_tf.datasets.kth.videos import read_sequences
    >>> for annotation, frames in read_sequences("/nowhere", [1], ["jogging"]):
    ...     print(annotation.video, frames.shape)
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/KTHBoundingBox...
    """
    for action in actions:
        one_of("actions", action, ACTIONS)
    data_dir = pathlib.Path(data_dir)
    box_file = data_dir / BOX_FILE
    annotations = (
        annotation
        for annotation in read_annotations(box_file, skip_bad)
        if annotation.subject in subjects and annotation.action in actions
    )
    for name, rows in itertools.groupby(annotations, key=lambda row: row.video):
        rows = list(rows)
        path = data_dir / name
        video, announced = _read_video(path, max(row.last for row in rows))
        fits = video.shape[1:] == (*FRAME_SIZE, 1)
        bad = [row for row in rows if not fits or row.last > len(video)]
        if bad:
            if not path.exists():
                fault = f"Expected {path}, which is missing."
            elif len(video) and not fits:
                fault = (
                    f"Expected {path} to have frames of the shape {FRAME_SIZE}. "
                    f"Received: {video.shape[1:3]}"
                )
            else:
                fault = (
                    f"Expected {bad[-1].last} frames in {path}, which says it has "
                    f"{announced}. Received: {len(video)}"
                )
            fault = f"{box_file}:{', '.join(str(row.line) for row in bad)}: {fault}"
            if not skip_bad:
                raise BadSequence(fault)
            logging.warning("Skipped %s", fault)
        for row in rows:
            if fits and row.last <= len(video):
                yield row, video[row.first - 1 : row.last]


def _read_video(path, num_frames):
    """Its first frames, uint8 [T, H, W, 1], and how many it says it has."""
    capture = cv2.VideoCapture(str(path)) if path.exists() else cv2.VideoCapture()
    frames = []
    while len(frames) < num_frames:
        read, frame = capture.read()
        if not read:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    announced = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
    capture.release()
    return np.array(frames, np.uint8)[..., np.newaxis], announced
