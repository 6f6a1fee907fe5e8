"""Tracking frame by frame, as frames arrive."""

import numpy as np
import tensorflow as tf

from ratm_tf.boxes import xywh_from_xyxy, xyxy_from_xywh


class OnlineTracker:
    """Runs a `ratm_tf.Tracker` frame by frame, with the habits of `cv2.Tracker`.

    It gives what the tracker gives on the whole video: the box for a frame is predicted
    from the frames before it.

    Args:
        tracker: a built `ratm_tf.Tracker`.

    Attributes:
        box: the box in the last frame, float32 `[4]`, `(x1, y1, x2, y2)` in the
            coordinates of the tracker's `boxes` output.

    Example:
    >>> online = ratm_tf.OnlineTracker(ratm_tf.load_pretrained("moving_mnist"))
    >>> video = np.zeros([3, 100, 100, 1], np.uint8)
    >>> online.init(video[0])
    >>> for frame in video[1:]:
    ...     ok, (x, y, w, h) = online.update(frame)
    """

    def __init__(self, tracker):
        self._tracker = tracker
        self._steps = {}
        # Handing them to and fro takes longer than a small tracker's step.
        self._states = [
            tf.Variable(tf.zeros([1, spec.shape[-1]])) for spec in tracker.state_spec
        ]
        self._shape = None
        self.box = None

    @tf.function
    def _step(self, frame):
        outputs, states = self._tracker.step(frame[tf.newaxis], self._states)
        self._assign(states)
        return outputs["boxes"][0]

    def _assign(self, states):
        for variable, state in zip(self._states, states, strict=True):
            variable.assign(state)

    def init(self, frame, box=None):
        """Starts on a new video.

        Args:
            frame: the first frame, `[H, W]` or `[H, W, C]`, uint8 in 0..255 or floating
                in 0..1. A colour frame for a tracker of grey ones is taken as BGR, as
                OpenCV reads it, and converted.
            box: `(x, y, w, h)` of the target in pixels, as OpenCV has it, for trackers
                that start on a given target.

        Raises:
            ValueError: if the frame's shape does not fit the tracker, the box is empty
                or not finite, or it is missing or not expected.
        """
        initial_box = None
        if box is not None:
            box = np.asarray(box, np.float32)
            if not (np.isfinite(box).all() and (box[2:] > 0).all()):
                raise ValueError(
                    "Expected `box` to be finite (x, y, w, h) with w, h > 0. "
                    f"Received: {box}"
                )
            initial_box = xyxy_from_xywh(box)[np.newaxis]
        self._shape = np.shape(frame)
        frame = self._prepared(frame)
        self._assign(self._tracker.initial_state(1, frame.shape[:2], initial_box))
        self._advance(frame)

    def update(self, frame):
        """Tracks the target into the next frame.

        Args:
            frame: the next frame, of the first one's shape.

        Returns:
            `(ok, box)`: whether the box overlaps the frame, and the box as integers
            `(x, y, w, h)`, as OpenCV has it.

        Raises:
            RuntimeError: if `init` was not called.
            ValueError: if the frame does not have the first one's shape.
        """
        if self._shape is None:
            raise RuntimeError("Call `init` with the first frame before `update`.")
        if np.shape(frame) != self._shape:
            raise ValueError(
                f"Expected a `frame` of shape {self._shape}, as the first one. "
                f"Received shape: {np.shape(frame)}"
            )
        self._advance(self._prepared(frame))
        if not np.isfinite(self.box).all():
            return False, (0, 0, 0, 0)
        x, y, w, h = xywh_from_xyxy(self.box).tolist()
        height, width = self._shape[:2]
        ok = x < width and y < height and x + w > 0 and y + h > 0
        return ok, (round(x), round(y), round(w), round(h))

    def _advance(self, frame):
        # To find the trace for a frame takes a tf.function longer than a small step.
        kind = frame.shape, frame.dtype
        if kind not in self._steps:
            self._steps[kind] = self._step.get_concrete_function(frame)
        self.box = self._steps[kind](frame).numpy()

    def _prepared(self, frame):
        frame = np.asarray(frame)
        channels = self._tracker.channels
        if frame.ndim == 3 and frame.shape[-1] == 3 and channels == 1:
            from ratm_tf.opencv import cv2

            frame = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        if frame.ndim == 2:
            frame = frame[..., np.newaxis]
        if frame.ndim != 3 or frame.shape[-1] != channels:
            raise ValueError(
                f"Expected a `frame` [H, W] or [H, W, C] with {channels} channel(s). "
                f"Received shape: {frame.shape}"
            )
        return tf.constant(frame)
