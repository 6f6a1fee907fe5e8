"""Data sets as `tf.data` pipelines: the paper's, TB-100, and one's own videos.

Each has a folder of its own; `ratm_tf.datasets.builders` registers them with TFDS.
"""

import importlib

_HOMES = {
    "bouncing_balls_sequences": "bouncing_balls.sequences",
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
    "kth",
    "moving_mnist",
    "otb",
    "people",
    "sources",
)

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(home, name)
    if name in _FOLDERS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
