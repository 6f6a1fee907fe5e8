"""Courses of things and cameras, as random processes."""

import typing

import numpy as np


class Course(typing.NamedTuple):
    """Where a thing is in the world, in pixels of a frame that is not zoomed.

    Attributes:
        centre: [T, 2], x and y.
        size: [T, 2], width and height, upright.
        angle: [T], radians.
        phase: [T], radians, of its gait or sway.
    """

    centre: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    phase: np.ndarray


class Camera(typing.NamedTuple):
    """A camera that pans, zooms and rolls.

    Attributes:
        linear: [T, 2, 2], from the world to the frame.
        position: [T, 2], what it looks at.
        middle: [2], the frame's middle.
    """

    linear: np.ndarray
    position: np.ndarray
    middle: np.ndarray

    @property
    def zoom(self):
        """By how much it enlarges, [T]."""
        return np.hypot(self.linear[:, 0, 0], self.linear[:, 1, 0])

    def project(self, points, nearness=1.0):
        """Maps points of the world to the frame.

        Args:
            points: [T, 2], where they are while the camera looks as it did at first.
            nearness: how fast they move with the camera, less than 1 for the
                background.

        Returns:
            [T, 2], x and y in pixels.
        """
        start = self.position[0]
        offset = points - start - nearness * (self.position - start)
        return np.einsum("tij,tj->ti", self.linear, offset) + self.middle


def wander(rng, num_frames, smoothness, width=2):
    """Draws smooth noise.

    Args:
        rng: a `numpy.random.Generator`.
        num_frames: T.
        smoothness: share that it keeps from frame to frame, 0..1.
        width: how many of them.

    Returns:
        [T, width], of unit variance in each frame.

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import wander
    >>> wander(np.random.default_rng(0), 8, 0.9).shape
    (8, 2)
    """
    noise = rng.standard_normal([num_frames, width])
    fresh = np.sqrt(1 - smoothness**2)
    for t in range(1, num_frames):
        noise[t] = smoothness * noise[t - 1] + fresh * noise[t]
    return noise


def drift(rng, num_frames, step, low, high):
    """Draws a number that starts at 0, drifts, and turns back at its limits.

    Args:
        rng: a `numpy.random.Generator`.
        num_frames: T.
        step: standard deviation of its change from frame to frame.
        low: the lower limit, at most 0.
        high: the upper one, at least 0.

    Returns:
        [T].

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import drift
    >>> float(drift(np.random.default_rng(0), 100, 0.1, -0.5, 0.5).max()) <= 0.5
    True
    """
    if not step:
        return np.zeros(num_frames)
    speeds = step * wander(rng, num_frames, 0.9, 1)[:, 0]
    return fold(np.cumsum(speeds) - speeds[0], low, high)


def fold(path, low, high):
    """Reflects a path at limits, so that it stays within.

    Args:
        path: numbers of any shape.
        low: the lower limit.
        high: the upper one.

    Returns:
        Numbers of the shape of `path`.

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import fold
    >>> fold(np.array([1.0, 4.0, 5.0, 7.0, -1.0]), 0, 4).tolist()
    [1.0, 4.0, 3.0, 1.0, 1.0]
    """
    room = np.maximum(high - low, 1e-6)
    return low + room - np.abs((path - low) % (2 * room) - room)


def rotations(angle, scale):
    """Matrices that turn and enlarge.

    Args:
        angle: [T], radians, from x towards y.
        scale: [T].

    Returns:
        [T, 2, 2].

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import rotations
    >>> rotations(np.zeros(1), np.full(1, 2.0)).tolist()
    [[[2.0, -0.0], [0.0, 2.0]]]
    """
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.stack([cosine, -sine, sine, cosine], axis=-1).reshape([-1, 2, 2])


def draw_course(rng, image, is_person, street, num_frames, frame_size, unit):
    """Draws a target's way through the world.

    Args:
        rng: a `numpy.random.Generator`.
        image: [h, w, 4], of its proportions.
        is_person: whether it walks.
        street: whether it is small and steady.
        num_frames: T.
        frame_size: (height, width) in pixels.
        unit: what is one pixel long in frames of usual size.

    Returns:
        A `Course` from the world's origin.
    """
    limits = np.array(frame_size[::-1])
    side = np.exp(rng.uniform(np.log(14), np.log(42 if street else 70))) * unit
    aspect = np.sqrt(image.shape[1] / image.shape[0]) * np.exp(rng.normal(0, 0.06))
    size = np.minimum(side * np.array([aspect, 1 / aspect]), 0.75 * limits)
    if street:
        tempo, jitter = np.exp(rng.normal(np.log(0.037), 0.7)), 0.1
    else:
        tempo, jitter = np.exp(rng.normal(np.log(0.034), 1.15)), 0.4
    tempo = min(tempo, 0.6)
    return moving(rng, size, is_person, tempo, jitter, num_frames, street, unit)


