"""A cut-out person that moves its legs."""

import numpy as np

from ratm_tf.opencv import cv2

PHASES = 12
_POSES = PHASES // 2 + 1  # The legs close as they have opened.
_HIP = 0.48


def stride_cycle(cutout, height, spread, lean):
    """Draws a person in the poses of a stride.

    The legs are the halves of the cut-out below the hip, each sheared so that they
    open and close like scissors; the trunk leans.

    Args:
        cutout: a `Cutout`, whose greys may be float32.
        height: height of the person in pixels.
        spread: how far the feet get from under the hip, in leg lengths.
        lean: how far the head leans to the right, in body heights.

    Returns:
        A pair of `layers`, float32 of shape [7, 2, h, w], and `extents`, float32 of
        shape [7, 4], for one half of a stride, from open legs to legs that are open
        the other way; the other half goes back. A layer is a picture of the person,
        the grey of a pixel (0..255) times the part of it that the person covers, and
        that part. The hip is in the middle column. An extent is the box
        (x1, y1, x2, y2) around the person's pixels, edges included.

    Example:
    >>> from ratm_tf.datasets.people.gait import stride_cycle
    >>> from ratm_tf.datasets.sources.penn_fudan import Cutout
    >>> board = Cutout(np.full([104, 44], 99, np.uint8), np.ones([104, 44], np.float32))
    >>> layers, extents = stride_cycle(board, height=50.0, spread=0.0, lean=0.0)
    >>> layers.shape, extents.shape
    ((7, 2, 52, 27), (7, 4))
    """
    factor = height / (cutout.grey.shape[0] - 4)
    size = [max(round(n * factor), 1) for n in cutout.grey.shape[::-1]]
    # The same rule for every reduction: areas are averaged, so that nothing aliases.
    grey, alpha = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in cutout
    )
    person = cv2.merge([grey * alpha, alpha])

    rows, columns = alpha.shape
    hip = round(rows * _HIP)
    belt = hip + rows // 24  # Where the trunk ends.
    legs = rows - hip
    center = _mean_column(alpha[hip - rows // 12 : hip + rows // 12])
    middle = int(max(center, columns - center) + spread * legs + lean * rows) + 2
    width, shift = 2 * middle + 1, middle - center

    half = int(np.ceil(center))
    parts = []
    for x, leg in ((0, person[hip:, :half]), (half, person[hip:, half:])):
        foot = x + _mean_column(leg[-rows // 6 :, :, 1], center - x)
        parts.append((leg, (foot - center) / legs, x + shift))
    trunk = _sheared(person[:belt], -lean, shift + lean * hip, width)

    layers = np.zeros([_POSES, 2, rows, width], np.float32)
    for pose, layer in enumerate(layers):
        opening = spread * np.cos(2 * np.pi * pose / PHASES)
        for sign, (leg, slope, x) in zip((-1, 1), parts, strict=True):
            _put(layer[:, hip:], *_sheared(leg, sign * opening - slope, x, width))
        _put(layer[:, :belt], *trunk)
    return layers, np.stack([_extent(alpha) for _, alpha in layers])


def _mean_column(alpha, default=None):
    weights = alpha.sum(axis=0)
    if weights.sum() == 0:
        return alpha.shape[1] / 2 if default is None else default
    return float(weights @ np.arange(len(weights)) / weights.sum())


def _sheared(picture, slant, x, width):
    """The planes of a picture whose first row begins at `x`, and their first column."""
    rows, columns = picture.shape[:2]
    first = max(int(x + min(slant * rows, 0)) - 1, 0)
    last = min(int(x + columns + max(slant * rows, 0)) + 2, width)
    matrix = np.array([[1, slant, x - first], [0, 1, 0]])
    return cv2.split(cv2.warpAffine(picture, matrix, (last - first, rows))), first


def _put(layer, planes, first):
    _, covered = planes
    part = layer[:, :, first : first + covered.shape[1]]
    part *= 1 - covered
    part += planes


def _extent(alpha):
    x, y, width, height = cv2.boundingRect((alpha > 0.5).view(np.uint8))
    return np.float32([x, y, x + width, y + height]) - np.float32(0.5)
