"""A cut-out that moves, deforms and is drawn into frames."""

import typing

import numpy as np

from ratm_tf.datasets.cutouts.motion import rotations
from ratm_tf.opencv import cv2

_LONGEST_BLUR = 24


class Bend(typing.NamedTuple):
    """How rows of a cut-out move, from the row `top` (0..1) down, most at the bottom.

    Attributes:
        top: where it begins.
        stride: by what share rows get wider and narrower, as legs do.
        sway: by what share of the width rows shift.
        waves: how many of the sway's waves fit.
    """

    top: float
    stride: float
    sway: float
    waves: float


class Sprite(typing.NamedTuple):
    """A cut-out with its way through a film.

    Attributes:
        image: RGBA, uint8 of shape [h, w, 4], colours multiplied with alpha.
        matrices: [T, 2, 3], from the bent image to frames.
        stretch: None, or by what each row is stretched, float32 [T, h].
        shift: None, or by how many pixels each row shifts, float32 [T, h].
        boxes: [T, 4], the outline's extent.
        areas: [T], pixels that its whole outline covers.
        blurs: [T, 2], how far it moves while the shutter is open.
        parts: T lists x1, y1, x2, y2, integers: the part of the frame to draw into.
    """

    image: np.ndarray
    matrices: np.ndarray
    stretch: np.ndarray | None
    shift: np.ndarray | None
    boxes: np.ndarray
    areas: np.ndarray
    blurs: np.ndarray
    parts: list[list[int]]


def with_alpha(colours, alpha):
    """Joins colours and alpha.

    Args:
        colours: uint8 of shape [h, w, 3].
        alpha: uint8 of shape [h, w].

    Returns:
        uint8 of shape [h, w, 4].

    Example:
    >>> from ratm_tf.datasets.cutouts.sprite import with_alpha
    >>> with_alpha(np.zeros([1, 1, 3], np.uint8), np.uint8([[9]])).tolist()
    [[[0, 0, 0, 9]]]
    """
    image = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    image[..., 3] = alpha
    return image


def make_sprite(image, course, camera, bend, nearness, exposure):
    """Prepares a cut-out for all frames.

    Args:
        image: RGBA, uint8 of shape [h, w, 4].
        course: its `Course`.
        camera: the `Camera`.
        bend: a `Bend` or None.
        nearness: how fast it moves with the camera, 1 for the target.
        exposure: share of a frame's time for which the shutter is open.

    Returns:
        A `Sprite`.

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import Camera, Course
    >>> from ratm_tf.datasets.cutouts.sprite import make_sprite
    >>> still, eye = np.zeros([1, 2]), np.eye(2)[np.newaxis]
    >>> camera = Camera(eye, still + 20, np.array([20.0, 20.0]))
    >>> course = Course(still + 20, still + [10, 20], np.zeros(1), np.zeros(1))
    >>> image = np.full([20, 10, 4], 255, np.uint8)
    >>> make_sprite(image, course, camera, None, 1.0, 0.0).boxes.tolist()
    [[15.0, 10.0, 25.0, 30.0]]
    """
    zoom = camera.zoom
    image = _prepared(image, (course.size * zoom[:, np.newaxis]).max(axis=0))
    rows, columns = image.shape[:2]
    stretch, shift = _bent(bend, rows, columns, course.phase)
    scale = course.size / np.array([columns, rows])
    linear = camera.linear @ rotations(course.angle, np.ones(len(scale)))
    linear = linear * scale[:, np.newaxis, :]
    centre = camera.project(course.centre, nearness)
    origin = centre - linear @ [(columns - 1) / 2, (rows - 1) / 2]
    matrices = np.concatenate([linear, origin[:, :, np.newaxis]], axis=2)

    covered = image[..., 3].sum(axis=1, dtype=np.float64) / 255
    areas = covered.sum() if stretch is None else stretch @ covered
    areas = areas * zoom**2 * scale.prod(axis=1)
    boxes = _extents(image, matrices, stretch, shift)
    blurs = exposure * np.diff(centre, axis=0, prepend=centre[:1])
    parts = _parts(boxes, blurs, 2 * camera.middle + 1)
    return Sprite(image, matrices, stretch, shift, boxes, areas, blurs, parts)


def _parts(boxes, blurs, limits):
    """Pixels [x1, x2) and [y1, y2) of the frame that sprites may touch."""
    margin = np.abs(blurs) / 2 + 2
    low = np.floor(boxes[:, :2] - margin)
    high = np.ceil(boxes[:, 2:] + margin) + 1
    parts = np.concatenate([low, high], axis=1)
    parts = np.minimum(np.maximum(parts, 0), np.tile(limits, 2))
    return parts.astype(int).tolist()


def _prepared(image, largest):
    """Colours times alpha, in the largest size that the film needs."""
    alpha = cv2.cvtColor(image[..., 3], cv2.COLOR_GRAY2RGB)
    colours = cv2.multiply(image[..., :3], alpha, scale=1 / 255)
    image = with_alpha(colours, image[..., 3])
    rows, columns = image.shape[:2]
    size = [
        max(4, min(n, int(np.ceil(wanted))))
        for n, wanted in zip((columns, rows), largest, strict=True)
    ]
    if size == [columns, rows]:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _bent(bend, rows, columns, phase):
    if bend is None:
        return None, None
    down = np.arange(rows) / rows
    share = np.clip((down - bend.top) / (1 - bend.top), 0, 1)
    phase = phase[:, np.newaxis]
    stretch = 1 + bend.stride * share * np.cos(phase)
    wave = np.sin(phase + 2 * np.pi * bend.waves * down)
    shift = bend.sway * columns * share * wave
    return stretch.astype(np.float32), shift.astype(np.float32)


