"""One-pass evaluation, as the toolkits of TB-100 and GOT-10k do it.

*Raw results* are the boxes of a tracker, a text file a sequence, `x,y,w,h` a frame with
the first pixel at (1, 1). *Success* is the part of frames whose IoU is above a
threshold, *precision* the part whose centre is within some pixels of the true one; a
curve is of all thresholds, and curves are averaged over sequences (Wu, Lim and Yang,
2015). The first frame, which a tracker is given, counts as found.
"""

import pathlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ratm_tf.boxes import iou, xywh_from_xyxy, xyxy_from_xywh
from ratm_tf.types import Path

OVERLAPS = np.linspace(0, 1, 21)
"""The thresholds of success."""
DISTANCES = np.arange(51)
"""The thresholds of precision, in pixels."""
LOST = 10
"""Frames in a row without overlap after which a target counts as lost."""
FROM_ONE = (1, 1, 0, 0)
"""From OpenCV's `x, y, w, h` to those of raw results."""


def write_results(path: Path, boxes: npt.ArrayLike) -> None:
    """Writes the raw results of a sequence; missing folders are made.

    Args:
        path: the file.
        boxes: array-like `[T, 4]`, `(x1, y1, x2, y2)` in pixels as `ratm_tf.boxes` has
            them.

    Raises:
        OSError: it cannot be written.

    Example:
    >>> import pathlib
    >>> from ratm_tf.one_pass import write_results
    >>> write_results("/tmp/results/Couple.txt", [[9.5, 19.5, 13.5, 21.5]])
    >>> print(pathlib.Path("/tmp/results/Couple.txt").read_text().strip())
    11.000,21.000,4.000,2.000
    """
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    rows = xywh_from_xyxy(np.asarray(boxes, np.float64)) + FROM_ONE
    np.savetxt(path, rows, fmt="%.3f", delimiter=",")


def read_results(path: Path) -> np.ndarray:
    """Reads the raw results of a sequence.

    Args:
        path: the file: four numbers a row, apart by commas, tabs or spaces.

    Returns:
        float64 `[T, 4]`, `(x1, y1, x2, y2)` in pixels; NaN where the tracker said so.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds another thing.

    Example:
    >>> import pathlib
    >>> from ratm_tf.one_pass import read_results
    >>> _ = pathlib.Path("/tmp/Girl.txt").write_text("11 21 4 2")
    >>> read_results("/tmp/Girl.txt")
    array([[ 9.5, 19.5, 13.5, 21.5]])
    """
    text = pathlib.Path(path).read_text().replace(",", " ")
    try:
        rows = np.array([line.split() for line in text.splitlines()], np.float64)
    except ValueError:
        rows = np.zeros([])
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise ValueError(f"Expected {path} to have rows of x,y,w,h.")
    return xyxy_from_xywh(rows - FROM_ONE)


def measure(true_boxes: npt.ArrayLike, boxes: npt.ArrayLike) -> dict[str, np.ndarray]:
    """Measures a tracker on a sequence.

    Args:
        true_boxes: array-like `[T, 4]`, `(x1, y1, x2, y2)` in pixels; frames where they
            are NaN do not count.
        boxes: array-like `[T, 4]`, the tracker's; NaN is a miss.

    Returns:
        Dict: `iou`, the mean over frames; `success` [21] and `precision` [51], the
        parts of frames at `OVERLAPS` and `DISTANCES`; `kept`, the frames before the
        target was lost, and `lost`, whether it was.

    Raises:
        ValueError: the shapes differ, or no frame counts.

    Example:
    >>> from ratm_tf.one_pass import measure
    >>> true = np.array([[0, 0, 10, 10], [0, 0, 10, 10]])
    >>> measured = measure(true, true + [[0], [5]])  # Off by half a box in one of two.
    >>> measured["success"][[0, 10]], measured["precision"][[0, 10]]
    (array([1. , 0.5]), array([0.5, 1. ]))
    """
    true_boxes, boxes = np.array(true_boxes, float), np.array(boxes, float)
    if true_boxes.shape != boxes.shape or true_boxes.shape[1:] != (4,):
        raise ValueError(
            "Expected `true_boxes` and `boxes` of one shape [T, 4]. Received shapes: "
            f"{true_boxes.shape} and {boxes.shape}"
        )
    counts = np.isfinite(true_boxes).all(axis=1)
    if not counts.any():
        raise ValueError("Expected `true_boxes` with a box. Received: NaN alone")
    if counts[0]:
        boxes[0] = true_boxes[0]
    true_boxes, boxes = true_boxes[counts], boxes[counts]
    overlaps = np.nan_to_num(iou(true_boxes, boxes).numpy())
    centers = (true_boxes[:, :2] + true_boxes[:, 2:]) / 2
    found_centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    distances = np.linalg.norm(found_centers - centers, axis=1)
    misses = np.convolve(overlaps <= 0, np.ones(LOST), mode="valid")
    (losses,) = np.nonzero(misses == LOST)
    return {
        "iou": overlaps.mean(),
        "success": (overlaps[:, None] > OVERLAPS).mean(axis=0),
        "precision": (distances[:, None] <= DISTANCES).mean(axis=0),
        "kept": losses[0] if len(losses) else len(overlaps),
        "lost": len(losses) > 0,
    }


def mean(measured: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Averages over sequences what `measure` gives.

    Args:
        measured: non-empty iterable of results of `measure`.

    Returns:
        Dict of the same.

    Example:
    >>> from ratm_tf.one_pass import mean, measure
    >>> true = np.array([[0, 0, 10, 10], [0, 0, 10, 10]])
    >>> float(mean([measure(true, true), measure(true, true + [[0], [99]])])["iou"])
    0.75
    """
    measured = list(measured)
    return {name: np.mean([m[name] for m in measured], axis=0) for name in measured[0]}


def summary(measured: Iterable[dict[str, np.ndarray]]) -> dict[str, float]:
    """The figures that the field reports.

    Args:
        measured: non-empty iterable of results of `measure`, one a sequence.

    Returns:
        Dict of floats with three digits: the mean `iou`; `success_auc`, the area under
        the success curve; `precision_20`, the precision at 20 pixels; `kept`, the mean
        of the frames before a target was lost; and `lost`, the part of sequences in
        which it was.

    Example:
    >>> from ratm_tf.one_pass import measure, summary
    >>> true = np.array([[0, 0, 10, 10], [0, 0, 10, 10]])
    >>> figures = summary([measure(true, true + [[0], [5]])])
    >>> figures["iou"], figures["success_auc"], figures["precision_20"]
    (0.571, 0.548, 1.0)
    >>> figures["kept"], figures["lost"]
    (2.0, 0.0)
    """
    average = mean(measured)
    figures = {
        "iou": average["iou"],
        "success_auc": average["success"].mean(),
        "precision_20": average["precision"][20],
        "kept": average["kept"],
        "lost": average["lost"],
    }
    return {name: round(float(value), 3) for name, value in figures.items()}
