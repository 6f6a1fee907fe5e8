"""A film of one target: what is in it, how it moves, what a camera makes of it."""

import functools

import numpy as np

from ratm_tf.datasets.cutouts.looks import (
    draw_bend,
    one_of,
    recoloured,
    set_off,
    strip,
    subject,
)
from ratm_tf.datasets.cutouts.motion import (
    Course,
    draw_camera,
    draw_course,
    drift,
    moving,
)
from ratm_tf.datasets.cutouts.sprite import draw, make_sprite, smear
from ratm_tf.opencv import cv2

_VISIBLE = 1 / 3
_DESIGNED_FOR = 160  # Lengths in pixels are meant for frames of this size.


def film(rng, pictures, num_frames, frame_size):
    """Films one target.

    Args:
        rng: a `numpy.random.Generator`.
        pictures: `ratm_tf.datasets.sources.cutouts.Pictures` to choose from.
        num_frames: T.
        frame_size: (height, width) in pixels.

    Returns:
        Dict of arrays as described in `cutout_sequences`.

    Example:
    >>> import pathlib
    >>> from ratm_tf.datasets.cutouts.scene import film
    >>> from ratm_tf.datasets.sources.cutouts import load_cutouts
    >>> drawn = "datasets/cutouts/dummy_data/cutouts"
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> pictures = load_cutouts("train", drawn)
    >>> video = film(np.random.default_rng(0), pictures, 5, (90, 120))
    >>> video["frames"].shape, video["frames"].dtype
    ((5, 90, 120, 3), dtype('uint8'))
    """
    unit = min(frame_size) / _DESIGNED_FOR
    street = rng.random() < 0.3  # Small walkers before a still, structured background.
    image, is_person = subject(rng, pictures, street)
    course = draw_course(rng, image, is_person, street, num_frames, frame_size, unit)
    camera, course = draw_camera(rng, course, street, frame_size, unit)
    exposure = rng.choice([0, 0.3, 0.6, 1.0], p=[0.5, 0.2, 0.2, 0.1])

    def sprite(image, course, bend=None, nearness=1.0):
        return make_sprite(image, course, camera, bend, nearness, exposure)

    view = _background(rng, pictures, camera, exposure, street, frame_size)
    image = set_off(
        rng, image, view(0), camera.project(course.centre)[0], course.size[0]
    )
    target = sprite(image, course, draw_bend(rng, is_person))
    behind, front = [], []
    for other, path in _furniture(rng, pictures, course, street, frame_size):
        if rng.random() < 0.5:
            behind.append(sprite(other, path, nearness=rng.uniform(0.7, 1.0)))
        else:
            front.append(sprite(other, path, nearness=rng.uniform(1.0, 1.3)))
    for other, path, person in _others(
        rng, pictures, image, is_person, course, street, frame_size
    ):
        made = sprite(other, path, draw_bend(rng, person))
        (front if rng.random() < 0.4 else behind).append(made)
    if rng.random() < (0.6 if street else 0.4):
        occluder, path, person = _occluder(rng, pictures, course, street)
        front.append(sprite(occluder, path, draw_bend(rng, person) if person else None))

    front, behind = _at_first_behind(target, front, behind, frame_size)
    shade = sprite(*_shade(rng, course, frame_size)) if rng.random() < 0.2 else None
    shown = np.zeros(frame_size, np.uint8)
    visible = np.zeros(num_frames)

    def views():
        for t in range(num_frames):
            canvas = view(t)
            for other in behind:
                draw(canvas, other, t, shown)
            shown[:] = 0
            draw(canvas, target, t, shown, target=True)
            for other in front:
                draw(canvas, other, t, shown)
            visible[t] = cv2.sumElems(shown)[0] / 255 / target.areas[t]
            if shade is not None:
                draw(canvas, shade, t, shown)
            yield canvas

    frames = np.stack(list(_exposed(rng, views(), num_frames)))
    boxes = target.boxes.astype(np.float32)
    return {
        "frames": frames,
        "boxes": boxes,
        "initial_box": _initial_box(rng, boxes[0]),
        "mask": visible >= _VISIBLE,
    }


def _at_first_behind(target, front, behind, frame_size):
    """Moves what would hide the target in the first frame behind it."""
    canvas = np.zeros([*frame_size, 3], np.uint8)
    shown = np.zeros(frame_size, np.uint8)
    draw(canvas, target, 0, shown, target=True)
    least = 0.7 * cv2.sumElems(shown)[0]
    kept, behind = [], list(behind)
    for other in front:
        before = shown.copy()
        draw(canvas, other, 0, shown)
        if cv2.sumElems(shown)[0] < least:
            shown = before
            behind.append(other)
        else:
            kept.append(other)
    return kept, behind