def _extents(image, matrices, stretch, shift):
    """Boxes [T, 4] around the outline, from the ends of each row."""
    inside = image[..., 3] > image[..., 3].max() / 2
    rows = np.flatnonzero(inside.any(axis=1))
    inside = inside[rows]
    columns = image.shape[1]
    ends = np.stack([inside.argmax(1), columns - inside[:, ::-1].argmax(1)]) - 0.5
    if stretch is not None:
        middle = (columns - 1) / 2
        ends = middle + (ends[:, np.newaxis] - middle) * stretch[:, rows]
        ends += shift[:, rows]
    else:
        ends = ends[:, np.newaxis]  # [2, T or 1, rows]
    x = np.concatenate([ends[0], ends[1]], axis=1)[:, np.newaxis]
    y = np.concatenate([rows, rows])
    across, down, origin = np.moveaxis(matrices, 2, 0)[..., np.newaxis]
    places = across * x + down * y + origin  # [T, 2, ends]
    half = np.abs(down[..., 0]) / 2  # Rows are a pixel high.
    return np.concatenate([places.min(axis=2) - half, places.max(axis=2) + half], 1)


def draw(canvas, sprite, t, shown, *, target=False):
    """Draws one frame of a sprite.

    Args:
        canvas: uint8 of shape [H, W, 3], drawn into.
        sprite: the `Sprite`.
        t: the frame.
        shown: uint8 of shape [H, W], how much of the target each pixel shows;
            written by the target, lessened by what is drawn over it.
        target: whether this is the target.

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import Camera, Course
    >>> from ratm_tf.datasets.cutouts.sprite import draw, make_sprite
    >>> still, eye = np.zeros([1, 2]), np.eye(2)[np.newaxis]
    >>> camera = Camera(eye, still + 19.5, np.array([19.5, 19.5]))
    >>> course = Course(still + 19.5, still + [10, 20], np.zeros(1), np.zeros(1))
    >>> image = np.full([20, 10, 4], 255, np.uint8)
    >>> sprite = make_sprite(image, course, camera, None, 1.0, 0.0)
    >>> canvas, shown = np.zeros([40, 40, 3], np.uint8), np.zeros([40, 40], np.uint8)
    >>> draw(canvas, sprite, 0, shown, target=True)
    >>> int(np.sum(shown == 255)), int(np.sum(canvas == 255))
    (200, 600)
    """
    x1, y1, x2, y2 = sprite.parts[t]
    if x1 >= x2 or y1 >= y2:
        return
    piece = smear(_warped(sprite, t), sprite.blurs[t])
    alpha = piece[..., 3]
    rest = cv2.bitwise_not(alpha)
    part = canvas[y1:y2, x1:x2]
    behind = cv2.multiply(part, cv2.cvtColor(rest, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    canvas[y1:y2, x1:x2] = cv2.add(behind, cv2.cvtColor(piece, cv2.COLOR_RGBA2RGB))
    if target:
        shown[y1:y2, x1:x2] = alpha
    else:
        part = shown[y1:y2, x1:x2]
        shown[y1:y2, x1:x2] = cv2.multiply(part, rest, scale=1 / 255)


def _warped(sprite, t):
    x1, y1, x2, y2 = sprite.parts[t]
    matrix = sprite.matrices[t].copy()
    matrix[:, 2] -= [x1, y1]
    size = (x2 - x1, y2 - y1)
    if sprite.stretch is None:
        return cv2.warpAffine(sprite.image, matrix, size, flags=cv2.INTER_LINEAR)
    rows, columns = sprite.image.shape[:2]
    (a, b, c), (d, e, f) = cv2.invertAffineTransform(matrix)
    u = np.arange(size[0], dtype=np.float32)
    v = np.arange(size[1], dtype=np.float32)[:, np.newaxis]
    if d == 0:
        y = np.float32(e) * v + np.float32(f)  # The same for a whole row.
    else:
        y = np.float32(d) * u + (np.float32(e) * v + np.float32(f))
    row = np.clip(y + np.float32(0.5), 0, rows - 1).astype(np.intp)
    stretch, shift = sprite.stretch[t], sprite.shift[t]
    middle = np.float32((columns - 1) / 2)
    inverse = 1 / stretch
    x = np.float32(a) * u + (np.float32(b) * v + (np.float32(c) - middle))
    x = (x - shift[row]) * inverse[row] + middle
    return cv2.remap(sprite.image, x, y + np.zeros_like(u), cv2.INTER_LINEAR)


def smear(image, way):
    """Blurs an image as motion does.

    Args:
        image: uint8 of shape [h, w, channels].
        way: how far it moves, (x, y) in pixels; short ones leave it as it is, of long
            ones a part is taken.

    Returns:
        uint8 of the shape of `image`.

    Example:
    >>> from ratm_tf.datasets.cutouts.sprite import smear
    >>> image = np.zeros([1, 9, 1], np.uint8)
    >>> image[0, 4] = 250
    >>> smear(image, (4, 0)).ravel().tolist()
    [0, 0, 50, 50, 50, 50, 50, 0, 0]
    """
    length = float(np.hypot(*way))
    if length < 1.5:
        return image
    way = np.asarray(way) * min(1.0, _LONGEST_BLUR / length)
    side = int(np.ceil(np.abs(way).max() / 2))
    kernel = np.zeros([2 * side + 1, 2 * side + 1], np.float32)
    steps = np.linspace(-0.5, 0.5, 4 * side + 1)
    x, y = (np.rint(side + steps * n).astype(int) for n in way)
    kernel[y, x] = 1
    return cv2.filter2D(
        image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE
    )
