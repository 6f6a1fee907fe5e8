"""OpenCV, from whichever of its packages is installed.

`opencv-python`, `opencv-python-headless` and the two `contrib` ones all bring the
module `cv2`, and only one of them may be installed. So this package asks for none by
itself: its extra `video` brings the headless one.
"""

try:
    import cv2
except ImportError as error:
    raise ImportError(
        "Expected OpenCV, to read, write and draw images. Install one of its packages: "
        "`pip install opencv-python-headless`, or `opencv-python` to show windows. "
        f"Received: {error}"
    ) from error

__all__ = ["cv2"]
