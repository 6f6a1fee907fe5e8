"""The video that a program tracks: its flags, its frames, and what is shown of them."""

import contextlib
import json
import os
import pathlib
import sys

from absl import flags, logging

_VIDEO = flags.DEFINE_string(
    "video", None, "A video file, a URL, or the number of a camera.", required=True
)
_INITIAL_BOX = flags.DEFINE_list(
    "initial_box",
    None,
    "x,y,w,h of the target in the first frame, in pixels as OpenCV counts them, for "
    "trackers that start on a given target.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Video to write, .mp4 or .avi.")
_SHOW = flags.DEFINE_boolean("show", False, "Show the video; the key q ends it.")

# What MPEG-4 can take: its clock has 16 bits. Files without a rate say 0 or more.
_RATES, _USUAL_RATE = (1.0, 1000.0), 25.0


def is_stream():
    """Whether frames come one after the other, perhaps without end."""
    return not pathlib.Path(_VIDEO.value).is_file()


def initial_box():
    """The flag's (x, y, w, h), or None."""
    if _INITIAL_BOX.value is None:
        return None
    try:
        x, y, w, h = map(float, _INITIAL_BOX.value)
    except ValueError:
        raise ValueError(
            "Expected --initial_box=x,y,w,h, four numbers. Received: "
            f"{','.join(_INITIAL_BOX.value)}"
        ) from None
    return x, y, w, h


class Video:
    """The video of the flag, opened once.

    Attributes:
        frames_per_second: as it says, or 25 where it says nothing that is one.

    Raises:
        ValueError: if it cannot be opened.
    """

    def __init__(self):
        from ratm_tf.opencv import cv2

        source = _VIDEO.value
        camera = source.isdecimal() and not os.path.exists(source)
        self._capture = cv2.VideoCapture(int(source) if camera else source)
        if not self._capture.isOpened():
            raise ValueError(
                f"Expected --video to be a video that OpenCV opens. Received: {source}"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        low, high = _RATES
        self.frames_per_second = rate if low <= rate <= high else _USUAL_RATE
        self._announced = 0
        if not camera and not is_stream():
            self._announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def frames(self):
        """Yields the frames, BGR, to the end; once.

        Raises:
            ValueError: if there is none.
        """
        count = 0
        with contextlib.closing(self):
            while (read := self._capture.read())[0]:
                count += 1
                yield read[1]
        if not count:
            raise ValueError(f"Expected --video with frames. Received: {_VIDEO.value}")
        if count < self._announced:
            logging.warning(
                "%s says that it has %d frames, and ended after %d",
                _VIDEO.value,
                self._announced,
                count,
            )

    def close(self):
        """Lets go of the file or the camera."""
        self._capture.release()


def report(tracked, frames_per_second):
    """Prints a line of JSON for each frame and its box, and draws them as flags say.

    Args:
        tracked: iterable of frames, BGR, boxes (x1, y1, x2, y2), float arrays, and
            scores, numbers in 0..1, or None where there is none.
        frames_per_second: of the video written.

    Raises:
        ValueError: if the flags say what cannot be.
    """
    with _Writer(frames_per_second) as write:
        for index, (frame, box, score) in enumerate(tracked):
            line = {"frame": index, "box": box.tolist()}
            if score is not None:
                line["score"] = round(float(score), 4)
            print(json.dumps(line), flush=True)
            if not write(frame, box):
                break


def check_output():
    """Checks, before anything is tracked, what can be known of the output.

    Raises:
        ValueError: if it cannot be written, is the video itself, or there is no
            display to show it on.
    """
    if _OUTPUT.value:
        from ratm_tf.opencv import VIDEO_CODES

        path = pathlib.Path(_OUTPUT.value)
        if path.suffix not in VIDEO_CODES:
            raise ValueError(
                f"Expected --output to end in {' or '.join(VIDEO_CODES)}. Received: "
                f"{path}"
            )
        if path.exists() and not is_stream() and path.samefile(_VIDEO.value):
            raise ValueError(f"Expected --output other than --video. Received: {path}")
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise ValueError(
                f"Expected --output in a folder that can be written. Received: {path}"
            )
    if _SHOW.value and os.name == "posix" and not _display():
        raise ValueError(
            "Expected a display for --show. Received neither DISPLAY nor "
            "WAYLAND_DISPLAY: use --output"
        )


def _display():
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


class _Writer:
    """Draws boxes into a video file, on the screen, or nowhere."""

    def __init__(self, frames_per_second):
        check_output()
        self._frames_per_second = frames_per_second
        self._file = None

    def __enter__(self):
        return self._write

    def __exit__(self, *_):
        if self._file is not None:
            self._file.release()

    def _write(self, frame, box):
        """Returns whether to go on."""
        if not _OUTPUT.value and not _SHOW.value:
            return True
        from ratm_tf.opencv import cv2, open_video
        from ratm_tf.visualize import RED, draw_boxes

        drawn = draw_boxes(frame[None], box[None], RED[::-1], scale=1)[0]
        if _OUTPUT.value:
            self._file = self._file or open_video(
                _OUTPUT.value, self._frames_per_second, drawn.shape
            )
            self._file.write(drawn)
        if _SHOW.value:
            cv2.imshow(_VIDEO.value, drawn)
            return cv2.waitKey(1) != ord("q")
        return True
