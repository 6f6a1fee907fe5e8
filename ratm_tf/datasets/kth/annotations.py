"""The KTH box file (Jiang, Lin and Davis, 2012)."""

import dataclasses

import numpy as np
from absl import logging

from ratm_tf.boxes import xyxy_from_xywh

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
SUBJECTS = tuple(range(1, 26))
_SCENARIOS = _SEQUENCES = range(1, 5)
_HEADER_LINES = 4


class BadSequence(ValueError):
    """A sequence that cannot be used; the message names file, line and fault."""


@dataclasses.dataclass(frozen=True)
class Annotation:
    """One row of the box file: an annotated sequence, a part of a video.

    Attributes:
        line: number of the row's line in the file, from 1.
        subject: 1..25.
        scenario: 1..4.
        action: one of `ACTIONS`.
        sequence: 1..4, the number of the sequence in its video.
        first: its first frame in the video, from 1.
        boxes: float32 `[T, 4]`, `(x1, y1, x2, y2)` in pixels, edges included, pixel
            `a` covering `[a - 0.5, a + 0.5]`.
    """

    line: int
    subject: int
    scenario: int
    action: str
    sequence: int
    first: int
    boxes: np.ndarray

    @property
    def video(self):
        """File name of the video."""
        return f"person{self.subject:02d}_{self.action}_d{self.scenario}_uncomp.avi"

    @property
    def last(self):
        """Its last frame in the video, from 1 and included."""
        return self.first + len(self.boxes) - 1


def read_annotations(path, skip_bad=False):
    r"""Reads a KTH box file row by row.

    A row is `subject scenario action sequence first_frame last_frame` and then
    `ymin xmin ymax xmax` for each frame, all from 1 and inclusive, after four lines
    that describe this.

    Args:
        path: the file, `KTHBoundingBoxInfo.txt`.
        skip_bad: whether to log and leave out a bad row instead of raising.

    Yields:
        An `Annotation` for each row.

    Raises:
        BadSequence: a row is bad.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.kth.annotations import read_annotations
    >>> path = pathlib.Path(tempfile.mkdtemp(), "boxes.txt")
    >>> _ = path.write_text("\n" * 4 + "25 1 4 2 128 129 9 11 80 40 9 13 80 42\n")
    >>> [annotation] = read_annotations(path)
    >>> annotation.video, annotation.last, annotation.boxes[0]
    ('person25_jogging_d1_uncomp.avi', 129,
     array([ 9.5,  7.5, 39.5, 79.5], dtype=float32))
    """
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number <= _HEADER_LINES or not line.strip():
                continue
            try:
                yield _parse(line, path, number)
            except BadSequence as fault:
                if not skip_bad:
                    raise
                logging.warning("Skipped %s", fault)


def _parse(text, path, line):
    def check(holds, expected, received):
        if not holds:
            raise BadSequence(
                f"{path}:{line}: Expected {expected}. Received: {received}"
            )

    words = text.split()
    for word in words:
        whole = word.isdigit() and len(word) < 10
        check(whole, "whole numbers only", word[:20].decode(errors="backslashreplace"))
    numbers = [int(word) for word in words]
    check(len(numbers) >= 6, "at least 6 numbers", len(numbers))
    subject, scenario, action, sequence, first, last = numbers[:6]
    for name, value, values in (
        ("a person", subject, SUBJECTS),
        ("a scenario", scenario, _SCENARIOS),
        ("an action", action, range(1, len(ACTIONS) + 1)),
        ("a sequence", sequence, _SEQUENCES),
    ):
        check(value in values, f"{name} of {values[0]}..{values[-1]}", value)
    check(1 <= first <= last, "frames in order", f"{first} to {last}")
    count = last - first + 1
    check(
        len(numbers) == 6 + 4 * count,
        f"{4 * count} coordinates for frames {first} to {last}",
        len(numbers) - 6,
    )
    y_min, x_min, y_max, x_max = np.reshape(numbers[6:], [count, 4]).T
    faulty = np.flatnonzero(
        (np.minimum(y_min, x_min) < 1) | (y_max < y_min) | (x_max < x_min)
    )
    check(
        faulty.size == 0,
        "boxes ymin xmin ymax xmax from 1 on",
        f"others in frames {faulty + first}",
    )
    size = np.stack([x_max - x_min, y_max - y_min], axis=1) + 1
    boxes = xyxy_from_xywh(np.column_stack([x_min - 1, y_min - 1, size]))
    return Annotation(
        line,
        subject,
        scenario,
        ACTIONS[action - 1],
        sequence,
        first,
        boxes.astype(np.float32),
    )