def _initial_box(rng, box):
    """The first box as a detector or a hand gives it, sometimes half of the target."""
    centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    poor = rng.random()
    if poor < 0.08:  # A half of it, the left, right, upper or lower one.
        axis = rng.integers(2)
        share = rng.uniform(0.45, 0.75)
        centre[axis] += rng.choice([-1, 1]) * size[axis] * (1 - share) / 2
        size[axis] *= share
    if poor < 0.15:
        centre = centre + rng.normal(0, 0.12, 2) * size
        size = size * np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.1, 2))
    else:
        centre = centre + rng.normal(0, 0.025, 2) * size
        size = size * np.exp(rng.normal(0, 0.03, 2))
    return np.concatenate([centre - size / 2, centre + size / 2]).astype(np.float32)


# What else is there -------------------------------------------------------------------


def _others(rng, pictures, image, is_person, course, street, frame_size):
    """Yields images, courses and whether they are people: some like the target."""
    num_frames = len(course.centre)
    limits = np.array(frame_size[::-1])
    size = course.size[0]
    side = np.sqrt(size.prod())
    for _ in range(rng.choice(5, p=[0.25, 0.25, 0.25, 0.15, 0.1])):
        likeness = rng.random()
        if likeness < 0.15:
            other, person = image, is_person
        elif likeness < 0.35:
            other, person = recoloured(rng, image), is_person
        elif is_person:
            other, person = recoloured(rng, one_of(rng, pictures.people)), True
        else:
            other, person = subject(rng, pictures, street)
        aspect = np.sqrt(other.shape[1] / other.shape[0])
        length = side * np.exp(rng.normal(0, 0.2))
        own = length * np.array([aspect, 1 / aspect])
        own *= min(1, (limits * 0.8 / own).min())
        tempo = min(np.exp(rng.normal(np.log(0.03), 1.0)), 0.3)
        path = moving(rng, own, person, tempo, 0.2, num_frames, street)
        manner = rng.random()
        t = rng.integers(num_frames)
        if manner < 0.3:  # Goes along with the target.
            beside = rng.uniform(0.5, 1.4) * rng.choice([-1, 1]) * size[0]
            centre = course.centre + [beside, rng.normal(0, 0.15) * size[1]]
            centre = centre + 0.3 * (path.centre - path.centre[0])
        elif manner < 0.65:  # Comes by.
            meets = course.centre[t] + rng.normal(0, [0.4, 0.2]) * size
            centre = path.centre - path.centre[t] + meets
        else:
            centre = path.centre + course.centre[0] + rng.uniform(-0.6, 0.6, 2) * limits
        yield other, path._replace(centre=centre), person


def _standing(centre, size, num_frames):
    zeros = np.zeros(num_frames)
    return Course(
        np.tile(centre, [num_frames, 1]), np.tile(size, [num_frames, 1]), zeros, zeros
    )


def _furniture(rng, pictures, course, street, frame_size):
    """Yields poles, kerbs and the like that stand about."""
    num_frames = len(course.centre)
    for _ in range(rng.integers(4 if street else 2)):
        image = strip(rng, pictures)
        length = rng.uniform(0.4, 1.5) * max(frame_size)
        size = np.array([rng.uniform(0.1, 0.6) * course.size[0, 0] + 1, length])
        near = course.centre[rng.integers(num_frames)]
        centre = near + rng.normal(0, [2.5, 0.3]) * course.size[0]
        if rng.random() < 0.3:  # A kerb at its feet
            size = size[::-1]
            centre = near + [0, rng.uniform(0.3, 0.7) * course.size[0, 1]]
        yield image, _standing(centre, size, num_frames)


def _shade(rng, course, frame_size):
    """A dark, soft-edged shadow that lies about."""
    num_frames = len(course.centre)
    image = np.zeros([40, 40, 4], np.uint8)
    image[8:-8, 8:-8, 3] = rng.uniform(50, 150)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 4))
    size = rng.uniform(0.3, 1.5, 2) * frame_size[::-1]
    edge = rng.uniform(-0.5, 0.5, 2) * size
    path = _standing(course.centre[rng.integers(num_frames)] + edge, size, num_frames)
    return image, path._replace(angle=np.full(num_frames, rng.uniform(-1, 1)))


def _occluder(rng, pictures, course, street):
    """Something that hides the target for a while."""
    num_frames = len(course.centre)
    size = course.size[0]
    side = np.sqrt(size.prod())
    t = rng.integers(num_frames)
    kind = rng.random()
    if kind < 0.4:  # A pole
        image, person = strip(rng, pictures), False
        own = np.array([rng.uniform(0.2, 0.9) * size[0], rng.uniform(2, 6) * size[1]])
        place = course.centre[t] + [rng.normal(0, 0.2) * size[0], 0]
        return image, _standing(place, own, num_frames), person
    if kind < 0.65:  # A car or a hedge before its lower part
        image = one_of(rng, pictures.things)
        image, person = (strip(rng, pictures) if rng.random() < 0.4 else image), False
        own = np.array([rng.uniform(1.5, 4) * size[0], rng.uniform(0.4, 0.9) * size[1]])
        below = [0, rng.uniform(0.3, 0.6) * size[1]]
        tempo = rng.choice([0.0, 0.1])
    else:
        image, person = subject(rng, pictures, street)
        aspect = np.sqrt(image.shape[1] / image.shape[0])
        own = side * rng.uniform(0.6, 1.3) * np.array([aspect, 1 / aspect])
        below = rng.normal(0, 0.2, 2) * size
        tempo = np.exp(rng.normal(np.log(0.1), 0.6))
    path = moving(rng, own, person, tempo, 0.0, num_frames, steady=True)
    centre = path.centre - path.centre[t] + course.centre[t] + below
    return image, path._replace(centre=centre), person


