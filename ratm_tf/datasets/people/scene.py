"""A video of one person that crosses the view of a camera."""

import numpy as np

from ratm_tf.datasets.people.detector import detect
from ratm_tf.datasets.people.gait import PHASES, stride_cycle
from ratm_tf.datasets.people.motion import cross
from ratm_tf.opencv import cv2

_VISIBLE = 0.3  # A person is there as long as this part of its width is.
_LAYER_SCALE = 1.15  # Layers are larger than at first, for people that come nearer.


def film(streams, cutouts, streets, num_frames, frame_size):
    """Films one person.

    Args:
        streams: function of a name that returns a `numpy.random.Generator`.
        cutouts: list of `Cutout`s to choose from.
        streets: list of backgrounds to choose from, uint8 of shape [h, w].
        num_frames: T.
        frame_size: (height, width) in pixels.

    Returns:
        Dict of arrays as described in `people_sequences`.

    Example:
    >>> import pathlib
    >>> from ratm_tf.datasets.people.scene import film
    >>> from ratm_tf.datasets.sources.penn_fudan import load_penn_fudan
    >>> drawn = "datasets/people/dummy_data/PennFudanPed"  # two drawn people
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> cutouts, streets = load_penn_fudan("train", drawn)
    >>> rng = np.random.default_rng(0)
    >>> video = film(lambda name: rng, cutouts, streets, 5, (90, 120))
    >>> video["frames"].shape, video["frames"].dtype
    ((5, 90, 120, 1), dtype('uint8'))
    """
    rng = streams("scene")
    cutout = cutouts[rng.integers(len(cutouts))]
    street = streets[rng.integers(len(streets))]
    background, maps, sway = _background(rng, street, num_frames, frame_size)
    motion = cross(rng, num_frames, frame_size)
    layers, extents = stride_cycle(
        _dressed(rng, cutout, background.mean()),
        _LAYER_SCALE * motion.height[0],
        motion.spread,
        motion.lean,
    )
    places = _places(motion, sway, layers.shape[1:3])
    phases = np.floor(motion.phase * PHASES).astype(int) % PHASES
    whole = _moved(extents[phases], places)
    limits = np.array(frame_size[::-1]) - 0.5
    boxes = np.concatenate(
        [np.clip(whole[:, :2], -0.5, limits), np.clip(whole[:, 2:], -0.5, limits)], 1
    )
    visible = (boxes[:, 2] - boxes[:, 0]) / (whole[:, 2] - whole[:, 0]) >= _VISIBLE
    entering = ~np.logical_or.accumulate(visible)
    mask = np.logical_and.accumulate(visible | entering)
    last = np.minimum(np.arange(num_frames), mask.sum() - 1)
    detected = detect(
        streams("detector"), motion.hip, motion.feet, motion.height, frame_size
    )[last]

    views = (
        _with_person(
            _view(background, maps[t], frame_size),
            layers[phases[t]],
            places[t],
            whole[t],
        )
        for t in range(num_frames)
    )
    frames = np.stack(list(_exposed(streams("sensor"), views)))
    return {
        "frames": frames[..., np.newaxis],
        "boxes": boxes[last].astype(np.float32),
        "mask": mask,
        "initial_box": detected[0],
        "detected_boxes": detected,
    }


def _dressed(rng, cutout, surroundings):
    """The person in darker or brighter clothes, with contrast to its surroundings."""
    covered = cutout.grey[cutout.alpha > 0.5].astype(np.float32)
    darker = surroundings > 70 and (surroundings > 185 or rng.random() < 0.75)
    contrast = rng.uniform(25, 110) * (-1 if darker else 1)
    mean = np.clip(surroundings + contrast, 25, 230)
    gain = rng.uniform(0.5, 1.1)
    grey = (cutout.grey - covered.mean()) * gain + mean
    return cutout._replace(grey=np.clip(grey, 0, 255).astype(np.float32))


