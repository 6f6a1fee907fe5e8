"""The video that a program tracks: its flags, its frames, and where targets are."""

import contextlib
import os
import pathlib
import re
import sys

import numpy as np
from absl import flags, logging

_VIDEO = flags.DEFINE_string(
    "video",
    None,
    "A video file, a folder of pictures, their pattern such as img/%04d.jpg, a URL, or "
    "the number of a camera.",
    required=True,
)
_INITIAL_BOX = flags.DEFINE_multi_string(
    "initial_box",
    [],
    "x,y,w,h of the target in the first frame, in pixels as OpenCV counts them, for "
    "trackers that start on a given target; once for each of several targets.",
)
_SELECT = flags.DEFINE_boolean(
    "select", False, "Draw the boxes of targets on the first frame."
)

# What MPEG-4 can take: its clock has 16 bits. Files without a rate say 0 or more.
_RATES, _USUAL_RATE = (1.0, 1000.0), 25.0


def is_stream():
    """Whether frames come one after the other, perhaps without end."""
    path = pathlib.Path(_VIDEO.value)
    return not (path.is_file() or path.is_dir() or _is_pattern())


def _is_pattern():
    return "://" not in _VIDEO.value and re.search(r"%0?\d*d", _VIDEO.value) is not None


def name():
    """What the flag says."""
    return _VIDEO.value


def initial_boxes(frame):
    """Where the flags, or the user, say that targets are.

    Args:
        frame: the first frame, BGR.

    Returns:
        float array `[K, 4]`, `x, y, w, h`; or None, if nobody says so.

    Raises:
        ValueError: if a flag is another thing, or nothing was selected.
    """
    boxes = given_boxes()
    if not _SELECT.value:
        return boxes
    if boxes is not None:
        raise ValueError("Expected --initial_box or --select. Received both")
    from ratm_tf.opencv import cv2

    window = "Space keeps a box, Escape goes on"
    selected = cv2.selectROIs(window, frame, printNotice=False)
    cv2.destroyWindow(window)
    boxes = [box for box in selected if min(box[2:]) > 0]
    if not boxes:
        raise ValueError("Expected a box to be selected. Received: none")
    return np.array(boxes, float)


def given_boxes():
    """The flag's boxes, float array `[K, 4]`, or None.

    Raises:
        ValueError: if it is another thing.
    """
    boxes = []
    for given in _INITIAL_BOX.value:
        try:
            x, y, w, h = map(float, given.split(","))
        except ValueError:
            raise ValueError(
                f"Expected --initial_box=x,y,w,h, four numbers. Received: {given}"
            ) from None
        boxes.append((x, y, w, h))
    return np.array(boxes) if boxes else None


def check_display(flag):
    """Checks that windows can be shown.

    Args:
        flag: name of the one that needs them.

    Raises:
        ValueError: if there is no display, or OpenCV's package shows none.
    """
    from ratm_tf.opencv import cv2

    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if os.name == "posix" and sys.platform != "darwin" and not display:
        raise ValueError(
            f"Expected a display for --{flag}. Received neither DISPLAY nor "
            "WAYLAND_DISPLAY: use --output and --initial_box"
        )
    if not cv2.currentUIFramework():
        raise ValueError(
            f"Expected an OpenCV that shows windows for --{flag}: install "
            "opencv-python in place of its headless package. Received: OpenCV "
            f"{cv2.__version__} without"
        )


class Video:
    """The video of the flag, opened once.

    Attributes:
        frames_per_second: as it says, or 25 where it says nothing that is one.
        length: how many frames it says that it has, or None.

    Raises:
        ValueError: if it cannot be opened.
    """

    def __init__(self):
        from ratm_tf.opencv import cv2

        if _SELECT.value:
            check_display(_SELECT.name)
        source = _VIDEO.value
        self.frames_per_second, self.length = _USUAL_RATE, None
        self._pictures = self._capture = None
        if os.path.isdir(source):
            from ratm_tf.datasets.annotated.folder import find_video

            self._pictures = find_video(source).pictures
            self.length = len(self._pictures)
            return
        camera = source.isdecimal() and not os.path.exists(source)
        self._capture = cv2.VideoCapture(int(source) if camera else source)
        if not self._capture.isOpened():
            raise ValueError(
                f"Expected --video to be a video that OpenCV opens. Received: {source}"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        low, high = _RATES
        if low <= rate <= high and not _is_pattern():
            self.frames_per_second = rate
        if not is_stream():
            self.length = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)) or None

    def frames(self):
        """Yields the frames, BGR, to the end; once.

        Raises:
            ValueError: if there is none, or a picture cannot be read.
        """
        count = 0
        with contextlib.closing(self):
            for frame in self._read():
                count += 1
                yield frame
        if not count:
            raise ValueError(f"Expected --video with frames. Received: {_VIDEO.value}")
        if count < (self.length or 0):
            logging.warning(
                "%s says that it has %d frames, and ended after %d",
                _VIDEO.value,
                self.length,
                count,
            )

    def _read(self):
        if self._pictures is None:
            while (read := self._capture.read())[0]:
                yield read[1]
            return
        from ratm_tf.datasets.sources.pictures import read_picture

        for path in self._pictures:
            yield read_picture(path, channels=3)[..., ::-1].copy()

    def close(self):
        """Lets go of the file or the camera."""
        if self._capture is not None:
            self._capture.release()