def moving(rng, size, is_person, tempo, jitter, num_frames, steady, unit=1.0):
    """Draws a thing's own way.

    Args:
        rng: a `numpy.random.Generator`.
        size: [2], its width and height in pixels at first.
        is_person: whether it walks.
        tempo: boxes a frame.
        jitter: how restless it is.
        num_frames: T.
        steady: whether it hardly grows.
        unit: what is one pixel long in frames of usual size.

    Returns:
        A `Course` from the world's origin.

    Example:
    >>> from ratm_tf.datasets.cutouts.motion import moving
    >>> rng, size = np.random.default_rng(0), np.array([20.0, 30.0])
    >>> moving(rng, size, True, 0.1, 0.2, num_frames=5, steady=True).centre.shape
    (5, 2)
    """
    if is_person:
        way = np.array([rng.choice([-1, 1]), rng.normal(0, 0.1)]) * size[0]
    else:
        angle = rng.uniform(0, 2 * np.pi)
        way = np.array([np.cos(angle), 0.5 * np.sin(angle)]) * size
    pace = 1 + 0.3 * wander(rng, num_frames, 0.9, 1)
    steps = tempo * pace * way
    steps += jitter * tempo * wander(rng, num_frames, 0.7) * size * [1, 0.5]
    path = np.cumsum(steps, axis=0) - steps[0]
    growth = 0.008 if steady else rng.choice([0.005, 0.015, 0.03, 0.06])
    zoom = drift(rng, num_frames, growth, *_growth(size, unit))
    warp = drift(rng, num_frames, rng.choice([0, 0.005, 0.02]), -0.25, 0.25)
    turn = 0 if is_person and steady else rng.choice([0, 0, 0.01, 0.03])
    stride = 2 * np.pi * np.abs(steps[:, 0]) / (0.45 * size[1])
    phase = rng.uniform(0, 6) + np.cumsum(np.clip(stride, 0.1, 1.2))
    if is_person:
        path[:, 1] -= 0.012 * size[1] * np.cos(phase)
        warp *= 0.3
    return Course(
        path,
        size * np.exp(np.stack([zoom + warp, zoom], axis=1)),
        drift(rng, num_frames, turn, -0.5, 0.5),
        phase,
    )


def _growth(size, unit):
    """Limits of a thing's growth, as logarithms."""
    low = np.log(9 * unit / size.min())
    high = np.log(125 * unit / size.max())
    return np.clip(low, -0.8, -0.05), np.clip(high, 0.05, 0.8)


def draw_camera(rng, course, street, frame_size, unit):
    """Draws a camera for a target.

    Args:
        rng: a `numpy.random.Generator`.
        course: the target's, a `Course` from the world's origin.
        street: whether it mostly stands still.
        frame_size: (height, width) in pixels.
        unit: what is one pixel long in frames of usual size.

    Returns:
        A `Camera`, and the course moved to where that sees it.
    """
    num_frames = len(course.centre)
    limits = np.array(frame_size[::-1], float)
    middle = limits / 2 - 0.5
    style = rng.choice(
        ["still", "follows", "free"], p=[0.6, 0.3, 0.1] if street else [0.3, 0.3, 0.4]
    )
    start = rng.uniform(0.25, 0.75, 2) * limits
    shake = {"still": 0.12, "follows": 0.5, "free": 1.0}[style]
    shake *= rng.exponential() * unit
    roll = rng.choice([0, 0.004, 0.015]) if style == "free" else 0
    zoom = rng.choice([0, 0.004, 0.015]) if style != "still" else 0
    linear = rotations(
        drift(rng, num_frames, roll, -0.15, 0.15),
        np.exp(drift(rng, num_frames, zoom, -0.4, 0.4)),
    )
    position = shake * np.cumsum(wander(rng, num_frames, 0.5), axis=0) * [1, 0.8]
    position = fold(position, -15 * unit, 15 * unit) + middle
    path = course.centre + start
    if style == "follows":
        lag = rng.uniform(0.6, 1.0)
        position += lag * course.centre
    elif style == "free":
        pan = rng.normal(0, 1.5, 2) * unit * [1, 0.4]
        position += pan * np.arange(num_frames)[:, np.newaxis]
        if rng.random() < 0.4:
            jerks = rng.random(num_frames) < 0.15
            jump = rng.normal(0, 0.7, [num_frames, 2]) * course.size * [1, 0.4]
            position += np.cumsum(jerks[:, np.newaxis] * jump, axis=0)
    enters = rng.random() < 0.12
    if enters:
        path = _entering(rng, path, course.size, limits)
        position = middle + (position - position[0]) * 0.2
    else:
        if style == "still":
            path = fold(path, 0.15 * limits, 0.85 * limits)
        camera = Camera(linear, position, middle)
        seen = camera.project(path)
        wanted = np.clip(seen, 0.14 * limits, 0.86 * limits)
        back = np.linalg.solve(linear, (seen - wanted)[..., np.newaxis])[..., 0]
        position = position + back
    return Camera(linear, position, middle), course._replace(centre=path)


def _entering(rng, path, size, limits):
    """Lets a way begin, or end, with the target cut by the frame's border."""
    width = size[0, 0]
    hidden = rng.uniform(0, 0.4)  # The share beyond the border.
    speed = np.exp(rng.normal(np.log(0.06), 0.6)) * width
    way = path - path[0]
    x = (0.5 - hidden) * width + speed * np.arange(len(path)) + 0.2 * way[:, 0]
    x = np.minimum(x, 0.8 * limits[0])
    if rng.random() < 0.4:  # Leaves, from where it has come to.
        x = x[::-1] + min(x[0] - x[-1], 0) * rng.uniform(0, 1)
        x += max((0.5 - hidden) * width - x[0], 0)
    if rng.random() < 0.5:
        x = limits[0] - 1 - x
    return np.stack([x, path[0, 1] + way[:, 1]], axis=1)
