"""The frames of a video, as players show them."""

import numpy as np

from ratm_tf.datasets.sources.pictures import from_opencv, read_picture
from ratm_tf.opencv import cv2


def read_frames(video, frame_size=None, channels=1):
    """Reads a video's frames.

    Videos are turned as their files say, as far as OpenCV does so; pictures are not.

    Args:
        video: a `ratm_tf.datasets.annotated.folder.Video`.
        frame_size: (height, width) that frames are resized to, in their proportions,
            with black to the right or below; None leaves them as they are.
        channels: 1 for grey, 3 for RGB.

    Returns:
        `(frames, scale)`: uint8 of shape [T, H, W, channels], and how many times wider
        and higher pictures have become, float [2].

    Raises:
        ValueError: the video or a picture cannot be read, or its size changes.

    Example:
    >>> import pathlib
    >>> from ratm_tf.datasets.annotated.folder import Video
    >>> from ratm_tf.datasets.annotated.frames import read_frames
    >>> read_frames(Video("clip.mp4", pathlib.Path("clip.mp4"), (), {}))
    Traceback (most recent call last):
    ValueError: Expected clip.mp4 to be a video that OpenCV reads.
    """
    frames, size, scale = [], None, np.ones(2)
    for frame in _frames(video, channels):
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise ValueError(
                f"Expected {video.path} to have frames of one size, {size}. Received: "
                f"{frame.shape[:2]} in frame {len(frames)}"
            )
        if frame_size is not None:
            frame, scale = fitted(frame, frame_size)
        frames.append(frame)
    if not frames:
        raise ValueError(f"Expected {video.path} to be a video that OpenCV reads.")
    return np.stack(frames), scale


def fitted(picture, size):
    """Resizes a picture in its proportions, with black to the right or below.

    Args:
        picture: uint8 of shape [H, W, C].
        size: (height, width) of the result.

    Returns:
        `(fitted, scale)`: uint8 of shape [height, width, C], and how many times wider
        and higher the picture has become, float [2].

    Example:
    >>> from ratm_tf.datasets.annotated.frames import fitted
    >>> picture, scale = fitted(np.full([50, 100, 1], 9, np.uint8), (40, 40))
    >>> picture[:, 0, 0].nonzero()[0].size, scale
    (20, array([0.4, 0.4]))
    """
    (height, width), (rows, columns) = size, picture.shape[:2]
    factor = min(height / rows, width / columns)
    fits = max(1, round(columns * factor)), max(1, round(rows * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    result = np.zeros([height, width, picture.shape[2]], np.uint8)
    resized = cv2.resize(picture, fits, interpolation=way)
    result[: fits[1], : fits[0]] = resized.reshape([*fits[::-1], -1])
    return result, np.divide(fits, (columns, rows))


def _frames(video, channels):
    if video.pictures:
        for path in video.pictures:
            yield read_picture(path, channels)
        return
    capture = cv2.VideoCapture(str(video.path))
    try:
        while (read := capture.read())[0]:
            yield from_opencv(read[1], channels)
    finally:
        capture.release()
