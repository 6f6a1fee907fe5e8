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
