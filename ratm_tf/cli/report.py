"""What a program that tracks tells of it: lines, tables, a video, a window."""

import contextlib
import csv
import json
import os
import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from ratm_tf.cli import video

_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Video to write, .mp4, .avi, or .gif, with what the tracker sees in a corner.",
)
_CSV = flags.DEFINE_string("csv", None, "Table of the boxes to write.")
_JSON = flags.DEFINE_string(
    "json", None, "File for the lines of JSON, in place of standard output."
)
_BOX_FORMAT = flags.DEFINE_enum(
    "box_format",
    "xywh",
    ["xywh", "xyxy"],
    "How boxes are told: as OpenCV has them, or by their edges, as the package has "
    "them: pixel a covers [a - 0.5, a + 0.5].",
)
_SHOW = flags.DEFINE_boolean("show", False, "Show the video; the key q ends it.")

COLORS = (
    (255, 64, 64),
    (80, 160, 255),
    (255, 200, 40),
    (230, 90, 255),
    (60, 230, 230),
    (255, 140, 60),
)
"""RGB of targets or trackers, over and over; green is the truth."""


class Step(NamedTuple):
    """What there is to tell of a frame.

    Attributes:
        frame: uint8 `[H, W, 3]`, BGR.
        boxes: `[K, 4]`, `(x1, y1, x2, y2)` of `K` targets, or by `K` trackers.
        scores: `K` numbers in 0..1, or None where there is none.
        glimpses: `[G, N, M, C]` in 0..1, of the first ones, or None.
        truth: `[4]`, the true box, or None.
    """

    frame: Any
    boxes: Any
    scores: Any
    glimpses: Any = None
    truth: Any = None


def draws():
    """Whether flags ask for pictures."""
    return bool(_OUTPUT.value or _SHOW.value)


def check_files(*flags_of_files):
    """Checks, before anything is tracked, what can be known of what is to be written.

    Args:
        *flags_of_files: more flags that name a file to write.

    Raises:
        ValueError: if it cannot be written, is the video itself or the boxes beside
            it, or there is no display to show it on.
    """
    source = video.name()
    beside = f"{os.path.splitext(source)[0]}.csv"
    kept = [path for path in (source, beside) if os.path.isfile(path)]
    for flag in (_OUTPUT, _CSV, _JSON, *flags_of_files):
        if not flag.value:
            continue
        path = pathlib.Path(flag.value)
        if path.exists() and any(path.samefile(other) for other in kept):
            raise ValueError(
                f"Expected --{flag.name} other than --video and the true boxes beside "
                f"it. Received: {path}"
            )
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise ValueError(
                f"Expected --{flag.name} in a folder that can be written. Received: "
                f"{path}"
            )
    if _OUTPUT.value:
        from ratm_tf.opencv import VIDEO_CODES

        endings = [*VIDEO_CODES, ".gif"]
        if pathlib.Path(_OUTPUT.value).suffix not in endings:
            raise ValueError(
                f"Expected --output to end in {' or '.join(endings)}. Received: "
                f"{_OUTPUT.value}"
            )
    if _SHOW.value:
        video.check_display(_SHOW.name)


def report(tracked, source, trackers=None):
    """Tells of each frame as it is tracked, as flags say.

    Args:
        tracked: iterable of `Step`.
        source: the `video.Video` that they are of.
        trackers: names of the trackers whose boxes they are; None if they are of one
            tracker's targets.

    Raises:
        ValueError: if the flags say what cannot be.
    """
    from tqdm import tqdm

    with contextlib.ExitStack() as stack:
        lines = _Lines(stack, trackers)
        pictures = _Pictures(source.frames_per_second, trackers)
        stack.callback(pictures.close)
        terminal = sys.stderr.isatty()
        progress = tqdm(
            tracked,
            total=source.length,
            unit=" frames",
            mininterval=0.2 if terminal else 10,
            disable=lines.on_terminal,
        )
        for index, step in enumerate(progress):
            lines.write(index, step)
            if not pictures.write(step):
                break


