"""How targets and what is around them look: pictures, and their colours."""

import numpy as np

from ratm_tf.datasets.cutouts.sprite import Bend, with_alpha
from ratm_tf.opencv import cv2


def one_of(rng, images):
    """Draws one of some images.

    Args:
        rng: a `numpy.random.Generator`.
        images: list of them.

    Returns:
        The image.

    Example:
    >>> from ratm_tf.datasets.cutouts.looks import one_of
    >>> one_of(np.random.default_rng(0), ["only"])
    'only'
    """
    return images[rng.integers(len(images))]


def subject(rng, pictures, street):
    """Draws what a target or another like it may be.

    Args:
        rng: a `numpy.random.Generator`.
        pictures: `ratm_tf.datasets.sources.cutouts.Pictures` to choose from.
        street: whether most are people.

    Returns:
        An RGBA image, uint8 [h, w, 4], in colours of its own, and whether it is a whole
        person.
    """
    kind = rng.random()
    if kind < (0.8 if street else 0.35):
        image, is_person = one_of(rng, pictures.people), True
    elif kind < (0.8 if street else 0.4):
        image, is_person = one_of(rng, pictures.others), False
    elif kind < (0.95 if street else 0.75):
        image, is_person = one_of(rng, pictures.things), False
    else:
        image, is_person = _piece(rng, one_of(rng, pictures.backgrounds)[0]), False
    return recoloured(rng, image), is_person


def _piece(rng, photograph):
    """A piece of a photograph, with straight or round edges."""
    rows, columns = (int(min(n, rng.uniform(30, 130))) for n in photograph.shape[:2])
    part = max((_part(rng, photograph, rows, columns) for _ in range(3)), key=_variety)
    corners = rng.integers(3, 9)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    if rng.random() < 0.3 or np.diff(angles).max() > 2.5:
        corners, angles = 24, np.linspace(0, 2 * np.pi, 25)[:-1]
        radii = np.full(corners, rng.choice([1.0, 1.3]))
    else:
        radii = rng.uniform(0.6, 1.4, corners)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, np.newaxis]
    points = np.clip(around, -1, 1) * [columns / 2 - 2, rows / 2 - 2]
    points += [columns / 2, rows / 2]
    alpha = np.zeros([rows, columns], np.uint8)
    cv2.fillPoly(alpha, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    x1, y1, width, height = cv2.boundingRect(alpha)
    image = with_alpha(part, alpha)
    return image[max(y1 - 1, 0) : y1 + height + 1, max(x1 - 1, 0) : x1 + width + 1]


def _variety(photograph):
    return cv2.meanStdDev(photograph)[1].sum()


def _part(rng, photograph, rows, columns):
    y = rng.integers(photograph.shape[0] - rows + 1)
    x = rng.integers(photograph.shape[1] - columns + 1)
    return photograph[y : y + rows, x : x + columns]


def recoloured(rng, image):
    """Gives an image other colours, contrast and brightness, and often mirrors it.

    Args:
        rng: a `numpy.random.Generator`.
        image: RGBA, uint8 [h, w, 4].

    Returns:
        An image like it, of the same outline.

    Example:
    >>> from ratm_tf.datasets.cutouts.looks import recoloured
    >>> recoloured(np.random.default_rng(0), np.zeros([3, 5, 4], np.uint8)).shape
    (3, 5, 4)
    """
    contrast = rng.uniform(0.6, 1.2)
    gains = contrast * np.exp(rng.normal(0, 0.12, 3))
    order = rng.permutation(3) if rng.random() < 0.25 else np.arange(3)
    mean = 110 * (1 - contrast) + rng.normal(0, 18)
    matrix = np.zeros([3, 4])
    matrix[np.arange(3), order] = gains
    matrix[:, 3] = mean
    colours = cv2.transform(image[..., :3], matrix)
    image = with_alpha(colours, image[..., 3])
    return image[:, ::-1] if rng.random() < 0.5 else image


def set_off(rng, image, frame, centre, size):
    """Mostly makes a target brighter or darker than what it stands before.

    Args:
        rng: a `numpy.random.Generator`.
        image: RGBA, uint8 [h, w, 4].
        frame: RGB, uint8 [H, W, 3].
        centre: [2], x and y, where in the frame it stands.
        size: [2], its width and height there.

    Returns:
        The image, or one like it.

    Example:
    >>> from ratm_tf.datasets.cutouts.looks import set_off
    >>> grey, frame = np.full([9, 9, 4], 100, np.uint8), np.full([40, 40, 3], 100, "u1")
    >>> place, size = np.array([20, 20]), np.array([9, 9])
    >>> seen = set_off(np.random.default_rng(0), grey, frame, place, size)
    >>> bool(abs(seen[0, 0, 0] - 100.0) > 10)
    True
    """
    if rng.random() < 0.15:
        return image
    x1, y1 = (int(max(n, 0)) for n in centre - size / 2)
    x2, y2 = (int(max(n, 0)) + 2 for n in centre + size / 2)
    surroundings = np.mean(cv2.mean(frame[y1:y2, x1:x2])[:3])
    own = np.mean(cv2.mean(image[..., :3], image[..., 3])[:3])
    contrast = rng.uniform(15, 70)
    if abs(own - surroundings) >= contrast:
        return image
    brighter = own > surroundings if 60 < surroundings < 190 else surroundings < 60
    wanted = surroundings + (contrast if brighter else -contrast)
    colours = cv2.convertScaleAbs(image[..., :3], alpha=wanted / max(own, 20))
    return with_alpha(colours, image[..., 3])


def draw_bend(rng, person):
    """Draws how a target bends as it moves.

    Args:
        rng: a `numpy.random.Generator`.
        person: whether it walks.

    Returns:
        A `ratm_tf.datasets.cutouts.sprite.Bend`, or None.

    Example:
    >>> from ratm_tf.datasets.cutouts.looks import draw_bend
    >>> 0.15 <= draw_bend(np.random.default_rng(0), person=True).stride <= 0.55
    True
    """
    if person:
        return Bend(0.42, rng.uniform(0.15, 0.55), rng.uniform(0, 0.1), 0.5)
    if rng.random() < 0.5:
        return None
    sway, stride = rng.uniform(0, 0.12), rng.uniform(0, 0.15)
    return Bend(rng.uniform(0, 0.4), stride, sway, rng.uniform(0.3, 1.5))


def strip(rng, pictures):
    """Cuts an upright or lying strip out of a photograph, or makes one of one colour.

    Args:
        rng: a `numpy.random.Generator`.
        pictures: `ratm_tf.datasets.sources.cutouts.Pictures` with photographs.

    Returns:
        RGBA, uint8 [h, w, 4], opaque but for its rim.
    """
    photograph = one_of(rng, pictures.backgrounds)[0]
    rows, columns = (int(min(n, rng.uniform(12, 160))) for n in photograph.shape[:2])
    colours = _part(rng, photograph, rows, columns)
    if rng.random() < 0.5:
        colours = np.full_like(colours, colours.mean(axis=(0, 1)))
        colours = cv2.convertScaleAbs(colours, alpha=rng.uniform(0.3, 1.7))
    image = with_alpha(colours, 255)
    image[[0, -1], :, 3] = image[:, [0, -1], 3] = 0
    return image
