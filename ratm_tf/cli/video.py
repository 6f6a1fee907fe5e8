"""The video that a program tracks: its flags, its frames, and what is shown of them."""

import json

from absl import app, flags

_VIDEO = flags.DEFINE_string(
    "video", None, "A video file, or the number of a camera.", required=True
)
_INITIAL_BOX = flags.DEFINE_list(
    "initial_box",
    None,
    "x,y,w,h of the target in the first frame, in pixels as OpenCV counts them, for "
    "trackers that start on a given target.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Video to write, .mp4 or .avi.")
_SHOW = flags.DEFINE_boolean("show", False, "Show the video; the key q ends it.")


def is_camera():
    """Whether frames come without end."""
    return _VIDEO.value.isdecimal()


def frames():
    """Yields the video's frames, BGR."""
    capture = _open()
    try:
        while (read := capture.read())[0]:
            yield read[1]
    finally:
        capture.release()


def initial_box():
    """The flag's (x, y, w, h), or None."""
    if _INITIAL_BOX.value is None:
        return None
    try:
        x, y, w, h = map(float, _INITIAL_BOX.value)
    except ValueError:
        raise app.UsageError(
            "Expected --initial_box=x,y,w,h, four numbers. Received: "
            f"{','.join(_INITIAL_BOX.value)}"
        ) from None
    return x, y, w, h


def report(tracked):
    """Prints a line of JSON for each frame and its box, and draws them as flags say.

    Args:
        tracked: iterable of frames, BGR, and boxes (x1, y1, x2, y2), float arrays.
    """
    from ratm_tf.opencv import cv2
    from ratm_tf.visualize import RED, draw_boxes

    writer = None
    try:
        for index, (frame, box) in enumerate(tracked):
            print(json.dumps({"frame": index, "box": box.tolist()}), flush=True)
            drawn = draw_boxes(frame[None], box[None], RED[::-1], scale=1)[0]
            if _OUTPUT.value:
                writer = writer or _open_writer(drawn)
                writer.write(drawn)
            if _SHOW.value:
                cv2.imshow(_VIDEO.value, drawn)
                if cv2.waitKey(1) == ord("q"):
                    break
    finally:
        if writer is not None:
            writer.release()


def _open():
    from ratm_tf.opencv import cv2

    video = _VIDEO.value
    capture = cv2.VideoCapture(int(video) if is_camera() else video)
    if not capture.isOpened():
        raise ValueError(f"--video={video}: OpenCV cannot open it.")
    return capture


def _open_writer(frame):
    """A video file for frames of this size, as fast as the video."""
    from ratm_tf.opencv import cv2

    # Cameras do not say how fast they are.
    rate = 25.0 if is_camera() else _open().get(cv2.CAP_PROP_FPS) or 25.0
    path = _OUTPUT.value
    code = "MJPG" if path.endswith(".avi") else "mp4v"
    size = frame.shape[1::-1]
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*code), rate, size)
    if not writer.isOpened():
        raise ValueError(f"--output={path}: OpenCV cannot write it.")
    return writer