class _Lines:
    """Writes a line of JSON and a row of a table for each box."""

    def __init__(self, stack, trackers):
        self._trackers = trackers
        self._table = self._json = None
        if _CSV.value:
            file = stack.enter_context(open(_CSV.value, "w", newline=""))
            self._table = csv.writer(file, lineterminator="\n")
        if _JSON.value:
            self._json = stack.enter_context(open(_JSON.value, "w"))
        elif not _CSV.value:
            self._json = sys.stdout
        self.on_terminal = self._json is sys.stdout and sys.stdout.isatty()

    def write(self, index, step):
        for number, (box, score) in enumerate(
            zip(step.boxes, step.scores, strict=True)
        ):
            told = {"frame": index}
            if self._trackers is not None:
                told["tracker"] = self._trackers[number]
            elif len(step.boxes) > 1:
                told["track_id"] = number
            box = _told(box)
            if self._table is not None:
                names = "x y w h" if _BOX_FORMAT.value == "xywh" else "x1 y1 x2 y2"
                if index == number == 0:
                    self._table.writerow([*told, *names.split(), "score"])
                rounded = "" if score is None else round(float(score), 4)
                self._table.writerow([*told.values(), *box, rounded])
            if self._json is not None:
                told["box"] = box
                if score is not None:
                    told["score"] = round(float(score), 4)
                print(json.dumps(told), file=self._json, flush=True)


def _told(box):
    from ratm_tf.boxes import xywh_from_xyxy

    box = np.asarray(box, np.float64)
    told = xywh_from_xyxy(box) if _BOX_FORMAT.value == "xywh" else box
    return told.round(3).tolist()


class _Pictures:
    """Draws boxes into a video file, on the screen, or nowhere."""

    def __init__(self, frames_per_second, trackers):
        self._frames_per_second = frames_per_second
        self._trackers = trackers
        self._file = None

    def close(self):
        if self._file is not None:
            self._file.release()

    def write(self, step):
        """Returns whether to go on."""
        if not draws():
            return True
        from ratm_tf.opencv import cv2, open_video

        drawn = annotated(step, self._trackers)
        if _OUTPUT.value:
            if self._file is None and _OUTPUT.value.endswith(".gif"):
                self._file = _Gif(_OUTPUT.value, self._frames_per_second)
            elif self._file is None:
                rate = self._frames_per_second
                self._file = open_video(_OUTPUT.value, rate, drawn.shape)
            self._file.write(drawn)
        if _SHOW.value:
            cv2.imshow(video.name(), drawn)
            return cv2.waitKey(1) != ord("q")
        return True


def annotated(step, trackers=None):
    """A frame with its boxes and their scores, what the tracker sees, and a legend.

    Args:
        step: a `Step`.
        trackers: names for the legend, or None for none.

    Returns:
        uint8 `[H, W, 3]`, BGR.
    """
    from ratm_tf import visualize
    from ratm_tf.opencv import cv2

    count = len(step.boxes)
    colors = [COLORS[index % len(COLORS)][::-1] for index in range(count)]
    named = list(zip(trackers or [], colors, strict=trackers is not None))
    boxes, all_colors = list(step.boxes), list(colors)
    if step.truth is not None:
        boxes.insert(0, step.truth)
        all_colors.insert(0, visualize.GREEN)
        named.append(("truth", visualize.GREEN))
    drawn = visualize.draw_boxes(
        step.frame[None], np.array(boxes, float)[None], all_colors, scale=1
    )[0]
    if step.glimpses is not None:
        glimpses = np.asarray(step.glimpses)[..., ::-1]  # as BGR, like the frame
        drawn = visualize.inset_glimpses(drawn, glimpses, colors)
    font, size = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, drawn.shape[0] / 800)
    row = round(30 * size)
    for box, score, color in zip(step.boxes, step.scores, colors, strict=True):
        if score is not None and np.isfinite(box).all():
            left, top, _, bottom = np.clip(box, -1e6, 1e6).round().astype(int).tolist()
            place = max(left, 0), top - 4 if top > row else bottom + row
            cv2.putText(drawn, f"{score:.2f}", place, font, size, color, 1, cv2.LINE_AA)
    for number, (name, color) in enumerate(named[::-1]):
        bottom = drawn.shape[0] - number * row
        width = cv2.getTextSize(name, font, size, 1)[0][0] + 8
        drawn[max(bottom - row, 0) : bottom, :width] //= 3
        place = 4, bottom - row // 3
        cv2.putText(drawn, name, place, font, size, color, 1, cv2.LINE_AA)
    return drawn


class _Gif:
    """Gathers frames, BGR, for an animation."""

    def __init__(self, path, frames_per_second):
        self._path, self._frames_per_second = path, frames_per_second
        self._frames = []

    def write(self, frame):
        self._frames.append(frame[..., ::-1])

    def release(self):
        from ratm_tf.visualize import save_animation

        save_animation(self._path, np.array(self._frames), self._frames_per_second)
