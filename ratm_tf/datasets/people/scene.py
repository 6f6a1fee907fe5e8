"""A video of one person that crosses the view of a camera."""

import functools
import statistics

import numpy as np

from ratm_tf.datasets.people.detector import detect
from ratm_tf.datasets.people.gait import PHASES, stride_cycle
from ratm_tf.datasets.people.motion import cross
from ratm_tf.opencv import cv2

_VISIBLE = 0.3  # A person is there as long as this part of its width is.
_LAYER_SCALE = 1.15  # Layers are larger than at first, for people that come nearer.
_MARGIN = 3  # Transparent pixels around a layer.
_NORMAL = np.array(
    [statistics.NormalDist().inv_cdf((n + 0.5) / 256) for n in range(256)], np.float32
)


def film(streams, cutouts, streets, num_frames, frame_size, coarse=False):
    """Films one person.

    Args:
        streams: function of a name that returns a `numpy.random.Generator`.
        cutouts: list of `Cutout`s to choose from.
        streets: list of backgrounds to choose from, uint8 of shape [h, w].
        num_frames: T.
        frame_size: (height, width) in pixels.
        coarse: whether the detector is a coarse one, see `detect`.

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
    background, path, sway = _background(rng, street, num_frames, frame_size)
    motion = cross(rng, num_frames, frame_size)
    layers, extents = stride_cycle(
        _dressed(rng, cutout, background.mean()),
        _LAYER_SCALE * motion.height[0],
        motion.spread,
        motion.lean,
    )
    phases = np.floor(motion.phase * PHASES).astype(int) % PHASES
    poses = np.minimum(phases, PHASES - phases)
    scale, shift = _places(motion, sway, layers.shape[2:])
    whole = _moved(extents[poses], scale, shift)
    limits = np.array(frame_size[::-1]) - 0.5
    boxes = np.concatenate(
        [np.clip(whole[:, :2], -0.5, limits), np.clip(whole[:, 2:], -0.5, limits)], 1
    )
    visible = (boxes[:, 2] - boxes[:, 0]) / (whole[:, 2] - whole[:, 0]) >= _VISIBLE
    entering = ~np.logical_or.accumulate(visible)
    mask = np.logical_and.accumulate(visible | entering)
    last = np.minimum(np.arange(num_frames), mask.sum() - 1)
    detected = detect(
        streams("detector"),
        motion.hip,
        motion.feet,
        motion.height,
        frame_size,
        coarse,
    )[last]

    lens, light, noise = _camera(streams("sensor"), num_frames, frame_size)
    view = _views(lens(background), path, frame_size)
    put_person = _person(layers, extents, poses, scale, whole, lens, frame_size)
    frames = np.empty([num_frames, *frame_size], np.uint8)
    for t, frame in enumerate(frames):
        picture = view(t)
        put_person(picture, t)
        cv2.addWeighted(picture, light[t], noise(t), 1, 0, frame, cv2.CV_8U)
    return {
        "frames": frames[..., np.newaxis],
        "boxes": boxes[last].astype(np.float32),
        "mask": mask,
        "initial_box": detected[0],
        "detected_boxes": detected,
    }


def _dressed(rng, cutout, surroundings):
    """The person in darker or brighter clothes, with contrast to its surroundings."""
    covered, *_ = cv2.mean(cutout.grey, (cutout.alpha > 0.5).view(np.uint8))
    darker = surroundings > 70 and (surroundings > 185 or rng.random() < 0.75)
    contrast = rng.uniform(25, 110) * (-1 if darker else 1)
    mean = np.clip(surroundings + contrast, 25, 230)
    gain = rng.uniform(0.5, 1.1)
    greys = np.clip((np.arange(256) - covered) * gain + mean, 0, 255)
    return cutout._replace(grey=cv2.LUT(cutout.grey, greys.astype(np.float32)))


def _background(rng, street, num_frames, frame_size):
    """A plain background or a street, the frames' corners in it, and its sway."""
    size = np.array(frame_size[::-1])
    plain = rng.random() < 0.6
    picture = _plain(rng, street.shape) if plain else _street(rng, street)
    zoom = np.min(np.array(street.shape[::-1]) / size)
    zoom = 1.0 if plain else rng.uniform(1, max(zoom, 1))
    room = np.array(street.shape[::-1]) - zoom * size
    corner = rng.uniform(0, np.maximum(room, 0))
    pan = rng.uniform(-1, 1) if rng.random() < 0.2 else 0.0
    shake = rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0
    beats, shifts = rng.uniform(0.1, 0.6, [2, 2]), rng.uniform(0, 2 * np.pi, [2, 2])
    time = np.arange(num_frames)[:, np.newaxis]
    sway = shake * sum(
        np.sin(beat * time + shift) for beat, shift in zip(beats, shifts, strict=True)
    )
    # As sharp as it was, also when it is moved by parts of pixels later.
    picture = cv2.resize(
        picture, None, fx=1 / zoom, fy=1 / zoom, interpolation=cv2.INTER_CUBIC
    )
    return picture, corner / zoom + sway + pan * time * [1, 0], sway


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
    picture = (wall + (ground - wall) * share).astype(np.float32)
    for cells, strength in (((4, 5), 12), ((24, 32), 5)):
        clouds = rng.normal(0, rng.uniform(0, strength), cells).astype(np.float32)
        clouds = cv2.resize(clouds, (columns, rows), interpolation=cv2.INTER_CUBIC)
        picture = picture + clouds
    grain = rng.normal(0, 1, shape).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.7, 3.0), sigmaY=0.7)
    picture += grain * (rng.uniform(0, 8) / grain.std())
    return np.clip(picture, 0, 255)


