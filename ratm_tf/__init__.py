"""RATM, the Recurrent Attentive Tracking Model, for TensorFlow and Keras.

Names load what they need when they are used (PEP 562). Where Keras or TensorFlow is
there already, the package's classes are registered at once, so that
`keras.saving.load_model` knows them.
"""

import importlib
import sys
import typing

_MODULES = (
    "attention",
    "boxes",
    "datasets",
    "export",
    "features",
    "objectives",
    "one_pass",
    "pretrained",
    "recipes",
    "serving",
    "training",
    "visualize",
)
_NAMES = {
    "CorrelationCell": "attention",
    "GOT10kTracker": "got10k_tracker",
    "GaussianGlimpse": "attention",
    "IRNNCell": "attention",
    "MeanIoU": "objectives",
    "OnlineTracker": "online_tracker",
    "RATMCell": "attention",
    "Tracker": "tracker",
    "evaluate": "training.evaluate",
    "export_saved_model": "export",
    "gaussian_glimpse": "attention",
    "labelled": "datasets.examples",
    "load_pretrained": "pretrained",
    "load_saved_model": "export",
    "train": "training.train",
}
_REGISTERED = ("attention", "features", "objectives", "tracker")

__all__ = [
    "CorrelationCell",
    "GOT10kTracker",
    "GaussianGlimpse",
    "IRNNCell",
    "MeanIoU",
    "OnlineTracker",
    "RATMCell",
    "Tracker",
    "attention",
    "boxes",
    "datasets",
    "evaluate",
    "export",
    "export_saved_model",
    "features",
    "gaussian_glimpse",
    "labelled",
    "load_pretrained",
    "load_saved_model",
    "objectives",
    "one_pass",
    "pretrained",
    "recipes",
    "serving",
    "train",
    "training",
    "visualize",
]

if typing.TYPE_CHECKING:  # What tools see; the names above load it later.
    from ratm_tf import (
        attention,
        boxes,
        datasets,
        export,
        features,
        objectives,
        one_pass,
        pretrained,
        recipes,
        serving,
        training,
        visualize,
    )
    from ratm_tf.attention import (
        CorrelationCell,
        GaussianGlimpse,
        IRNNCell,
        RATMCell,
        gaussian_glimpse,
    )
    from ratm_tf.datasets.examples import labelled
    from ratm_tf.export import export_saved_model, load_saved_model
    from ratm_tf.got10k_tracker import GOT10kTracker
    from ratm_tf.objectives import MeanIoU
    from ratm_tf.online_tracker import OnlineTracker
    from ratm_tf.pretrained import load_pretrained
    from ratm_tf.tracker import Tracker
    from ratm_tf.training.evaluate import evaluate
    from ratm_tf.training.train import train

    __version__: str


def _load(module):
    return importlib.import_module(f"{__name__}.{module}")


def _register():
    for module in _REGISTERED:
        _load(module)


def __getattr__(name):
    if name in _NAMES:
        _register()
        globals()[name] = getattr(_load(_NAMES[name]), name)
        return globals()[name]
    if name in _MODULES:
        return _load(name)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("ratm-tf")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__, "__version__"]


if sys.modules.get("keras") or sys.modules.get("tensorflow"):
    _register()
