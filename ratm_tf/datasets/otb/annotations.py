"""The box files of TB-100."""

import pathlib
import re

import numpy as np

from ratm_tf.boxes import xyxy_from_xywh


def read_boxes(path):
    """Reads a `groundtruth_rect.txt`.

    A row is `x y w h` of a frame's box, the top left pixel counted from (1, 1),
    separated by commas, tabs or spaces.

    Args:
        path: the file.

    Returns:
        Float32 of shape [T, 4], `(x1, y1, x2, y2)` in pixels, edges included, pixel `a`
        covering `[a - 0.5, a + 0.5]`.

    Raises:
        ValueError: a row is not a box with an inside, named by file and line, or there
            is none.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.otb.annotations import read_boxes
    >>> path = pathlib.Path(tempfile.mkdtemp(), "groundtruth_rect.txt")
    >>> _ = path.write_text("11,21,4,8")
    >>> read_boxes(path)
    array([[ 9.5, 19.5, 13.5, 27.5]], dtype=float32)
    """
    rows = pathlib.Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").rstrip()
    if not rows:
        raise ValueError(f"Expected {path} to have boxes. Received: none")
    boxes = []
    for number, row in enumerate(rows.splitlines(), start=1):
        words = re.split(rb"[,\s]+", row.strip(b", \t"))
        try:
            x, y, width, height = box = list(map(float, words))
        except ValueError:
            box = [np.nan]
        if not (np.isfinite(box).all() and width > 0 and height > 0):
            raise ValueError(
                f"{path}:{number}: Expected x y w h of a box. Received: {row[:80]!r}"
            )
        boxes.append([x - 1, y - 1, width, height])
    return xyxy_from_xywh(boxes).astype(np.float32)
