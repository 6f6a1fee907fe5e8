"""Tracking frame by frame, as frames arrive."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ratm_tf.attention import library
from ratm_tf.attention.recurrence import Stream
from ratm_tf.boxes import xyxy_from_xywh
from ratm_tf.tracker import Tracker

# How far floating frames may be off 0..1: half a level of 0..255.
_ROUNDING = 0.5 / 255.0


class OnlineTracker:
    """Runs a `ratm_tf.Tracker` frame by frame, with the habits of `cv2.Tracker`.

    It gives what the tracker gives on the whole video: the box for a frame is predicted
    from the frames before it, or found in it by a `ratm_tf.CorrelationCell`. Several
    targets in one video are tracked in one step.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        threshold: the least score at which `update` says that it sees the target; of
            no effect for trackers without a `score`.
        keep_glimpse: whether to keep what the tracker sees, which takes a little time.

    Attributes:
        box: the box in the last frame, float32 `[4]`, `(x1, y1, x2, y2)` in the
            coordinates of the tracker's `boxes` output; `[K, 4]` of several targets.
        score: how sure the tracker is of it, in 0..1, or None if it has no `score`;
            `[K]` of several targets.
        glimpse: what it sees in the last frame, float32 `[N, M, C]` in 0..1, or
            `[K, N, M, C]` of several targets; None unless it is to be kept.

    Raises:
        ValueError: if the tracker is not built, or `threshold` is not in 0..1.

    Example:
    >>> online = ratm_tf.OnlineTracker(ratm_tf.load_pretrained("moving_mnist"))
    >>> video = np.zeros([3, 100, 100, 1], np.uint8)
    >>> online.init(video[0])
    >>> for frame in video[1:]:
    ...     ok, (x, y, w, h) = online.update(frame)

    >>> online = ratm_tf.OnlineTracker(ratm_tf.load_pretrained("people"))
    >>> online.init(video[0], [(10, 20, 12, 30), (60, 20, 12, 30)])
    >>> oks, boxes = online.update(video[1])
    >>> len(oks), len(boxes)
    (2, 2)
    """

    box: np.ndarray
    score: float | np.ndarray | None
    glimpse: np.ndarray | None

    def __init__(
        self, tracker: Tracker, threshold: float = 0.5, keep_glimpse: bool = False
    ) -> None:
        if not tracker.built:
            raise ValueError(
                "Expected a built `tracker`: call it once, or `build` it, before."
            )
        if not 0 <= threshold <= 1:
            raise ValueError(
                f"Expected `threshold` to be in 0..1. Received: {threshold!r}"
            )
        self._tracker = tracker
        self._threshold = threshold
        self._keep_glimpse = keep_glimpse
        self._shape = None
        self._several = False
        self.box = self.score = self.glimpse = None
        # A box is linear in its window.
        self._to_box = tracker.box_from_window(tf.eye(6)).numpy()
        self._plain = (
            tracker.cell.plain
            and tracker.score is None
            and library.functions() is not None
        )
        if self._plain:
            return
        # Handing them to and fro takes longer than a small tracker's step.
        self._states = [
            tf.Variable(tf.zeros([1, spec.shape[-1]]), shape=spec.shape)
            for spec in tracker.state_spec
        ]
        # One graph for frames of all sizes. To find it, and then what it is called
        # with, takes longer than a small step.
        self._steps = {
            dtype: _flat(
                self._step.get_concrete_function(
                    tf.TensorSpec([None, None, tracker.channels], dtype)
                )
            )
            for dtype in (np.uint8, np.float32)
        }

    @tf.function
    def _step(self, frame):
        outputs, states = self._tracker.step(frame[tf.newaxis], self._states)
        self._assign(states)
        told = [outputs["windows"]]
        if "scores" in outputs:
            told.append(outputs["scores"][:, tf.newaxis])
        if self._keep_glimpse:
            glimpses = outputs["glimpses"]
            told.append(tf.reshape(glimpses, [tf.shape(glimpses)[0], -1]))
        # In one tensor: each more takes time to hand over.
        return told[0] if len(told) == 1 else tf.concat(told, axis=-1)

    def _assign(self, states):
        for variable, state in zip(self._states, states, strict=True):
            variable.assign(state)

    def init(self, frame: npt.ArrayLike, box: npt.ArrayLike | None = None) -> None:
        """Starts on a new video. What is refused leaves the tracker as it was.

        Args:
            frame: the first frame, `[H, W]` or `[H, W, C]`, uint8 in 0..255 or floating
                in 0..1. Colours are in OpenCV's order, BGR or BGRA: a tracker of grey
                frames gets them as `ratm_tf.colour` has it, one of colour frames RGB,
                of grey ones, too.
            box: `(x, y, w, h)` of the target in pixels, as OpenCV has it, for trackers
                that start on a given target; or a list of them, of several targets.

        Raises:
            ValueError: if the frame's shape, dtype or values do not fit; a box is not
                four finite numbers with w, h > 0, or is off the frame; or it is missing
                or not expected.
        """
        prepared = self._prepared(frame)
        if prepared is None:
            raise ValueError("Expected a finite `frame`. Received NaN or infinity.")
        size = prepared.shape[:2]
        boxes = box if box is None else np.asarray(box, np.float32)
        several = boxes is not None and boxes.ndim == 2 and len(boxes) > 0
        if boxes is not None:
            each = boxes if several else [boxes]
            boxes = np.stack([_checked_box(one, size) for one in each])
        count = 1 if boxes is None else len(boxes)
        states = self._tracker.initial_state(count, size, boxes)
        if self._plain:
            cell, (hidden, activations, bias) = self._tracker.cell, states
            self._stream = Stream(
                prepared.shape,
                (activations, hidden, bias),
                cell.recurrence_weights,
                cell.glimpse_size,
                cell.glimpse.min_sigma,
            )
        else:
            self._assign(states)
        self._shape, self._several = np.shape(frame), several
        self._advance(prepared)

    def update(
        self, frame: npt.ArrayLike
    ) -> (
        tuple[bool, tuple[int, int, int, int]]
        | tuple[list[bool], list[tuple[int, int, int, int]]]
    ):
        """Tracks the target into the next frame.

        Args:
            frame: the next frame, of the first one's shape.

        Returns:
            `(ok, box)`: whether the frame is finite, the box overlaps it, and the score
            reaches the threshold; and the box as integers `(x, y, w, h)`, as OpenCV has
            it. A frame that is not finite is passed over: the box stays where it was.
            Of several targets, a list of each.

        Raises:
            RuntimeError: if `init` was not called.
            ValueError: if the frame does not have the first one's shape, or its dtype
                or values do not fit.
        """
        if self._shape is None:
            raise RuntimeError("Call `init` with the first frame before `update`.")
        if np.shape(frame) != self._shape:
            raise ValueError(
                f"Expected a `frame` of shape {self._shape}, as the first one. "
                f"Received shape: {np.shape(frame)}"
            )
        prepared = self._prepared(frame)
        if prepared is not None:
            self._advance(prepared)
        if not self._several:
            return self._told(self.box, self.score, prepared is not None)
        scores = [None] * len(self.box) if self.score is None else self.score
        told = [
            self._told(box, score, prepared is not None)
            for box, score in zip(self.box, scores, strict=True)
        ]
        return [ok for ok, _ in told], [xywh for _, xywh in told]

    def _told(self, box, score, seen):
        """Of a target, whether it is there and where, as OpenCV has it."""
        x1, y1, x2, y2 = box.tolist()  # In Python's numbers: it is most of a step.
        if not math.isfinite(x1 + y1 + x2 + y2):
            return False, (0, 0, 0, 0)
        xywh = x1 + 0.5, y1 + 0.5, x2 - x1, y2 - y1
        sure = score is None or score >= self._threshold
        ok = bool(seen and sure and _overlaps(xywh, self._shape[:2]))
        return ok, tuple(map(round, xywh))

    def _advance(self, frame):
        windows, *more = (
            self._by_stream(frame) if self._plain else self._by_graph(frame)
        )
        boxes = windows @ self._to_box
        scores = more.pop(0) if self._tracker.scores else None
        glimpses = more.pop(0) if self._keep_glimpse else None
        if self._several:
            self.box, self.score, self.glimpse = boxes, scores, glimpses
        else:
            self.box = boxes[0]
            self.score = None if scores is None else float(scores[0])
            self.glimpse = None if glimpses is None else glimpses[0]

    def _by_graph(self, frame):
        """Windows, scores if there are any, and glimpses if they are kept."""
        told = self._steps[frame.dtype.type](frame).numpy()
        parts = [told[:, :6]]
        if self._tracker.scores:
            parts.append(told[:, 6])
        if self._keep_glimpse:
            glimpses = told[:, 6 + self._tracker.scores :]
            parts.append(glimpses.reshape([-1, *self._tracker.cell.glimpse_shape]))
        return parts

    def _by_stream(self, frame):
        """The same of a `plain` cell, without TensorFlow."""
        windows, glimpses = self._stream(frame)
        return [windows, glimpses.copy()] if self._keep_glimpse else [windows]

    def _prepared(self, frame):
        """Returns the frame as the tracker takes it, or None if it is not finite."""
        frame = np.asarray(frame)
        if frame.dtype != np.uint8:
            if not np.issubdtype(frame.dtype, np.floating):
                raise ValueError(
                    "Expected a `frame` of dtype uint8 in 0..255 or floating in 0..1. "
                    f"Received dtype: {frame.dtype}"
                )
            frame = frame.astype(np.float32)
            if not np.isfinite(frame).all():
                return None
            low, high = frame.min(initial=0), frame.max(initial=0)
            if low < -_ROUNDING or high > 1 + _ROUNDING:
                raise ValueError(
                    "Expected a floating `frame` in 0..1. Received values in "
                    f"{low}..{high}"
                )
        channels = self._tracker.channels
        if frame.ndim == 2:
            frame = frame[..., np.newaxis]
        if frame.ndim == 3 and frame.shape[-1] == 1 and channels == 3:
            frame = np.repeat(frame, 3, axis=-1)
        elif frame.ndim == 3 and frame.shape[-1] in (3, 4) and channels in (1, 3):
            frame = _from_opencv(frame, channels)
        if frame.ndim != 3 or frame.shape[-1] != channels or 0 in frame.shape:
            raise ValueError(
                f"Expected a `frame` [H, W] or [H, W, C] with {channels} channel(s). "
                f"Received shape: {frame.shape}"
            )
        return frame


def _flat(function):
    """Returns the quickest call there is of a function of one tensor that gives one.

    It takes an array, which it copies once; and it runs what a `tf.ConcreteFunction`
    runs, without what comes before that: no tape records it. Where this TensorFlow has
    no such call, it is the function itself.
    """
    try:
        from tensorflow.python.eager import context, execute
        from tensorflow.python.framework.ops import EagerTensor

        runtime = context.context()
        name = function._inference_function.name.decode()
        captured = function.captured_inputs
        attributes = runtime.function_call_options.as_attrs()
        attributes = tuple(itertools.chain(*attributes.items()))
        device = runtime.device_name
        run = execute.execute
        EagerTensor(np.zeros([1]), device, None)
    except (AttributeError, ImportError, TypeError):
        return lambda array: function(tf.constant(array))

    def call(array):
        tensor = EagerTensor(array, device, None)
        return run(name, 1, [tensor, *captured], attributes, runtime)[0]

    call.function = function  # The name lasts as long as that.
    return call


def _from_opencv(frame, channels):
    """Turns BGR or BGRA into grey or RGB."""
    from ratm_tf.opencv import cv2

    codes = {
        (3, 1): cv2.COLOR_BGR2GRAY,
        (4, 1): cv2.COLOR_BGRA2GRAY,
        (3, 3): cv2.COLOR_BGR2RGB,
        (4, 3): cv2.COLOR_BGRA2RGB,
    }
    converted = cv2.cvtColor(frame, codes[frame.shape[-1], channels])
    return converted.reshape([*frame.shape[:2], channels])


def _checked_box(box, frame_size):
    """Turns the `(x, y, w, h)` of a target into `(x1, y1, x2, y2)`."""
    box = np.asarray(box, np.float32)
    if (
        box.shape != (4,)
        or not np.isfinite(box).all()
        or not (box[2:] > 0).all()
        or not _overlaps(box.tolist(), frame_size)
    ):
        height, width = frame_size
        raise ValueError(
            "Expected `box` to be finite (x, y, w, h) with w, h > 0 on the frame, "
            f"{width} x {height}. Received: {box}"
        )
    return xyxy_from_xywh(box)


def _overlaps(xywh, frame_size):
    (x, y, w, h), (height, width) = xywh, frame_size
    return x < width and y < height and x + w > 0 and y + h > 0