def _background(rng, pictures, camera, exposure, street, frame_size):
    """A function of t that returns what the camera sees of a photograph."""
    levels = one_of(rng, pictures.backgrounds)
    photograph = levels[0]
    size = np.array(photograph.shape[1::-1])
    room = (size / frame_size[::-1]).min()
    zoom = room * np.exp(rng.uniform(np.log(0.6 if street else 0.4), np.log(1.2)))
    if not street and rng.random() < 0.12:  # Hardly any structure
        zoom *= rng.uniform(0.1, 0.3)
    level = int(np.clip(np.floor(np.log2(max(zoom, 1)) + 0.3), 0, len(levels) - 1))
    photograph = levels[level]
    zoom /= 2**level
    size = np.array(photograph.shape[1::-1])
    shown = zoom * np.array(frame_size[::-1])
    middle = shown / 2 + rng.uniform(0, 1, 2) * np.maximum(size - shown, 0)
    nearness = rng.choice([1.0, rng.uniform(0.6, 1.0)])
    mirror = rng.choice([-1, 1])
    start = camera.position[0]
    gain, bias = rng.uniform(0.7, 1.15), rng.normal(0, 12)

    # From the frame to the photograph: undo the camera, then place and zoom.
    inverse = zoom * np.linalg.inv(camera.linear)
    inverse[:, 0] *= mirror
    place = nearness * (camera.position - start) * zoom * [mirror, 1] + middle
    offset = place - inverse @ camera.middle
    maps = np.concatenate([inverse, offset[..., np.newaxis]], axis=2)
    moved = -np.diff(
        nearness * camera.position, axis=0, prepend=nearness * start[np.newaxis]
    )
    blurs = exposure * moved
    photograph = cv2.convertScaleAbs(photograph, alpha=gain, beta=bias)

    def view(t):
        canvas = cv2.warpAffine(
            photograph,
            maps[t],
            frame_size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return smear(canvas, blurs[t])

    return view


# What the camera makes of it ----------------------------------------------------------


@functools.lru_cache
def _noise(shape, strength):
    """A bank of noise, int16, of which frames take parts."""
    rng = np.random.default_rng(0)
    noise = strength * rng.standard_normal(3 * int(np.prod(shape)), np.float32)
    return np.rint(noise).astype(np.int16)


def _exposed(rng, views, num_frames):
    """Yields frames as a camera stores them, uint8 [H, W, 3]."""
    grey = rng.random() < 0.2
    contrast = rng.choice([1.0, 0.75, 0.5], p=[0.6, 0.3, 0.1])
    contrast *= np.exp(rng.normal(0, 0.1))
    level = rng.normal(0, 12)
    tint = np.exp(rng.normal(0, 0.06, 3))
    light = np.exp(drift(rng, num_frames, rng.choice([0, 0, 0.01, 0.03]), -0.5, 0.4))
    light *= np.exp(rng.choice([0, 0.01, 0.04]) * rng.standard_normal(num_frames))
    if rng.random() < 0.05 and num_frames > 1:
        light[rng.integers(num_frames) :] *= np.exp(rng.normal(0, 0.3))
    blur = rng.choice([0, 0, 0.4, 0.6, 0.9])
    strength = int(rng.choice([0, 2, 4, 8], p=[0.3, 0.3, 0.25, 0.15]))
    quality = rng.choice([0, 85, 60, 35], p=[0.5, 0.2, 0.2, 0.1])
    grades = (np.arange(256)[:, np.newaxis] - 115) * contrast + 115 + level
    curves = light[:, np.newaxis, np.newaxis] * grades * tint
    curves = np.clip(np.rint(curves), 0, 255).astype(np.uint8)
    for curve, frame in zip(curves, views, strict=True):
        if grey:
            frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        frame = cv2.LUT(frame, curve[:, 1] if grey else curve[np.newaxis])
        if blur:
            frame = cv2.GaussianBlur(frame, (5, 5), float(blur))
        if strength:
            bank = _noise(frame.shape, strength)
            first = rng.integers(bank.size - frame.size)
            noise = bank[first : first + frame.size].reshape(frame.shape)
            frame = cv2.add(frame, noise, dtype=cv2.CV_8U)
        if quality:
            _, code = cv2.imencode(
                ".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
            )
            frame = cv2.imdecode(code, cv2.IMREAD_UNCHANGED)
        yield cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) if grey else frame
