"""People, things and backgrounds to compose videos of."""

import csv
import functools
import pathlib
import typing

import numpy as np

from ratm_tf.datasets.arguments import SPLITS, one_of
from ratm_tf.datasets.sources.penn_fudan import annotated_streets, cut_out
from ratm_tf.datasets.sources.pictures import read_picture
from ratm_tf.opencv import cv2

_LONGEST_SIDE = 480
_WHOLE_PERSON = 1.7  # Height over width, at least.
_EDGE = 96  # A mask's softest pixels show what was behind; they are left out.


class Pictures(typing.NamedTuple):
    """What videos are composed of.

    Attributes:
        people: list of whole people, standing or walking: RGBA, uint8 of shape
            [h, w, 4], colours not multiplied with alpha, with a margin of a pixel.
        others: list of people seated or in part, likewise.
        things: list of objects of any kind, likewise.
        backgrounds: list of photographs, RGB, each as a list of uint8 [h, w, 3] of
            which every next one has half the size.
    """

    people: list[np.ndarray]
    others: list[np.ndarray]
    things: list[np.ndarray]
    backgrounds: list[list[np.ndarray]]


@functools.lru_cache(maxsize=4)
def load_cutouts(split, path, pennfudan_path=None):
    """Loads the pictures of one split, once in a process.

    Of each kind, files whose number is a multiple of five are the test split's, so no
    object and no background is in both. Objects that their photograph's border cuts
    are left out. Streets keep their passers-by.

    Args:
        split: "train" or "test".
        path: folder with pairs `people/NNNN.jpg` and `people/NNNN.png`, an object's
            photograph and its mask of equal size, 0..255; the same in `things`;
            photographs `backgrounds/NNNN.jpg`; and `index.csv` with the columns
            `cutout` ("people/NNNN") and `cut_by_border` (0 or 1).
        pennfudan_path: optional folder of the Penn-Fudan database, whose people and
            streets join these, see `load_penn_fudan`.

    Returns:
        The `Pictures`.

    Raises:
        ValueError: `split` is unknown, or a file is no picture, or an object lacks its
            mask or has one of another shape, or a kind has no file in this split.
        FileNotFoundError: there is no such folder.

    Example:
    >>> import pathlib
    >>> from ratm_tf.datasets.sources.cutouts import load_cutouts
    >>> drawn = "datasets/cutouts/dummy_data/cutouts"  # two of each kind
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> pictures = load_cutouts("test", drawn)
    >>> [image.shape for image in pictures.people]
    [(93, 27, 4)]
    """
    one_of("split", split, SPLITS)
    path = pathlib.Path(path)
    if not (path / "index.csv").is_file():
        raise FileNotFoundError(
            "Expected `cutouts_path` to be a folder with people, things, backgrounds "
            f"and index.csv. Received: {path}"
        )
    with open(path / "index.csv", newline="") as file:
        rows = csv.DictReader(file)
        cut = {row["cutout"] for row in rows if row["cut_by_border"] == "1"}

    def files(kind):
        for file in sorted((path / kind).glob("[0-9]*.jpg")):
            is_test = int(file.stem) % 5 == 0
            if is_test == (split == "test") and f"{kind}/{file.stem}" not in cut:
                yield file

    whole = [_object(file) for file in files("people")]
    people = [image for image in whole if _is_whole_person(image)]
    others = [image for image in whole if not _is_whole_person(image)]
    things = [_object(file) for file in files("things")]
    backgrounds = [_halves(read_picture(file, 3)) for file in files("backgrounds")]
    if pennfudan_path is not None:
        for image, mask in annotated_streets(split, pennfudan_path, channels=3):
            people += [
                np.dstack([person.grey, np.rint(255 * person.alpha).astype(np.uint8)])
                for person in cut_out(image, mask)
            ]
            backgrounds.append(_halves(image))
    pictures = Pictures(people, others or people, things, backgrounds)
    for kind, images in pictures._asdict().items():
        if not images:
            raise ValueError(
                f"Expected {path} to hold {kind} of the {split} split. Received: none"
            )
    return pictures


def _object(file):
    image = read_picture(file, 3)
    mask = cv2.imread(str(file.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != image.shape[:2]:
        raise ValueError(
            f"Expected {file.with_suffix('.png')} to be a mask of the shape "
            f"{image.shape[:2]} of {file}. Received: "
            f"{None if mask is None else mask.shape}"
        )
    alpha = np.clip((mask - np.float32(_EDGE)) * (255 / (255 - _EDGE)), 0, 255)
    image = np.dstack([image, np.rint(alpha).astype(np.uint8)])
    x, y, width, height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    if not width:
        raise ValueError(
            f"Expected {file.with_suffix('.png')} to mask an object. Received: nothing"
        )
    image = cv2.copyMakeBorder(
        image[y : y + height, x : x + width], 1, 1, 1, 1, cv2.BORDER_REPLICATE
    )
    image[[0, -1], :, 3] = image[:, [0, -1], 3] = 0
    return image


def _is_whole_person(image):
    return image.shape[0] >= _WHOLE_PERSON * image.shape[1]


def _halves(image):
    scale = _LONGEST_SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    levels = [np.ascontiguousarray(image)]
    for _ in range(2):
        levels.append(cv2.pyrDown(levels[-1]))
    return levels
