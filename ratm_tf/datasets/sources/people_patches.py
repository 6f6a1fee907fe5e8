"""Patches of people and of backgrounds, to train the classifier of people on."""

import pathlib
import re
from typing import Literal

import numpy as np

from ratm_tf.datasets.arguments import integer, one_of
from ratm_tf.datasets.sources.pictures import read_picture
from ratm_tf.opencv import cv2
from ratm_tf.types import Path

_SHARES = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}


def load_people_patches(
    split: Literal["train", "validation", "test"], path: Path, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Loads one split of a folder of patches with and without a person.

    Made for patches of 64x128 pixels as those of the INRIA person data set, with a
    person of about 96 pixels in the middle.

    Patches of one photograph resemble each other, and are mirrored often: those whose
    names differ only in the last letter or number go to the same split. Splits have
    70, 10 and 20 percent of the photographs.

    Args:
        split: "train", "validation" or "test".
        path: folder that holds images in the folders `positive` and `negative`.
        seed: integer >= 0, chooses the splits.

    Returns:
        A pair of arrays: patches, uint8 of shape [n, 128, 64], grey; and labels, int64
        of shape [n], 1 for a person.

    Raises:
        FileNotFoundError: a folder is missing or empty.
        ValueError: `split` is unknown, or a file is no image of 64x128 pixels.

    Example:
    >>> ratm_tf.datasets.load_people_patches("train", "/nowhere")
    Traceback (most recent call last):
    FileNotFoundError: Expected `path` to hold images in `negative`. Received: /nowhere
    """
    one_of("split", split, tuple(_SHARES))
    seed = integer("seed", seed, at_least=0)
    patches, labels = [], []
    for label, kind in enumerate(("negative", "positive")):
        folder = pathlib.Path(path) / kind
        files = sorted(folder.glob("[!.]*.*"))
        if not files:
            raise FileNotFoundError(
                f"Expected `path` to hold images in `{kind}`. Received: {path}"
            )
        for file in _of_split(split, files, seed):
            patch = read_picture(file)[..., 0]
            if patch.shape != (128, 64):
                raise ValueError(
                    f"Expected {file} to be a picture of 64x128 pixels. "
                    f"Received: shape {patch.shape}"
                )
            patches.append(patch)
            labels.append(label)
    return np.stack(patches), np.array(labels)


def _of_split(split, files, seed):
    photographs = [re.sub(r"([a-z]|_\d+)$", "", file.stem) for file in files]
    names = sorted(set(photographs))
    order = np.random.default_rng(seed).permutation(len(names))
    first, last = (round(share * len(names)) for share in _SHARES[split])
    chosen = {names[i] for i in order[first:last]}
    return [f for f, name in zip(files, photographs, strict=True) if name in chosen]


def crop_people(patches):
    """Cuts out the people tightly, in the size that the classifier takes.

    Args:
        patches: uint8 of shape [n, 128, 64].

    Returns:
        Float32 of shape [n, 28, 28, 1], 0..1: without 16 pixels at the top and the
        bottom and 8 at the sides, resized.

    Example:
    >>> from ratm_tf.datasets.sources.people_patches import crop_people
    >>> crop_people(np.full([2, 128, 64], 255, np.uint8)).shape
    (2, 28, 28, 1)
    """
    tight = [
        cv2.resize(patch[16:-16, 8:-8], (28, 28), interpolation=cv2.INTER_AREA)
        for patch in patches
    ]
    return np.stack(tight)[..., np.newaxis] / np.float32(255)
