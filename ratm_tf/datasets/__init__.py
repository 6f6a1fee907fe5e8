"""Data sets as `tf.data` pipelines: the paper's, TB-100, and one's own videos.

Each has a folder of its own; `ratm_tf.datasets.builders` registers them with TFDS.
"""

import importlib
import typing

_HOMES = {
    "bouncing_balls_sequences": "bouncing_balls.sequences",
    "cutout_sequences": "cutouts.sequences",
    "kth_sequences": "kth.sequences",
    "labelled": "examples",
    "load_digits": "sources.mnist",
    "load_people_patches": "sources.people_patches",
    "moving_mnist_sequences": "moving_mnist.sequences",
    "otb_sequences": "otb.sequences",
    "people_sequences": "people.sequences",
    "random_parts": "parts",
    "throughput": "rate",
    "tracker_inputs": "examples",
    "videos": "annotated.videos",
}
_FOLDERS = (
    "annotated",
    "bouncing_balls",
    "cutouts",
    "kth",
    "moving_mnist",
    "otb",
    "people",
    "sources",
)

__all__ = [
    "bouncing_balls_sequences",
    "cutout_sequences",
    "kth_sequences",
    "labelled",
    "load_digits",
    "load_people_patches",
    "moving_mnist_sequences",
    "otb_sequences",
    "people_sequences",
    "random_parts",
    "throughput",
    "tracker_inputs",
    "videos",
]

if typing.TYPE_CHECKING:  # What tools see; `__getattr__` loads it later.
    from ratm_tf.datasets.annotated.videos import videos
    from ratm_tf.datasets.bouncing_balls.sequences import bouncing_balls_sequences
    from ratm_tf.datasets.cutouts.sequences import cutout_sequences
    from ratm_tf.datasets.examples import labelled, tracker_inputs
    from ratm_tf.datasets.kth.sequences import kth_sequences
    from ratm_tf.datasets.moving_mnist.sequences import moving_mnist_sequences
    from ratm_tf.datasets.otb.sequences import otb_sequences
    from ratm_tf.datasets.parts import random_parts
    from ratm_tf.datasets.people.sequences import people_sequences
    from ratm_tf.datasets.rate import throughput
    from ratm_tf.datasets.sources.mnist import load_digits
    from ratm_tf.datasets.sources.people_patches import load_people_patches


def __getattr__(name):
    if name in _HOMES:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(home, name)
    if name in _FOLDERS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
