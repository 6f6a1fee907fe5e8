"""How a person crosses the view: walking, jogging or running."""

import typing

import numpy as np

# Body heights per frame and frames per stride, as in KTH's videos of 25 frames/s.
_SPEEDS = {"walking": (0.016, 0.03), "jogging": (0.032, 0.055), "running": (0.055, 0.1)}
_STRIDES = {"walking": (24, 32), "jogging": (17, 21), "running": (14, 18)}
_SPREADS = {"walking": (0.2, 0.5), "jogging": (0.2, 0.5), "running": (0.4, 0.7)}
_BOBBING = {"walking": (0, 0.012), "jogging": (0.01, 0.03), "running": (0.01, 0.035)}
_LEANS = {"walking": (0, 0.03), "jogging": (0, 0.08), "running": (0.03, 0.14)}


class Motion(typing.NamedTuple):
    """Where a person is in each of T frames.

    Attributes:
        hip: float of shape [T], the hip's x in pixels.
        feet: float of shape [T], the feet's y in pixels.
        height: float of shape [T], pixels.
        facing: int of shape [T], 1 to the right and -1 to the left.
        phase: float of shape [T], strides since the legs were open.
        spread: how far the feet open, in leg lengths.
        lean: how far the head is before the hip, in body heights.
    """

    hip: np.ndarray
    feet: np.ndarray
    height: np.ndarray
    facing: np.ndarray
    phase: np.ndarray
    spread: float
    lean: float


def cross(rng, num_frames, frame_size):
    """Draws a person's way through the view.

    Most people enter at a border, some are met on their way. Most keep their size and
    their direction; some come nearer or go away, a few turn round.

    Args:
        rng: `numpy.random.Generator`; what it draws does not depend on `num_frames`.
        num_frames: T.
        frame_size: (height, width) of the view in pixels.

    Returns:
        A `Motion`.

    Example:
    >>> from ratm_tf.datasets.people.motion import cross
    >>> motion = cross(np.random.default_rng(0), num_frames=5, frame_size=(120, 160))
    >>> motion.hip.shape, 48 < motion.height[0] < 102
    ((5,), np.True_)
    """
    rows, columns = frame_size
    action = rng.choice(list(_SPEEDS))
    far = rng.random() < 0.25
    start_height = rng.uniform(0.4, 0.65) if far else rng.normal(0.72, 0.07)
    start_height = np.clip(start_height, 0.4, 0.85) * rows
    speed = rng.uniform(*_SPEEDS[action]) * start_height * (0.8 if far else 1.0)
    facing = rng.choice([-1, 1])
    width = 0.38 * start_height
    if rng.random() < 0.65:
        start = width * (rng.uniform(0.3, 0.9) - 0.5)
    else:
        start = rng.uniform(0.1, 0.6) * columns
    growth = rng.uniform(-0.4, 0.5) if far else rng.normal(0, 0.06)
    descent = rng.uniform(0, 0.6)
    middle = rng.uniform(0.3, 0.7) if far else rng.normal(0.5, 0.05)
    middle = np.clip(middle * rows, start_height / 2 + 2, rows - start_height / 2 - 2)
    turn = rng.uniform(8, 60) if rng.random() < 0.1 else np.inf
    stride, spread, bobbing, lean = (
        rng.uniform(*of[action]) for of in (_STRIDES, _SPREADS, _BOBBING, _LEANS)
    )
    phase = rng.random()
    wobble = rng.uniform(0, 0.15) * speed

    time = np.arange(num_frames)
    walked = np.minimum(time, turn) - np.maximum(time - turn, 0)
    path = speed * walked + wobble * np.sin(0.35 * time + 2 * np.pi * phase)
    height = start_height * (1 + growth * np.clip(path / columns, -1, 1.2))
    hip = start + path
    phase = phase + time / stride
    feet = middle + start_height / 2 + descent * (height - start_height)
    return Motion(
        hip=hip if facing > 0 else columns - 1 - hip,
        feet=feet - bobbing * height * np.abs(np.sin(2 * np.pi * phase)),
        height=height,
        facing=np.where(time < turn, facing, -facing),
        phase=phase,
        spread=spread,
        lean=lean,
    )
