"""Trained models that ship with the package."""

from pathlib import Path

import keras

_FOLDER = Path(__file__).parent


def load_pretrained(name):
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
    path = _FOLDER / f"{name}.keras"
    if not path.exists():
        names = sorted(path.stem for path in _FOLDER.glob("*.keras"))
        raise ValueError(f"Expected `name` to be one of {names}. Received: {name!r}")
    return keras.models.load_model(path, compile=False)
