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
        ValueError: a row is bad, named by file and line, or there is none.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.otb.annotations import read_boxes
    >>> path = pathlib.Path(tempfile.mkdtemp(), "groundtruth_rect.txt")
    >>> _ = path.write_text("11,21,4,8")
    >>> read_boxes(path)
    array([[ 9.5, 19.5, 13.5, 27.5]], dtype=float32)
    """
    boxes = []
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            x, y, w, h = map(float, re.split(r"[,\s]+", line.strip()))
        except ValueError as error:
            raise ValueError(
                f"{path}:{number}: Expected x y w h. Received: {line!r}"
            ) from error
        boxes.append([x - 1, y - 1, w, h])
    if not boxes:
        raise ValueError(f"Expected {path} to have boxes. Received: none")
    return xyxy_from_xywh(boxes).astype(np.float32)
