"""Boxes as a person detector gives them."""

import numpy as np

_SETTLING = 3.0  # Frames until it has found a person that enters.
# What a coarse detector misses above and below, as a rule a head or legs. It looks
# elsewhere, too low or too high, where one of them is negative.
_PARTS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -0.6], [-0.55, 1.0]])
_HOW_OFTEN = [0.5, 0.2, 0.15, 0.15]


def detect(rng, hip, feet, height, frame_size, coarse=False):
    """Draws a detector's boxes of a person, in the manner of KTH's.

    Boxes keep one aspect, lie inside the frame, on whole pixels, and err in size and
    place: most in the first frame, which shows little of the person as a rule.

    Args:
        rng: `numpy.random.Generator`. More frames leave the first ones as they are.
        hip: float of shape [T], the hip's x in pixels.
        feet: float of shape [T], the feet's y in pixels.
        height: float of shape [T], the person's, in pixels.
        frame_size: (height, width) in pixels.
        coarse: whether the detector holds on to a part of the person for some frames,
            to the first one mostly. Most of KTH's boxes are of that kind.

    Returns:
        Float32 of shape [T, 4], (x1, y1, x2, y2) in pixels, edges included.

    Example:
    >>> from ratm_tf.datasets.people.detector import detect
    >>> hip, feet, height = np.full([3, 5], [[80], [100], [70]])
    >>> detect(np.random.default_rng(0), hip, feet, height, (120, 160)).shape
    (5, 4)
    """
    aspect = rng.choice([2.45, 2.9, 3.4], p=[0.75, 0.1, 0.15])
    margin = rng.normal(1.02, 0.04)
    if coarse:
        constant = rng.normal(0, [0, 0.03, 0.015])
        missing = _missing(rng.spawn(1)[0], len(hip))
        kicks = rng.normal(0, [0.045, 0.028, 0.028], [len(hip), 3])
        error = constant + _lasting(kicks, np.array([0.85, 0.7, 0.85]))
    else:
        poor = rng.choice([0.5, 1.0, 2.0], p=[0.5, 0.35, 0.15])
        first = [-abs(rng.normal(0, 0.12)), *rng.normal(0, [0.03, 0.08])]
        settled = np.exp(-np.arange(len(hip)) / _SETTLING)[:, np.newaxis]
        missing = np.zeros([len(hip), 2])
        kicks = rng.normal(0, [0.05, 0.028, 0.028], [len(hip), 3])
        error = _lasting(kicks, 0.6) + np.array(first) * poor * settled

    rows, columns = frame_size
    above, below = missing.T * height
    size = height * margin * np.exp(error[:, 0]) - above - below
    size = np.clip(size, 24 if coarse else 8, rows - 2)
    half = np.stack([size / aspect, size], axis=1).round() / 2
    center = np.stack([hip, feet - height / 2], axis=1) + error[:, 1:] * height[:, None]
    center[:, 1] += (above - below) / 2
    corner = (center - half).round()
    corner = np.clip(corner, 0, np.array([columns, rows]) - 2 * half) - 0.5
    return np.concatenate([corner, corner + 2 * half], axis=1).astype(np.float32)


def _lasting(kicks, memory):
    """Errors [T, 3], each much like the one before it."""
    kicks[1:] *= np.sqrt(1 - memory**2)
    error = np.zeros_like(kicks)
    error[0] = kicks[0]
    for t in range(1, len(kicks)):
        error[t] = memory * error[t - 1] + kicks[t]
    return error


def _missing(rng, num_frames):
    """What boxes [T, 2] lack above and below, in parts of the person's height."""
    missing = np.zeros([num_frames, 2])
    start, partial = 0, rng.random() < 0.6
    while start < num_frames:
        frames = 1 + rng.geometric(1 / 9 if start == 0 else 1 / 5)
        size = rng.uniform(0.06, 0.38) if start == 0 else abs(rng.normal(0, 0.14))
        part = size * rng.choice(_PARTS, p=_HOW_OFTEN)
        if partial:
            missing[start : start + frames] = part
        else:
            frames = rng.geometric(0.04)
        start, partial = start + frames, not partial
    return missing
