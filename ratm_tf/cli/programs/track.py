r"""Tracks a video or a camera, frame by frame.

ratm-tf track --model=pretrained:moving_mnist --video=docs/digits.avi \
  --output=tracked.mp4
ratm-tf track --model=pretrained:people --video=street.mp4 \
  --initial_box=120,80,40,100 --initial_box=200,80,40,100 --csv=boxes.csv
ratm-tf track --model=pretrained:people --video=otb/Couple --compare=MIL --output=c.gif

Prints a line of JSON for each frame and target, with the box x, y, w, h in pixels, as
OpenCV has it, and how sure the tracker is of it, in 0..1. docs/tracking.md shows more.
"""

import time

import numpy as np
from absl import flags

from ratm_tf.cli import compare, report, tracker, video

for _module in (compare, report, tracker, video):
    flags.adopt_module_key_flags(_module)
flags.mark_flag_as_required("model")


def main(_):
    """Prints the boxes, and draws and measures them as the flags say."""
    import ratm_tf

    report.check_files(compare.METRICS)
    video.given_boxes()
    others, targets = compare.opencv_trackers(), compare.true_targets()
    loaded = tracker.load_tracker()
    online = ratm_tf.OnlineTracker(loaded, keep_glimpse=report.draws())
    source = video.Video()
    pursuit = Pursuit(online, loaded.starts_on_target, others, targets)
    names = [pursuit.name, *(other.name for other in others)] if others else None
    report.report(pursuit.steps(source.frames()), source, names)
    if others or pursuit.truth:
        boxes = np.array(pursuit.boxes)
        names = names or [pursuit.name]
        compare.tell(names, loaded.box, pursuit.truth, boxes, pursuit.seconds)


class Pursuit:
    """Trackers after one target, or ours after several.

    Args:
        online: a `ratm_tf.OnlineTracker`.
        needs_box: whether it starts on a given target.
        others: list of `compare.OpenCVTracker`.
        targets: see `compare.true_targets`.

    Attributes:
        name: what ours is called.
        truth: the true boxes of the target by frame, once it is known.
        boxes: list of `[K, 4]` a frame, of all trackers.
        seconds: float `[K]`, how long each took after the first frame.
    """

    name = "RATM"

    def __init__(self, online, needs_box, others, targets):
        self._online, self._needs_box = online, needs_box
        self._others, self._targets = others, targets
        self.truth, self.boxes = {}, []
        self.seconds = np.zeros(1 + len(others))

    def steps(self, frames):
        """Yields a `report.Step` for each frame."""
        for index, frame in enumerate(frames):
            if index == 0:
                self._init(frame)
            else:
                for number, each in enumerate([self._online, *self._others]):
                    start = time.perf_counter()
                    each.update(frame)
                    self.seconds[number] += time.perf_counter() - start
            boxes = np.reshape(self._online.box, [-1, 4])
            scores = np.reshape(self._online.score, [-1]).tolist()
            scores = scores if len(scores) == len(boxes) else [None] * len(boxes)
            glimpses = self._online.glimpse
            if glimpses is not None:
                glimpses = np.reshape(glimpses, [len(boxes), *glimpses.shape[-3:]])
            boxes = np.array([*boxes, *(other.box for other in self._others)])
            scores += [None] * len(self._others)
            self.boxes.append(boxes)
            yield report.Step(frame, boxes, scores, glimpses, self.truth.get(index))

    def _init(self, frame):
        from ratm_tf.boxes import xywh_from_xyxy

        boxes = video.initial_boxes(frame)
        if (self._others or self._targets) and boxes is not None and len(boxes) > 1:
            raise ValueError(
                "Expected one target, with --compare or --truth. Received: "
                f"{len(boxes)} boxes"
            )
        if self._targets:
            given = None if boxes is None else boxes[0]
            self.truth = compare.chosen_target(self._targets, given)
            if boxes is None:
                boxes = xywh_from_xyxy(self.truth[0])[np.newaxis]
        if boxes is None and self._others:
            raise ValueError("Expected --initial_box, for --compare. Received: none")
        box = boxes if boxes is None or len(boxes) > 1 else boxes[0]
        found_by_itself = not self._needs_box and (self._others or self._targets)
        self._online.init(frame, None if found_by_itself else box)
        for other in self._others:
            other.init(frame, box)
