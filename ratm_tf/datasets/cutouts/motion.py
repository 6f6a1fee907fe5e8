"""Courses of things and cameras, as random processes."""

import typing

import numpy as np


class Course(typing.NamedTuple):
    """Where a thing is in the world, in pixels of a frame that is not zoomed.

    Attributes:
        centre: [T, 2], x and y.
        size: [T, 2], width and height.
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

    def project(self, points, nearness=1.0):
        """Maps points [T, 2] of the world to the frame; near ones move faster."""
        offset = points - nearness * self.position
        return np.einsum("tij,tj->ti", self.linear, offset) + self.middle


def wander(rng, num_frames, smoothness, width=2):
    """Noise [T, width] of unit variance that keeps a share `smoothness` a frame."""
    noise = rng.standard_normal([num_frames, width])
    fresh = np.sqrt(1 - smoothness**2)
    for t in range(1, num_frames):
        noise[t] = smoothness * noise[t - 1] + fresh * noise[t]
    return noise


def drift(rng, num_frames, step, low, high):
    """A number [T] that starts at 0, drifts, and turns back at its limits."""
    speeds = step * wander(rng, num_frames, 0.9, 1)[:, 0]
    return fold(np.cumsum(speeds) - speeds[0], low, high)


def fold(path, low, high):
    """Reflects a path at limits, so that it stays within."""
    room = np.maximum(high - low, 1e-6)
    return low + room - np.abs((path - low) % (2 * room) - room)


def rotations(angle, scale):
    """Matrices [T, 2, 2] that turn by `angle` and enlarge by `scale`, each [T]."""
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.stack([cosine, -sine, sine, cosine], axis=-1).reshape([-1, 2, 2])
