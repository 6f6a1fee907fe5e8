"""Boxes as a person detector gives them."""

import numpy as np

_MEMORY = 0.6  # The detector's error in one frame is much like in the one before.
_SETTLING = 3.0  # Frames until it has found a person that enters.


def detect(rng, hip, feet, height, frame_size):
    """Draws a detector's boxes of a person, in the manner of KTH's.

    Boxes keep one aspect, lie inside the frame, on whole pixels, and err in size and
    place: most in the first frame, which shows little of the person as a rule.

    Args:
        rng: `numpy.random.Generator`. More frames leave the first ones as they are.
        hip: float of shape [T], the hip's x in pixels.
        feet: float of shape [T], the feet's y in pixels.
        height: float of shape [T], the person's, in pixels.
        frame_size: (height, width) in pixels.

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
    poor = rng.choice([0.5, 1.0, 2.0], p=[0.5, 0.35, 0.15])
    first = np.array([-abs(rng.normal(0, 0.12)), *rng.normal(0, [0.03, 0.08])]) * poor

    kicks = rng.normal(0, [0.05, 0.028, 0.028], [len(hip), 3])
    kicks[1:] *= np.sqrt(1 - _MEMORY**2)
    error = np.zeros_like(kicks)
    error[0] = kicks[0]
    for t in range(1, len(hip)):
        error[t] = _MEMORY * error[t - 1] + kicks[t]
    error += first * np.exp(-np.arange(len(hip)) / _SETTLING)[:, np.newaxis]

    rows, columns = frame_size
    size = np.clip(height * margin * np.exp(error[:, 0]), 8, rows - 2)
    half = np.stack([size / aspect, size], axis=1).round() / 2
    center = np.stack([hip, feet - height / 2], axis=1) + error[:, 1:] * height[:, None]
    corner = (center - half).round()
    corner = np.clip(corner, 0, np.array([columns, rows]) - 2 * half) - 0.5
    return np.concatenate([corner, corner + 2 * half], axis=1).astype(np.float32)