def _places(motion, sway, layer_size):
    """Scale and shift [T, 2] from a layer to the frames, mirrored where negative."""
    rows, columns = layer_size
    scale = motion.height / (_LAYER_SCALE * motion.height[0])
    scale = np.stack([scale * motion.facing, scale], axis=1)
    anchor = np.stack([motion.hip, motion.feet], axis=1)
    return scale, anchor - scale * [columns // 2, rows - 3] - sway


def _moved(boxes, scale, shift):
    """The boxes [T, 4] in the frames, also where they are mirrored."""
    ends = boxes[:, :2] * scale + shift, boxes[:, 2:] * scale + shift
    return np.concatenate([np.minimum(*ends), np.maximum(*ends)], axis=1)


def _camera(rng, num_frames, frame_size):
    """A lens that blurs a picture, the light [T], and a function of t, the noise."""
    flicker, period = rng.uniform(0, 0.08), rng.uniform(8, 80)
    shift, drift = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.002)
    blur, strength = rng.uniform(0.3, 0.9), np.float32(rng.uniform(0.5, 6))
    time = np.arange(num_frames)
    light = 1 + flicker * np.sin(2 * np.pi * time / period + shift) + drift * time

    # Every frame shows another part of one sheet of noise.
    rows, columns = frame_size
    words = [rows + 64, columns // 8 + 9]
    sheet = rng.integers(2**64, size=words, dtype=np.uint64).view(np.uint8)
    sheet = cv2.LUT(sheet, strength * _NORMAL)
    corners = rng.integers(64, size=[num_frames, 2]).tolist()

    def noise(t):
        y, x = corners[t]
        return sheet[y : y + rows, x : x + columns]

    return functools.partial(cv2.GaussianBlur, ksize=(3, 3), sigmaX=blur), light, noise


def _views(picture, corners, frame_size):
    """Function of t, the part of a picture from a corner on, float32 [h, w]."""
    size = np.array(frame_size[::-1])
    corners = np.round(32 * corners) / 32  # So that float32 holds them exactly.
    before = np.ceil(np.maximum(-corners.min(axis=0), 0)).astype(int)
    after = np.ceil(corners.max(axis=0)).astype(int) + size - picture.shape[::-1]
    (left, top), (right, bottom) = before, np.maximum(after, 0)
    picture = cv2.copyMakeBorder(
        picture, top, bottom, left, right, cv2.BORDER_REFLECT_101
    )
    centers = (corners + before + (size - 1) / 2).tolist()
    return lambda t: cv2.getRectSubPix(picture, frame_size[::-1], centers[t])


def _person(layers, extents, poses, scale, whole, lens, frame_size):
    """Function that puts the person into frame t, float32 [h, w]."""
    around = (extents + 0.5).astype(int) + [0, 0, 2 * _MARGIN, 2 * _MARGIN]
    parts = np.floor(whole + [-_MARGIN, -_MARGIN, _MARGIN + 1, _MARGIN + 1])
    parts = np.clip(parts, 0, np.tile(frame_size[::-1], 2)).astype(int)
    factors = scale[:, 1]
    corners = whole[:, :2] - _MARGIN * factors[:, np.newaxis]
    centers = (parts[:, :2] + parts[:, 2:]) / 2 - corners - 1
    steps = np.sign(scale[:, 0]).astype(int)

    @functools.cache
    def planes(pose, step):
        x1, y1, x2, y2 = around[pose]
        padded = (
            cv2.copyMakeBorder(plane, *(4 * [_MARGIN]), cv2.BORDER_CONSTANT)
            for plane in layers[pose]
        )
        return [lens(plane[y1:y2, x1:x2][:, ::step]) for plane in padded]

    def put_into(frame, t):
        x1, y1, x2, y2 = parts[t].tolist()
        if x1 < x2 and y1 < y2:
            grey, covered = (
                cv2.getRectSubPix(
                    cv2.resize(plane, None, fx=factors[t], fy=factors[t]),
                    (x2 - x1, y2 - y1),
                    centers[t],
                )
                for plane in planes(poses[t], steps[t])
            )
            part = frame[y1:y2, x1:x2]
            part *= 1 - covered
            part += grey

    return put_into
