"""The files that say where targets are in a video.

Each reader yields a `Row` for a target's box in a frame; frames without one have none.
"""

import csv
import dataclasses
import math
import re
from xml.etree import ElementTree

import numpy as np

from ratm_tf.boxes import xywh_from_xyxy, xyxy_from_xywh
from ratm_tf.datasets.otb.annotations import read_boxes

_BOX_COLUMNS = {
    "x": ("x", "left", "xmin", "x_min", "x1", "xtl", "bb_left", "bbox_x"),
    "y": ("y", "top", "ymin", "y_min", "y1", "ytl", "bb_top", "bbox_y"),
    "w": ("w", "width", "bb_width", "bbox_w", "bbox_width"),
    "h": ("h", "height", "bb_height", "bbox_h", "bbox_height"),
    "x2": ("x2", "right", "xmax", "x_max", "xbr"),
    "y2": ("y2", "bottom", "ymax", "y_max", "ybr"),
}
_COLUMNS = _BOX_COLUMNS | {
    "frame": ("frame", "frame_id", "frame_index", "frame_number"),
    "picture": ("file", "file_name", "filename", "image", "image_name", "picture"),
    "track": ("track_id", "track", "target", "target_id", "object_id", "id"),
    "label": ("label", "class", "class_name", "category"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A target's box in a frame.

    Attributes:
        place: the file and what in it, for messages.
        frame: its number in the video, from 0.
        target: the target's name among those of the video; "" of the only one.
        box: `(x, y, w, h)` in pixels as OpenCV has it, floats.
    """

    place: str
    frame: int
    target: str
    box: tuple[float, float, float, float]

    def __post_init__(self):
        if self.frame < 0:
            raise ValueError(
                f"{self.place}: Expected frames from the first one on. Received: "
                f"{self.frame} before it"
            )
        if not (np.isfinite(self.box).all() and min(self.box[2:]) > 0):
            raise ValueError(
                f"{self.place}: Expected a box with an inside. Received x, y, w, h: "
                f"{self.box}"
            )

    @property
    def xyxy(self):
        """The box as `(x1, y1, x2, y2)`, see `ratm_tf.boxes`."""
        return xyxy_from_xywh(self.box)


def by_target(rows):
    """Sorts rows by target and frame.

    Args:
        rows: iterable of `Row`.

    Returns:
        Dict of lists of rows in the order of their frames, by target.

    Raises:
        ValueError: a target has two boxes in a frame.

    Example:
    >>> from ratm_tf.datasets.annotated.annotations import Row, by_target
    >>> rows = [Row(f"cat.csv:{9 - n}", n, "cat", (n, 2, 3, 4)) for n in (5, 4)]
    >>> [row.frame for row in by_target(rows)["cat"]]
    [4, 5]
    """
    targets = {}
    for row in rows:
        frames = targets.setdefault(row.target, {})
        if row.frame in frames:
            of_target = f" of {row.target!r}" if row.target else ""
            raise ValueError(
                f"{row.place}: Expected one box{of_target} in a frame; several targets "
                f"have a `track_id` each. Received another: {frames[row.frame].place}"
            )
        frames[row.frame] = row
    return {
        name: [frames[number] for number in sorted(frames)]
        for name, frames in targets.items()
    }


def read_csv(path, pictures=(), first_frame=0):
    r"""Reads a table with a header, separated by commas, semicolons or tabs.

    Its columns are `frame`, or `file` for the name of a frame's picture; `x`, `y`, `w`,
    `h`, as OpenCV has them, or the edges `x1`, `y1`, `x2`, `y2`, where `x2` is
    `x1 + w`; and optionally `track_id` and `label`, for several targets. Other usual
    names will do: `frame_id`, `image`, `left`, `top`, `width`, `height`, `xmin`,
    `bb_left`, ... Rows whose box is empty are frames without one.

    Args:
        path: the file.
        pictures: the names of the video's pictures in their order, if it is of some.
        first_frame: the number of the first frame in the column `frame`.

    Yields:
        A `Row` for each box.

    Raises:
        ValueError: the header or a row cannot be understood, by file and line.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.annotated.annotations import read_csv
    >>> path = pathlib.Path(tempfile.mkdtemp(), "clip.csv")
    >>> _ = path.write_text("frame,left,top,width,height\n7,10,20,4,2\n")
    >>> [row] = read_csv(path)
    >>> row.frame, row.xyxy
    (7, array([ 9.5, 19.5, 13.5, 21.5]))
    """
    numbers = {name: number for number, name in enumerate(pictures)}
    with open(path, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        separator = max(",;\t", key=header.count)
        names = [
            re.sub(r"\W+", "_", n.strip().lower()) for n in header.split(separator)
        ]
        names = [name.strip("_") for name in names]
        columns = {
            column: names.index(known[0])
            for column, usual in _COLUMNS.items()
            if (known := [name for name in usual if name in names])
        }
        last = ("x2", "y2") if {"x2", "y2"} <= columns.keys() else ("w", "h")
        box_columns = ("x", "y", *last)
        if not {*box_columns} <= columns.keys() or not {"frame", "picture"} & {
            *columns
        }:
            raise ValueError(
                f"{path}:1: Expected the columns frame (or file), x, y, w, h (or x1, "
                f"y1, x2, y2). Received: {header.strip()[:200]!r}"
            )
        reader = csv.reader(file, delimiter=separator)
        for cells in reader:
            place = f"{path}:{reader.line_num + 1}"
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if len(cells) < len(names):
                raise ValueError(
                    f"{place}: Expected {len(names)} columns. Received: {len(cells)}"
                )
            row = {column: cells[index] for column, index in columns.items()}
            box = [row[column] for column in box_columns]
            if not any(box) or {cell.lower() for cell in box} == {"nan"}:
                continue
            x, y, *size = (_number(place, cell) for cell in box)
            if last == ("x2", "y2"):
                size = size[0] - x, size[1] - y
            if "frame" in row:
                frame = _whole(place, row["frame"]) - first_frame
            else:
                frame = numbers.get(re.split(r"[/\\]", row["picture"])[-1])
                if frame is None:
                    raise ValueError(
                        f"{place}: Expected one of the video's pictures. Received: "
                        f"{row['picture']!r}"
                    )
            target = [row[name] for name in ("label", "track") if row.get(name)]
            yield Row(place, frame, " ".join(target), (x, y, *size))


def read_mot(path):
    r"""Reads a `gt.txt` of the MOT Challenge.

    A row is `frame, id, left, top, width, height, considered, class, visibility`, the
    last three optional; frames and pixels are counted from 1. Rows of which
    `considered` is 0 are left out.

    Args:
        path: the file.

    Yields:
        A `Row` for each box.

    Raises:
        ValueError: a row cannot be understood, by file and line.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.annotated.annotations import read_mot
    >>> path = pathlib.Path(tempfile.mkdtemp(), "gt.txt")
    >>> _ = path.write_text("1,3,11,21,4,2,1,1,1.0\n2,3,11,21,4,2,0,1,1.0\n")
    >>> list(read_mot(path))
    [Row(place='...gt.txt:1', frame=0, target='3', box=(10.0, 20.0, 4.0, 2.0))]
    """
    with open(path, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place, cells = f"{path}:{number}", line.strip().rstrip(",").split(",")
            if len(cells) < 6:
                raise ValueError(
                    f"{place}: Expected frame,id,left,top,width,height. Received: "
                    f"{line[:80]!r}"
                )
            x, y, w, h = (_number(place, cell) for cell in cells[2:6])
            if len(cells) > 6 and _number(place, cells[6]) == 0:
                continue
            frame = _whole(place, cells[0]) - 1
            yield Row(place, frame, cells[1].strip(), (x - 1, y - 1, w, h))


def read_cvat(path):
    """Reads the XML that CVAT exports as "CVAT for video".

    Each of its tracks is a target; where a box is `outside`, there is none.

    Args:
        path: the file.

    Yields:
        A `Row` for each box.

    Raises:
        ValueError: there are no tracks, or a box cannot be understood.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.annotated.annotations import read_cvat
    >>> path = pathlib.Path(tempfile.mkdtemp(), "clip.xml")
    >>> box = '<box frame="7" xtl="10" ytl="20" xbr="14" ybr="22" outside="0"/>'
    >>> _ = path.write_text(f'<a><track id="0" label="cat">{box}</track></a>')
    >>> [row] = read_cvat(path)
    >>> row.frame, row.target, row.box
    (7, 'cat 0', (10.0, 20.0, 4.0, 2.0))
    """
    try:
        tracks = ElementTree.parse(path).findall("track")
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: Expected XML. Received: {error}") from error
    if not tracks:
        raise ValueError(
            f'{path}: Expected tracks, as CVAT exports "CVAT for video". Received: none'
        )
    for track in tracks:
        target = f"{track.get('label', '')} {track.get('id', '')}".strip()
        for box in track.findall("box"):
            if box.get("outside") == "1":
                continue
            place = f"{path}: track {track.get('id')}, frame {box.get('frame')}"
            if _number(place, box.get("rotation", "0")):
                raise ValueError(f"{place}: Expected a box that is not rotated.")
            edges = (box.get(name, "") for name in ("xtl", "ytl", "xbr", "ybr"))
            x1, y1, x2, y2 = (_number(place, edge) for edge in edges)
            frame = _whole(place, box.get("frame", ""))
            yield Row(place, frame, target, (x1, y1, x2 - x1, y2 - y1))


def read_tb100(path):
    r"""Reads a `groundtruth_rect.txt`, as TB-100 has them.

    A row is `x y w h` of one frame after the other, pixels counted from 1. The number
    in `groundtruth_rect.2.txt` is the target's name.

    Args:
        path: the file, a `pathlib.Path`.

    Yields:
        A `Row` for each box.

    Raises:
        ValueError: a row is not a box with an inside, by file and line.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.annotated.annotations import read_tb100
    >>> path = pathlib.Path(tempfile.mkdtemp(), "groundtruth_rect.2.txt")
    >>> _ = path.write_text("11,21,4,2\n")
    >>> list(read_tb100(path))
    [Row(place='...rect.2.txt:1', frame=0, target='2', box=(10.0, 20.0, 4.0, 2.0))]
    """
    target = path.stem.partition(".")[2]
    for frame, box in enumerate(xywh_from_xyxy(read_boxes(path))):
        yield Row(f"{path}:{frame + 1}", frame, target, tuple(box.tolist()))


def _number(place, word):
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{place}: Expected a number. Received: {word!r}") from None


def _whole(place, word):
    number = _number(place, word)
    if not (math.isfinite(number) and number == int(number)):
        raise ValueError(f"{place}: Expected a whole number. Received: {word!r}")
    return int(number)
