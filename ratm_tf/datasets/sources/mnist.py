"""MNIST digits: from a file, from Keras or TFDS, or the packaged sample."""

import dataclasses
import pathlib

import numpy as np
from absl import logging

from ratm_tf.datasets.arguments import SPLITS, one_of
from ratm_tf.datasets.sources.download import download
from ratm_tf.types import Path, Split

SAMPLE_PATH = pathlib.Path(__file__).parents[1] / "mnist_sample.npz"
# The file of `keras.datasets.mnist`.
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
    """Digits, their classes, and where they are from.

    `images, labels = digits` unpacks the first two.

    Attributes:
        images: uint8 of shape [n, 28, 28], 0 is the background and 255 full ink.
        labels: int64 of shape [n], 0..9.
        source: string, a path or a name, for the records of a run.

    Example:
    >>> from ratm_tf.datasets.sources.mnist import Digits
    >>> digits = Digits(np.zeros([2, 28, 28], np.uint8), np.array([0, 0]), "nowhere")
    >>> images, labels = digits
    >>> images.shape, digits.source
    ((2, 28, 28), 'nowhere')
    """

    images: np.ndarray
    labels: np.ndarray
    source: str

    def __iter__(self):
        return iter((self.images, self.labels))


def load_digits(
    split: Split, path: Path | None = None, *, fallback: bool = False
) -> Digits:
    """Loads the digits of one MNIST split.

    Without a `path` they are the whole of MNIST: Keras's file (its cache, or a
    download whose hash is checked), else what TFDS has prepared.

    Args:
        split: "train" or "test".
        path: optional `.npz` file with the arrays `x_train`, `y_train`, `x_test` and
            `y_test` of `keras.datasets.mnist`.
        fallback: whether to warn and take the sample that the package ships, 5,000
            training and 1,000 test digits, where there is no other MNIST.

    Returns:
        `Digits`.

    Raises:
        ValueError: `split` is unknown, or the file at `path` lacks one of the split's
            arrays, holds one of another shape or dtype, or cannot be read.
        FileNotFoundError: there is no file at `path`.
        OSError: without `path` and `fallback`, there is no MNIST to be had.

    Example:
    >>> from ratm_tf.datasets import load_digits
    >>> digits = load_digits("test", fallback=True)
    >>> images, labels = digits
    >>> images.shape[1:], images.dtype
    ((28, 28), dtype('uint8'))
    """
    one_of("split", split, SPLITS)
    if path is not None:
        digits = _read_npz(split, pathlib.Path(path))
    else:
        digits = _find_digits(split, fallback)
    logging.info(
        "MNIST %s: %d digits from %s.", split, len(digits.images), digits.source
    )
    return digits


def _find_digits(split, fallback):
    try:
        path = download(URL, "mnist.npz", SHA256)
        return _read_npz(split, path, "keras.datasets.mnist")
    except OSError as error:
        failure = error

    import tensorflow_datasets as tfds  # Takes more than a second.

    builder = tfds.builder("mnist")
    if builder.data_path.exists():
        digits = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        images, labels = digits["image"][..., 0], digits["label"]
        return Digits(images, labels.astype(np.int64), str(builder.data_path))

    if not fallback:
        raise OSError(
            f"Expected to get MNIST. Received: {failure!r} from {URL}, and TFDS has "
            f"none at {builder.data_path}. Name a file that holds it, or pass "
            "`fallback=True` for the 6,000 digits that the package ships."
        ) from failure
    logging.log_first_n(
        logging.WARNING,
        "MNIST cannot be downloaded (%s): taking 6,000 digits of it, the sample that "
        "the package ships.",
        1,
        failure,
    )
    return _read_npz(split, SAMPLE_PATH, "the packaged sample")


def _read_npz(split, path, source=None):
    if not path.is_file():
        raise FileNotFoundError(f"Expected an MNIST file at {path}, which is missing.")
    names = f"x_{split}", f"y_{split}"
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            present = list(arrays)
            images, labels = (arrays[n] if n in present else None for n in names)
    except Exception as error:  # NumPy, zipfile and zlib raise what they like.
        raise ValueError(
            f"Expected {path} to be a whole .npz file. Received: {error!r}"
        ) from error
    missing = set(names) - set(present)
    if missing:
        raise ValueError(
            f"Expected {path} to hold {', '.join(sorted(missing))}. "
            f"Received: {', '.join(present) or 'nothing'}"
        )
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
        raise ValueError(
            f"Expected {names[0]} in {path} to be uint8 of shape [n, 28, 28]. "
            f"Received: {images.dtype} of shape {list(images.shape)}"
        )
    if labels.dtype.kind not in "iuf" or labels.shape != images.shape[:1]:
        raise ValueError(
            f"Expected {names[1]} in {path} to be numbers of shape [{len(images)}]. "
            f"Received: {labels.dtype} of shape {list(labels.shape)}"
        )
    wrong = np.flatnonzero(~np.isin(labels, range(10)))
    if wrong.size:
        raise ValueError(
            f"Expected {names[1]} in {path} to be of 0..9. "
            f"Received: {labels[wrong[0]]!r} of digit {wrong[0]}"
        )
    return Digits(images, labels.astype(np.int64), source or str(path))
