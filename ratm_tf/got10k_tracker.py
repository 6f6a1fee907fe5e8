"""A tracker in the experiments of the toolkit `got10k`."""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ratm_tf.boxes import xywh_from_xyxy
from ratm_tf.one_pass import FROM_ONE
from ratm_tf.online_tracker import OnlineTracker
from ratm_tf.opencv import cv2
from ratm_tf.tracker import Tracker
from ratm_tf.types import Path


class GOT10kTracker:
    """A tracker for the experiments of the toolkit `got10k`.

    It has what these ask of a tracker; the toolkit's own base class is not needed.

    Args:
        tracker: a built `ratm_tf.Tracker` that starts on a given target.
        name: under which the toolkit keeps its results.

    Example:
    >>> tracker = ratm_tf.GOT10kTracker(ratm_tf.load_pretrained("people"))
    >>> boxes, seconds = tracker.track(["docs/people.jpg"] * 3, [10, 10, 20, 40])
    >>> boxes.shape, seconds.shape
    ((3, 4), (3,))
    """

    is_deterministic = True

    def __init__(self, tracker: Tracker, name: str = "RATM") -> None:
        self.name = name
        self._online = OnlineTracker(tracker)

    def track(
        self, img_files: Sequence[Path], box: npt.ArrayLike, visualize: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tracks through a sequence.

        Args:
            img_files: paths of its pictures.
            box: `x, y, w, h` in the first one, whose first pixel is (1, 1).
            visualize: not done here.

        Returns:
            `(boxes, seconds)`: `[T, 4]` of such boxes, and `[T]`, how long each took.
        """
        boxes, seconds = [], []
        for number, path in enumerate(img_files):
            frame = cv2.imread(str(path))
            start = time.perf_counter()
            if number == 0:
                self._online.init(frame, np.subtract(box, FROM_ONE))
            else:
                self._online.update(frame)
            seconds.append(time.perf_counter() - start)
            boxes.append(xywh_from_xyxy(self._online.box) + FROM_ONE)
        return np.array(boxes), np.array(seconds)
