"""Trained models that ship with the package."""

import pathlib

import keras

from ratm_tf import (  # noqa: F401  (all register what models are made of)
    attention,
    features,
    objectives,
    tracker,
)
from ratm_tf.pretrained.presets import PRESETS, Preset
from ratm_tf.types import Path

__all__ = ["PRESETS", "Preset", "load", "load_pretrained"]


def load_pretrained(name: str) -> keras.Model:
    """Loads a model that ships with the package.

    Args:
        name: one of

            - `"bouncing_balls"`, a `ratm_tf.Tracker` of one ball on 20x20 frames, and
              `"bouncing_balls_last"`, trained with a penalty on the last frame alone;
            - `"moving_mnist"`, a `ratm_tf.Tracker` of one digit on 100x100 frames;
            - `"moving_mnist_two_digits"`, one of two digits, which starts on a given
              box of 80x80 pixels around its target;
            - `"people"`, one of people on frames of any size, which starts on the
              target's box;
            - `"mnist_cnn"`, the digit classifier of section 6.2;
            - `"human_cnn"`, the person classifier of section 6.3.

            `PRESETS` has what each follows, its data and its figures.

    Returns:
        A built, uncompiled `keras.Model`.

    Raises:
        ValueError: if there is no model of that name.

    Example:
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> frames = tf.zeros([1, 10, 100, 100, 1], tf.uint8)
    >>> tracker({"frames": frames})["boxes"].shape
    TensorShape([1, 10, 4])
    """
    if name not in PRESETS:
        raise ValueError(
            f"Expected `name` to be one of {sorted(PRESETS)}. Received: {name!r}"
        )
    return keras.saving.load_model(PRESETS[name].path, compile=False)


def load(model: Path) -> keras.Model:
    """Loads a model of the package, or of a file.

    Args:
        model: `pretrained:NAME`, see `load_pretrained`, or the path of a `.keras` file.

    Returns:
        A built, uncompiled `keras.Model`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no model of that name, or the file has none.

    Example:
    >>> ratm_tf.pretrained.load("pretrained:mnist_cnn").output_shape
    (None, 10)
    """
    kind, _, name = str(model).partition(":")
    if kind == "pretrained":
        return load_pretrained(name)
    if not pathlib.Path(model).is_file():
        raise FileNotFoundError(f"{model}: there is no such file")
    return keras.saving.load_model(model, compile=False)
