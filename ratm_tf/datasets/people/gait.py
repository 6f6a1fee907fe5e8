"""A cut-out person that moves its legs."""

import numpy as np

from ratm_tf.opencv import cv2

PHASES = 12
_HIP = 0.48


def stride_cycle(cutout, height, spread, lean):
    """Draws a person in the phases of a stride.

    The legs are the halves of the cut-out below the hip, each sheared so that they
    open and close like scissors; the trunk leans.

    Args:
        cutout: a `Cutout`.
        height: height of the person in pixels.
        spread: how far the feet get from under the hip, in leg lengths.
        lean: how far the head leans to the right, in body heights.

    Returns:
        A pair of `layers`, float32 of shape [12, h, w, 2], and `extents`, float32 of
        shape [12, 4]. A layer is a picture of the person, the grey of a pixel (0..255)
        times the part of it that the person covers, and that part. The hip is in the
        middle column. An extent is the box (x1, y1, x2, y2) around the person's
        pixels, edges included.

    Example:
    >>> from ratm_tf.datasets.people.gait import stride_cycle
    >>> from ratm_tf.datasets.sources.penn_fudan import Cutout
    >>> board = Cutout(np.full([104, 44], 99, np.uint8), np.ones([104, 44], np.float32))
    >>> layers, extents = stride_cycle(board, height=50.0, spread=0.0, lean=0.0)
    >>> layers.shape, extents.shape
    ((12, 52, 27, 2), (12, 4))
    """
    factor = height / (cutout.grey.shape[0] - 4)
    size = [max(round(n * factor), 1) for n in cutout.grey.shape[::-1]]
    # The same rule for every reduction: areas are averaged, so that nothing aliases.
    grey, alpha = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in cutout
    )
    person = np.dstack([grey * alpha, alpha]).astype(np.float32)

    rows, columns = alpha.shape
    hip = round(rows * _HIP)
    legs = rows - hip
    center = _mean_column(alpha[hip - rows // 12 : hip + rows // 12])
    middle = int(max(center, columns - center) + spread * legs + lean * rows) + 2
    width = 2 * middle + 1

    parts = []
    for side in (np.arange(columns) < center, np.arange(columns) >= center):
        leg = person * side[:, np.newaxis]
        leg[:hip] = 0
        slope = (_mean_column(leg[-rows // 6 :, :, 1], center) - center) / legs
        parts.append((leg, slope))
    trunk = person.copy()
    trunk[hip + rows // 24 :] = 0

    layers = np.zeros([PHASES, rows, width, 2], np.float32)
    for phase, layer in enumerate(layers):
        opening = spread * np.cos(2 * np.pi * phase / PHASES)
        for sign, (leg, slope) in zip((-1, 1), parts, strict=True):
            slant = sign * opening - slope
            _put(layer, _sheared(leg, slant, hip, middle - center, width))
        _put(layer, _sheared(trunk, -lean, hip, middle - center, width))
    return layers, np.stack([_extent(layer[..., 1]) for layer in layers])


def _mean_column(alpha, default=None):
    weights = alpha.sum(axis=0)
    if weights.sum() == 0:
        return alpha.shape[1] / 2 if default is None else default
    return float(weights @ np.arange(len(weights)) / weights.sum())


def _sheared(image, slant, pivot, shift, width):
    matrix = np.array([[1, slant, shift - slant * pivot], [0, 1, 0]])
    return cv2.warpAffine(image, matrix, (width, image.shape[0]))


def _put(layer, above):
    layer *= 1 - above[..., 1:]
    layer += above


def _extent(alpha):
    (columns,) = np.nonzero((alpha > 0.5).any(axis=0))
    (rows,) = np.nonzero((alpha > 0.5).any(axis=1))
    return np.float32(
        [columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5]
    )
