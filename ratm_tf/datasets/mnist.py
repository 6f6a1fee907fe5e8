"""MNIST digits: from a file, from Keras or TFDS, or the packaged sample."""

import contextlib
import pathlib
import socket
import sys

import keras
import numpy as np
import tensorflow_datasets as tfds
from absl import logging

SAMPLE_PATH = pathlib.Path(__file__).with_name("mnist_sample.npz")
_DOWNLOAD_TIMEOUT_SECONDS = 10


def load_digits(split, path=None):
    """Loads the digits of one MNIST split.

    Without a `path` the digits come from `keras.datasets.mnist` (its cache, or
    a hash-checked download), else from an MNIST that TFDS has prepared, else
    from the small sample that the package ships. One log line tells which.

    Args:
        split: "train" or "test".
        path: optional `.npz` file with the arrays `x_train`, `y_train`,
            `x_test` and `y_test` of `keras.datasets.mnist`.

    Returns:
        A pair of NumPy arrays: images, uint8 of shape [n, 28, 28], 0 is the
        background and 255 full ink; and labels, int64 of shape [n], 0..9.

    Raises:
        ValueError: If `split` is unknown, or the file at `path` lacks one of
            the split's arrays or holds one of another shape or dtype.
        FileNotFoundError: If there is no file at `path`.

    Example:
    >>> from ratm_tf.datasets import load_digits
    >>> images, labels = load_digits("test")
    >>> images.shape[1:], images.dtype
    ((28, 28), dtype('uint8'))
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", got {split!r}.')
    level = logging.INFO
    if path is not None:
        images, labels = _read_npz(split, pathlib.Path(path))
        source = path
    else:
        images, labels, source, level = _find_digits(split)
    count = f"{len(images):,}"
    logging.log(level, "MNIST %s: %s digits from %s.", split, count, source)
    return images, labels.astype(np.int64)


def _find_digits(split):
    try:
        train, test = _keras_digits()
        digits = train if split == "train" else test
        return *digits, "keras.datasets.mnist", logging.INFO
    except Exception as error:  # Offline, Keras raises a bare Exception.
        failure = error

    builder = tfds.builder("mnist")
    if builder.data_path.exists():
        digits = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        return digits["image"][..., 0], digits["label"], builder.data_path, logging.INFO

    source = f"the packaged sample only ({failure})"
    return *_read_npz(split, SAMPLE_PATH), source, logging.WARNING


def _keras_digits():
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_SECONDS)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return keras.datasets.mnist.load_data()
    finally:
        socket.setdefaulttimeout(timeout)


def _read_npz(split, path):
    if not path.is_file():
        raise FileNotFoundError(f"path: no MNIST file at {path}.")
    names = f"x_{split}", f"y_{split}"
    with path.open("rb") as file, np.load(file) as arrays:
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(
                f"path: {path} lacks {', '.join(missing)}; it holds "
                f"{', '.join(arrays) or 'nothing'}."
            )
        images, labels = (arrays[name] for name in names)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"path: {names[0]} in {path} must be uint8 of shape [n, 28, 28], got "
            f"{images.dtype} of shape {list(images.shape)}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"path: {names[1]} in {path} must have shape [{len(images)}], got "
            f"{list(labels.shape)}."
        )
    return images, labels
