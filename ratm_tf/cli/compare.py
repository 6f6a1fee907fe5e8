"""OpenCV's trackers beside ours, and the truth: their flags, and the table."""

import json
import pathlib
import sys

import numpy as np
from absl import flags

from ratm_tf.cli import video

_COMPARE = flags.DEFINE_list(
    "compare",
    [],
    "Trackers of OpenCV to run on the same target, such as MIL,KCF,CSRT.",
)
_TRUTH = flags.DEFINE_string(
    "truth",
    None,
    "File of the true boxes, in one of the forms that `train` takes (default: with "
    "--compare, the one beside the video).",
)
METRICS = flags.DEFINE_string(
    "metrics", None, "File for IoU, success, precision and frames/s, as JSON."
)

# Those that need no network's file; the legacy ones are of contrib alone.
_KNOWN = ("MIL", "KCF", "CSRT", "MOSSE", "MedianFlow", "TLD", "Boosting")


class OpenCVTracker:
    """A tracker of OpenCV's, with the habits of `ratm_tf.OnlineTracker`.

    Args:
        name: such as "MIL".

    Attributes:
        name: the same.
        box: `(x1, y1, x2, y2)` in the last frame, float `[4]`; where the target is
            lost, the last one known.

    Raises:
        ValueError: if the installed OpenCV has no such tracker.
    """

    score = None

    def __init__(self, name):
        make = _maker(name)
        if make is None:
            known = [each for each in _KNOWN if _maker(each) is not None]
            contrib = [each for each in _KNOWN if each not in known]
            hint = ""
            if contrib:
                hint = (
                    f"; {', '.join(contrib)} come with opencv-contrib-python-headless "
                    "in place of opencv-python-headless"
                )
            raise ValueError(
                "Expected --compare of trackers that the installed OpenCV has, "
                f"{', '.join(known)}{hint}. Received: {name}"
            )
        self.name, self.box = name, None
        self._tracker = make()

    def init(self, frame, box):
        """Starts on the target at `box`, `x, y, w, h`."""
        from ratm_tf.boxes import xyxy_from_xywh

        self._tracker.init(frame, tuple(round(number) for number in box))
        self.box = xyxy_from_xywh(np.asarray(box, float))

    def update(self, frame):
        """Tracks it into the next frame."""
        from ratm_tf.boxes import xyxy_from_xywh

        found, box = self._tracker.update(frame)
        if found:
            self.box = xyxy_from_xywh(np.asarray(box, float))


def _maker(name):
    from ratm_tf.opencv import cv2

    if name not in _KNOWN:
        return None
    places = cv2, getattr(cv2, "legacy", None)
    made = (getattr(place, f"Tracker{name}_create", None) for place in places)
    return next((make for make in made if make is not None), None)


def opencv_trackers():
    """The trackers that the flag names, a list of `OpenCVTracker`."""
    return [OpenCVTracker(name) for name in _COMPARE.value]


def true_targets():
    """The true boxes that the flags ask for.

    Returns:
        Dict of dicts `(x1, y1, x2, y2)` by frame, by the target's name; empty if there
        are none.
    """
    path = pathlib.Path(video.name())
    if not (_TRUTH.value or (_COMPARE.value and (path.is_file() or path.is_dir()))):
        return {}
    from ratm_tf.datasets.annotated.folder import find_video

    if not path.exists():
        raise ValueError(
            "Expected a video file or a folder of pictures, for --truth. Received: "
            f"{path}"
        )
    targets = find_video(path, _TRUTH.value).targets
    return {
        name: {row.frame: row.xyxy for row in rows} for name, rows in targets.items()
    }


def chosen_target(targets, box):
    """The target that is tracked.

    Args:
        targets: non-empty, as `true_targets` has them.
        box: `x, y, w, h` in the first frame, or None for the only one there.

    Returns:
        The true boxes by frame of the one that `box` overlaps most.

    Raises:
        ValueError: if `box` is needed.
    """
    from ratm_tf.boxes import iou, xyxy_from_xywh

    first = {name: boxes[0] for name, boxes in targets.items() if 0 in boxes}
    if box is None and len(first) != 1:
        raise ValueError(
            "Expected --initial_box, to choose one of the targets in the first frame: "
            f"{', '.join(first) or 'none'}"
        )
    if not first:
        return next(iter(targets.values()))
    if box is None:
        return targets[next(iter(first))]
    box = xyxy_from_xywh(np.asarray(box, float))
    return targets[max(first, key=lambda name: float(iou(first[name], box)))]


def tell(names, kind, truth, boxes, seconds):
    """Prints how well and how fast targets were tracked, and writes it.

    Args:
        names: `K` names of trackers.
        kind: the box of the first one, "corner" or "extent".
        truth: true boxes by frame; may be empty.
        boxes: `[T, K, 4]`, theirs.
        seconds: `[K]`, how long they took after the first frame.
    """
    from ratm_tf.one_pass import measure, summary

    true = np.full([len(boxes), 4], np.nan)
    for frame in truth.keys() & set(range(len(boxes))):
        true[frame] = truth[frame]
    told = {}
    for number, name in enumerate(names):
        told[name] = {}
        if np.isfinite(true).any():
            told[name] = summary([measure(true, boxes[:, number])])
        rate = (len(boxes) - 1) / max(seconds[number], 1e-9)
        told[name]["frames_per_second"] = round(rate, 1)
    columns = list(told[names[0]])
    width = max(map(len, [*names, "tracker"]))
    print(f"{'tracker':{width}}  {'  '.join(columns)}", file=sys.stderr)
    for name, figures in told.items():
        cells = (f"{figures[column]:>{len(column)}}" for column in columns)
        print(f"{name:{width}}  {'  '.join(cells)}", file=sys.stderr)
    if "iou" in columns:
        print(f"IoU of {names[0]}: of its {kind} boxes", file=sys.stderr)
    if METRICS.value:
        figures = {"box": kind, "frames": len(boxes), "trackers": told}
        pathlib.Path(METRICS.value).write_text(json.dumps(figures, indent=2) + "\n")