def _background(rng, street, num_frames, frame_size):
    """A plain background or a street, affine maps from frames to it, and its sway."""
    rows, columns = frame_size
    plain = rng.random() < 0.6
    picture = _plain(rng, street.shape) if plain else _street(rng, street)
    zoom = min(street.shape[0] / rows, street.shape[1] / columns)
    zoom = 1.0 if plain else rng.uniform(1, max(zoom, 1))
    room = np.array(street.shape[::-1]) - zoom * np.array([columns, rows])
    corner = rng.uniform(0, np.maximum(room, 0))
    pan = rng.uniform(-1, 1) if rng.random() < 0.2 else 0.0
    shake = rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0
    beats, shifts = rng.uniform(0.1, 0.6, [2, 2]), rng.uniform(0, 2 * np.pi, [2, 2])
    time = np.arange(num_frames)[:, np.newaxis]
    sway = shake * sum(
        np.sin(beat * time + shift) for beat, shift in zip(beats, shifts, strict=True)
    )
    offset = sway + pan * np.concatenate([time, 0 * time], axis=1)
    maps = np.zeros([num_frames, 2, 3])
    maps[:, 0, 0] = maps[:, 1, 1] = zoom
    maps[:, :, 2] = corner + zoom * offset
    return picture, maps, sway


def _street(rng, street):
    gain, shift = rng.uniform(0.5, 1.0), rng.uniform(-30, 40)
    picture = (street.astype(np.float32) - 127) * gain + 127 + shift
    return np.clip(picture, 0, 255)


def _plain(rng, shape):
    """Ground and a wall, a field or the sky, with some texture."""
    rows, columns = shape
    wall = rng.uniform(60, 225)
    ground = wall + rng.normal(0, 25)
    horizon = rng.uniform(0.3, 0.9) * rows
    softness = rng.uniform(0.5, 30)
    share = 1 / (1 + np.exp((horizon - np.arange(rows)[:, np.newaxis]) / softness))
    picture = wall + (ground - wall) * share + np.zeros(shape)
    for cells, strength in (((4, 5), 12), ((24, 32), 5)):
        clouds = rng.normal(0, rng.uniform(0, strength), cells).astype(np.float32)
        picture += cv2.resize(clouds, (columns, rows), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 1, shape).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.7, 3.0), sigmaY=0.7)
    picture += grain * rng.uniform(0, 8) / grain.std()
    return np.clip(picture, 0, 255).astype(np.float32)


def _places(motion, sway, layer_size):
    """Affine maps [T, 2, 3] from a layer to the frames."""
    rows, columns = layer_size
    scale = motion.height / (_LAYER_SCALE * motion.height[0])
    places = np.zeros([len(scale), 2, 3])
    places[:, 0, 0] = scale * motion.facing
    places[:, 1, 1] = scale
    places[:, 0, 2] = motion.hip - places[:, 0, 0] * (columns // 2) - sway[:, 0]
    places[:, 1, 2] = motion.feet - scale * (rows - 3) - sway[:, 1]
    return places


def _moved(boxes, places):
    """The boxes [T, 4] under affine maps [T, 2, 3] that may mirror."""
    scale, shift = places[:, [0, 1], [0, 1]], places[:, :, 2]
    ends = boxes[:, :2] * scale + shift, boxes[:, 2:] * scale + shift
    return np.concatenate([np.minimum(*ends), np.maximum(*ends)], axis=1)


def _view(background, matrix, frame_size):
    """What the camera sees of the background, float32 [h, w]."""
    return cv2.warpAffine(
        background,
        matrix,
        frame_size[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _with_person(frame, layer, place, extent):
    """Puts the person into a frame, where `extent` is the box around it."""
    limits = np.tile(frame.shape[::-1], 2)
    around = np.floor(extent + [-3, -3, 4, 4])
    x1, y1, x2, y2 = np.clip(around, 0, limits).astype(int)
    if x1 < x2 and y1 < y2:
        place = place - [[0, 0, x1], [0, 0, y1]]
        person = cv2.warpAffine(layer, place, (x2 - x1, y2 - y1))
        part = frame[y1:y2, x1:x2]
        part *= 1 - person[..., 1]
        part += person[..., 0]
    return frame


def _exposed(rng, frames):
    """Yields what the sensor makes of each frame's light, as uint8."""
    flicker, period = rng.uniform(0, 0.08), rng.uniform(8, 80)
    shift, drift = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.002)
    blur, noise = rng.uniform(0.3, 0.9), np.float32(rng.uniform(0.5, 6))
    for t, frame in enumerate(frames):
        light = 1 + flicker * np.sin(2 * np.pi * t / period + shift) + drift * t
        frame = cv2.GaussianBlur(frame, (3, 3), blur) * np.float32(light)
        frame += noise * rng.standard_normal(frame.shape, np.float32)
        yield np.clip(np.rint(frame), 0, 255).astype(np.uint8)
