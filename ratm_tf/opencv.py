"""OpenCV, from whichever of its packages is installed.

`opencv-python`, `opencv-python-headless` and the two `contrib` ones all bring the
module `cv2`, and only one of them may be installed. So this package asks for none by
itself: its extra `video` brings the headless one.
"""

import pathlib

try:
    import cv2
except ImportError as error:
    raise ImportError(
        "Expected OpenCV, to read, write and draw images. Install one of its packages: "
        "`pip install opencv-python-headless`, or `opencv-python` to show windows. "
        f"Received: {error}"
    ) from error

__all__ = ["VIDEO_CODES", "cv2", "open_video"]

VIDEO_CODES = {".avi": "MJPG", ".mp4": "mp4v"}
"""How videos are encoded, by the ending of their names."""


def open_video(path, frames_per_second, frame_shape):
    """Opens a video file to write.

    Args:
        path: where to, in a folder that is there; it ends in one of `VIDEO_CODES`.
        frames_per_second: its speed.
        frame_shape: (height, width, ...) of the frames.

    Returns:
        A `cv2.VideoWriter`, for frames in BGR.

    Raises:
        ValueError: If OpenCV cannot write the file.

    Example:
    >>> from ratm_tf.opencv import open_video
    >>> video = open_video("/tmp/black.avi", 10, (20, 30))
    >>> video.isOpened()
    True
    """
    code = cv2.VideoWriter.fourcc(*VIDEO_CODES[pathlib.Path(path).suffix])
    height, width = frame_shape[:2]
    video = cv2.VideoWriter(str(path), code, frames_per_second, (width, height))
    if not video.isOpened():
        raise ValueError(f"Expected a file that OpenCV can write. Received: {path}")
    return video
