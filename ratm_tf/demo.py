"""Something to see before any training: packaged trackers on rendered clips."""

import pathlib

import numpy as np

from ratm_tf import visualize
from ratm_tf.attention.implementation import implementation_scope
from ratm_tf.datasets import (
    bouncing_balls_sequences,
    moving_mnist_sequences,
    tracker_inputs,
)
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH
from ratm_tf.pretrained import load_pretrained

_FRAMES = 30
_GAP = 8


def _digits(num_digits):
    return moving_mnist_sequences(
        "test", num_frames=_FRAMES, num_digits=num_digits, mnist_path=SAMPLE_PATH
    )


CLIPS = {
    "moving_mnist": lambda: _digits(1),
    "moving_mnist_two_digits": lambda: _digits(2),
    "bouncing_balls": lambda: bouncing_balls_sequences("test", num_frames=_FRAMES),
}
"""Makes the sequences that each of some packaged trackers is for."""


def demo(folder):
    """Tracks a clip by each of `CLIPS`, and draws what was seen.

    It needs no network and no fused op.

    Args:
        folder: where to write `film_strip.png` and `tracked.mp4`: true boxes in green,
            predicted ones in red, and below each frame the glimpse.

    Returns:
        The paths of the two files.

    Raises:
        OSError: if they cannot be written.

    Example:
    >>> import tempfile
    >>> [path.name for path in ratm_tf.demo.demo(tempfile.mkdtemp())]
    ['film_strip.png', 'tracked.mp4']
    """
    tracked = []
    with implementation_scope("tf"):
        for name, sequences in CLIPS.items():
            example = next(iter(sequences().batch(1)))
            outputs = load_pretrained(name)(tracker_inputs(example))
            shown = (example["frames"], outputs["glimpses"], outputs["boxes"])
            tracked.append([*shown, example["boxes"]])
    strip = _side_by_side(tracked, slice(None, None, 3), axis=0)
    moments = [
        _side_by_side(tracked, slice(moment, moment + 1), axis=1)
        for moment in range(_FRAMES)
    ]
    paths = [pathlib.Path(folder) / name for name in ("film_strip.png", "tracked.mp4")]
    visualize.save_image(paths[0], strip)
    visualize.save_animation(paths[1], np.array(moments))
    return paths


def _side_by_side(tracked, when, axis):
    """Draws some frames of all clips, one beside or below the other."""
    pictures = [
        visualize.film_strip(*(values[:, when] for values in clip)) for clip in tracked
    ]
    gap = [(0, _GAP if dimension == axis else 0) for dimension in range(3)]
    spaced = [np.pad(picture, gap, constant_values=255) for picture in pictures]
    return np.concatenate(spaced, axis)
