"""Pictures from files, in the one grey that trackers know."""

from ratm_tf.opencv import cv2

# As they are stored, as a graph decodes them: an orientation in a file's EXIF is not
# what boxes beside it are about.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_CODES = {1: cv2.COLOR_BGR2GRAY, 3: cv2.COLOR_BGR2RGB}


def read_picture(path, channels=1):
    """Reads a picture of any format that OpenCV knows, as its pixels are stored.

    As `ratm_tf.export.decode_images`, it does not turn what EXIF says was turned.

    Args:
        path: the file.
        channels: 1 for grey as `ratm_tf.colour` has it, which is not what the decoders
            of some formats make of colours; 3 for RGB.

    Returns:
        uint8 of shape [H, W, channels], 0..255.

    Raises:
        ValueError: the file is no such picture.

    Example:
    >>> from ratm_tf.datasets.sources.pictures import read_picture
    >>> read_picture("0001.jpg")
    Traceback (most recent call last):
    ValueError: Expected 0001.jpg to be a picture that OpenCV reads.
    """
    picture = cv2.imread(str(path), _FLAGS)
    if picture is None:
        raise ValueError(f"Expected {path} to be a picture that OpenCV reads.")
    return from_opencv(picture, channels)


def from_opencv(picture, channels=1):
    """Turns a picture of OpenCV's into grey or RGB.

    Args:
        picture: uint8 of shape [H, W, 3], BGR.
        channels: as in `read_picture`.

    Returns:
        uint8 of shape [H, W, channels].

    Example:
    >>> from ratm_tf.datasets.sources.pictures import from_opencv
    >>> red = np.uint8([[[0, 0, 255]]])
    >>> from_opencv(red), from_opencv(red, channels=3)
    (array([[[76]]], dtype=uint8), array([[[255, 0, 0]]], dtype=uint8))
    """
    converted = cv2.cvtColor(picture, _CODES[channels])
    return converted.reshape([*converted.shape[:2], channels])
