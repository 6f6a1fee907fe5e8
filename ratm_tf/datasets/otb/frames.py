"""The pictures of a sequence of TB-100."""

import pathlib
import re

import numpy as np

from ratm_tf.datasets.sources.pictures import read_picture

# First and last picture with a box, where a sequence has others, too:
# http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html
_SPANS = {
    "david": (300, 770),
    "diving": (1, 215),
    "football1": (1, 74),
    "freeman3": (1, 460),
    "freeman4": (1, 283),
}
_PICTURES = {".bmp", ".jpeg", ".jpg", ".png"}


def find_frames(folder):
    """Finds the pictures that have boxes, in the order of their numbers.

    Hidden files and files that are no pictures do not count.

    Args:
        folder: of the sequence; its name tells which pictures have boxes, its folder
            `img` has them.

    Returns:
        Non-empty list of paths.

    Raises:
        ValueError: a picture is missing, or there is one whose place is not known.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.otb.frames import find_frames
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "img").mkdir()
    >>> for number in (9, 10):
    ...     (folder / "img" / f"{number}.jpg").touch()
    >>> [path.name for path in find_frames(folder)]
    ['9.jpg', '10.jpg']
    """
    folder = pathlib.Path(folder)
    paths = {}
    for path in sorted((folder / "img").iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in _PICTURES:
            continue
        number = re.search(r"\d+$", path.stem)
        if number is None or int(number[0]) in paths:
            raise ValueError(
                f"Expected pictures in {path.parent} with a number of their own. "
                f"Received: {path.name}"
            )
        paths[int(number[0])] = path
    if not paths:
        raise ValueError(f"Expected pictures in {folder / 'img'}. Received: none")
    first, last = _SPANS.get(folder.name.lower(), (min(paths), max(paths)))
    missing = sorted(set(range(first, last + 1)) - set(paths))
    if missing:
        raise ValueError(
            f"Expected a picture {missing[0]} in {folder / 'img'}, the frame "
            f"{missing[0] - first + 1}. Received: {len(paths)} others"
        )
    return [paths[number] for number in range(first, last + 1)]


def read_frames(paths, channels):
    """Reads pictures.

    Args:
        paths: list of paths of pictures of one size.
        channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 of shape [T, H, W, channels].

    Raises:
        ValueError: a picture cannot be read or has another size than the first one.

    Example:
    >>> from ratm_tf.datasets.otb.frames import read_frames
    >>> read_frames(["0001.jpg"], channels=1)
    Traceback (most recent call last):
    ValueError: Expected 0001.jpg to be a picture that OpenCV reads.
    """
    frames = []
    for path in paths:
        frames.append(read_picture(path, channels))
        if frames[-1].shape != frames[0].shape:
            raise ValueError(
                f"Expected {path} to have the shape {frames[0].shape[:2]} of the "
                f"first frame. Received: {frames[-1].shape[:2]}"
            )
    return np.stack(frames)
