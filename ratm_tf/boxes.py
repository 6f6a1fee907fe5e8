"""Boxes, and the windows that see them: the one home of the box conventions.

A *box* is `(x1, y1, x2, y2)` in pixels with its edges included. Pixel centres sit on
the integers, `x` runs along the columns, and pixel `a` covers `[a - 0.5, a + 0.5]`: the
box of a whole frame is `(-0.5, -0.5, W - 0.5, H - 0.5)`.

A window has two boxes. The *corner* box goes through the outermost grid centres,
`mu[0]..mu[-1]` of Eq. 9, and is the paper's predicted box (section 5.2, Eq. 17). The
*extent* box has half a stride more on every side: what the glimpse covers.

OpenCV and the files of many data sets have boxes as `(x, y, w, h)`, where `x` is the
index of the first pixel column, whose left edge is `x - 0.5` here.
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ratm_tf.types import Kind, Size, TensorLike

KINDS: tuple[Kind, ...] = ("corner", "extent")


def _as_xy(size):
    """Turns (rows, columns) into a float32 (columns, rows) vector."""
    rows, columns = size
    return tf.stack([tf.cast(columns, tf.float32), tf.cast(rows, tf.float32)], axis=-1)


def _as_real(values):
    """A floating tensor of what may be one, an array or a list of numbers."""
    values = tf.convert_to_tensor(values)
    return values if values.dtype.is_floating else tf.cast(values, tf.float32)


def _steps(glimpse_size, kind):
    """How many strides wide and high a window's box is."""
    if kind not in KINDS:
        raise ValueError(f"Expected `kind` to be one of {KINDS}. Received: {kind!r}")
    return _as_xy(glimpse_size) - (1.0 if kind == "corner" else 0.0)


def box_from_window(window: TensorLike, glimpse_size: Size, kind: Kind) -> tf.Tensor:
    """The box that a window draws on a frame.

    Args:
        window: real `[..., 6]` in pixels, a tensor or array-like.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.
        kind: `"corner"` or `"extent"`.

    Returns:
        Boxes `[..., 4]` as `(x1, y1, x2, y2)` in pixels.

    Raises:
        ValueError: `kind` is another.

    Example:
    >>> window = tf.constant([10.0, 20.0, 1.0, 1.0, 2.0, 1.0])
    >>> box_from_window(window, (5, 5), "corner").numpy()
    array([ 6., 18., 14., 22.], dtype=float32)
    """
    window = _as_real(window)
    center = window[..., 0:2]
    steps = tf.cast(_steps(glimpse_size, kind), window.dtype)
    half = tf.abs(window[..., 4:6]) * steps / 2.0
    return tf.concat([center - half, center + half], axis=-1)


def corner_box(window: TensorLike, glimpse_size: Size) -> tf.Tensor:
    """The box through the outermost grid centres, `mu[0]..mu[-1]` of Eq. 9.

    It is the paper's predicted box (section 5.2).

    Args:
        window: float tensor `[..., 6]` in pixels.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.

    Returns:
        Boxes `[..., 4]` as `(x1, y1, x2, y2)` in pixels.

    Example:
    >>> corner_box(tf.constant([10.0, 20.0, 1.0, 1.0, 2.0, 1.0]), (5, 5)).numpy()
    array([ 6., 18., 14., 22.], dtype=float32)
    """
    return box_from_window(window, glimpse_size, "corner")


def extent_box(window: TensorLike, glimpse_size: Size) -> tf.Tensor:
    """What the glimpse covers: the corner box plus half a stride on every side.

    Args:
        window: float tensor `[..., 6]` in pixels.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.

    Returns:
        Boxes `[..., 4]` as `(x1, y1, x2, y2)` in pixels.

    Example:
    >>> extent_box(tf.constant([10.0, 20.0, 1.0, 1.0, 2.0, 1.0]), (5, 5)).numpy()
    array([ 5. , 17.5, 15. , 22.5], dtype=float32)
    """
    return box_from_window(window, glimpse_size, "extent")


def window_from_box(
    box: TensorLike, glimpse_size: Size, kind: Kind = "extent"
) -> tf.Tensor:
    """The window that draws `box`, with sigma at half its stride.

    Args:
        box: float tensor `[..., 4]` as `(x1, y1, x2, y2)` in pixels.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.
        kind: which of the window's boxes is `box`, `"corner"` or `"extent"`. Along an
            axis with one grid centre, whose corner box is a point, it is the extent.

    Returns:
        The window, float32 `[..., 6]`, in pixels.

    Raises:
        ValueError: `kind` is another.

    Example:
    >>> window_from_box(tf.constant([5.0, 17.5, 15.0, 22.5]), (5, 5)).numpy()
    array([10. , 20. ,  1. ,  0.5,  2. ,  1. ], dtype=float32)
    """
    first, last = tf.split(tf.cast(box, tf.float32), 2, axis=-1)
    stride = (last - first) / tf.maximum(_steps(glimpse_size, kind), 1.0)
    return tf.concat([(first + last) / 2.0, stride / 2.0, stride], axis=-1)


def scale_box(box: TensorLike, scale: float) -> tf.Tensor:
    """Enlarges boxes about their centres.

    Args:
        box: float tensor `[..., 4]` as `(x1, y1, x2, y2)` in pixels.
        scale: factor of width and height.

    Returns:
        Boxes `[..., 4]`.

    Example:
    >>> scale_box(tf.constant([6.0, 18.0, 14.0, 22.0]), 1.5).numpy()
    array([ 4., 17., 16., 23.], dtype=float32)
    """
    first, last = tf.split(_as_real(box), 2, axis=-1)
    margin = (last - first) * ((scale - 1.0) / 2.0)
    return tf.concat([first - margin, last + margin], axis=-1)


def xyxy_from_xywh(box: npt.ArrayLike) -> np.ndarray:
    """Turns OpenCV's boxes into ours.

    Args:
        box: array-like `[..., 4]` of `(x, y, w, h)` in pixels, `x` and `y` counted
            from 0.

    Returns:
        NumPy array `[..., 4]` as `(x1, y1, x2, y2)`, of the dtype of `box`, or float64
        if that holds integers.

    Example:
    >>> xyxy_from_xywh([10, 20, 4, 2])
    array([ 9.5, 19.5, 13.5, 21.5])
    """
    numbers = _floating(box)
    first, size = numbers[..., :2], numbers[..., 2:]
    return np.concatenate([first - 0.5, first - 0.5 + size], axis=-1)


def xywh_from_xyxy(box: npt.ArrayLike) -> np.ndarray:
    """Turns our boxes into OpenCV's: the inverse of `xyxy_from_xywh`.

    Args:
        box: array-like `[..., 4]` as `(x1, y1, x2, y2)` in pixels.

    Returns:
        NumPy array `[..., 4]` of `(x, y, w, h)`, of the dtype of `box`, or float64 if
        that holds integers.

    Example:
    >>> xywh_from_xyxy([9.5, 19.5, 13.5, 21.5])
    array([10., 20.,  4.,  2.])
    """
    edges = _floating(box)
    first, last = edges[..., :2], edges[..., 2:]
    return np.concatenate([first + 0.5, last - first], axis=-1)


def _floating(box):
    box = np.asarray(box)
    return box if np.issubdtype(box.dtype, np.floating) else box.astype(np.float64)


def iou(boxes_a: TensorLike, boxes_b: TensorLike) -> tf.Tensor:
    """Intersection over union of two sets of boxes, pair by pair.

    Args:
        boxes_a: real `[..., 4]` as `(x1, y1, x2, y2)` in pixels, a tensor or
            array-like; integers count as float32.
        boxes_b: likewise.

    Returns:
        IoU in 0..1, `[...]`, of the wider dtype; 0 where both boxes are empty.

    Example:
    >>> a, b = tf.constant([0.0, 0.0, 2.0, 2.0]), tf.constant([1.0, 0.0, 3.0, 2.0])
    >>> round(float(iou(a, b)), 3)
    0.333
    """
    boxes_a, boxes_b = _as_real(boxes_a), _as_real(boxes_b)
    dtype = max(boxes_a.dtype, boxes_b.dtype, key=lambda dtype: dtype.size)
    boxes_a, boxes_b = tf.cast(boxes_a, dtype), tf.cast(boxes_b, dtype)
    intersection = _area(
        tf.concat(
            [
                tf.maximum(boxes_a[..., 0:2], boxes_b[..., 0:2]),
                tf.minimum(boxes_a[..., 2:4], boxes_b[..., 2:4]),
            ],
            axis=-1,
        )
    )
    union = _area(boxes_a) + _area(boxes_b) - intersection
    return tf.math.divide_no_nan(intersection, union)


def _area(boxes):
    return tf.reduce_prod(tf.maximum(boxes[..., 2:4] - boxes[..., 0:2], 0.0), axis=-1)
