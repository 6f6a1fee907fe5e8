"""People and streets of the Penn-Fudan pedestrian database."""

import pathlib
import typing

import keras
import numpy as np

from ratm_tf.datasets.arguments import SPLITS, one_of
from ratm_tf.datasets.sources.download import download
from ratm_tf.datasets.sources.pictures import read_picture
from ratm_tf.opencv import cv2

URL = "https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip"
_LAYOUTS = (("PNGImages", "PedMasks", "_mask"), ("images", "masks", ""))
_SMALLEST_HEIGHT = 80
_STREET_SHAPE = (150, 200)


class Cutout(typing.NamedTuple):
    """A person without surroundings.

    Attributes:
        grey: uint8 of shape [h, w].
        alpha: float32 of shape [h, w], how much of a pixel the person covers, 0..1.
    """

    grey: np.ndarray
    alpha: np.ndarray


def load_penn_fudan(split, path=None):
    """Loads the people and the empty streets of one split.

    The official database has no splits. Its images come in runs of the same places
    and passers-by, so the last fifth of each of its two cities is the test split.
    A person is cut out if it is whole: tall enough, off the image's border, and of
    a standing or walking person's proportions. Streets are the images with their
    annotated people painted over.

    Args:
        split: "train" or "test".
        path: optional folder that holds `PNGImages` and `PedMasks` as the official
            archive has them, or `images` and `masks` with equal file names. Without
            it, the archive (51 MB) is downloaded once, to Keras's data sets.

    Returns:
        A pair of lists: of `Cutout`s, and of streets, uint8 of shape [h, w] with
        h >= 150 and w >= 200.

    Raises:
        ValueError: `split` is unknown, or an image lacks its mask or has one of
            another shape.
        FileNotFoundError: there is no such folder or no image in it.
        OSError: there is no path and the download fails.

    Example:
    >>> import pathlib
    >>> from ratm_tf.datasets.sources.penn_fudan import load_penn_fudan
    >>> drawn = "datasets/people/dummy_data/PennFudanPed"
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> cutouts, streets = load_penn_fudan("train", drawn)
    >>> len(cutouts), streets[0].dtype
    (4, dtype('uint8'))
    """
    cutouts, streets = [], []
    for image, mask in annotated_streets(split, path):
        cutouts += cut_out(image[..., 0], mask)
        streets.append(_empty_street(image[..., 0], mask))
    return cutouts, streets


def annotated_streets(split, path=None, channels=1):
    """Reads the images of one split and where people are in them.

    Args:
        split: "train" or "test".
        path: as in `load_penn_fudan`.
        channels: 1 for grey, 3 for RGB.

    Yields:
        Pairs of an image, uint8 of shape [h, w, channels], and its mask, integer of
        shape [h, w], 0 for the background and 1.. for each person.

    Raises:
        As `load_penn_fudan`.

    Example:
    >>> import pathlib
    >>> from ratm_tf.datasets.sources.penn_fudan import annotated_streets
    >>> drawn = "datasets/people/dummy_data/PennFudanPed"
    >>> drawn = pathlib.Path(ratm_tf.__file__).parent / drawn
    >>> [image.shape[2] for image, mask in annotated_streets("test", drawn, channels=3)]
    [3, 3]
    """
    one_of("split", split, SPLITS)
    for image_path, mask_path in _of_split(split, *_find(path)):
        image = read_picture(image_path, channels)
        mask = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
        if mask is None or mask.shape != image.shape[:2]:
            raise ValueError(
                f"Expected {mask_path} to be a mask of the shape {image.shape[:2]} of "
                f"{image_path}. Received: {None if mask is None else mask.shape}"
            )
        yield image, mask


def cut_out(image, mask):
    """Cuts out the people that are whole.

    Args:
        image: uint8 of shape [h, w], or [h, w, channels].
        mask: integer of shape [h, w], 0 for the background and 1.. for each person.

    Returns:
        List of `Cutout`s with a margin of two transparent pixels.

    Example:
    >>> from ratm_tf.datasets.sources.penn_fudan import cut_out
    >>> mask = np.zeros([120, 60], np.uint8)
    >>> mask[10:110, 10:50] = 1
    >>> [person.grey.shape for person in cut_out(mask * 200, mask)]
    [(104, 44)]
    """
    people = []
    for person in range(1, int(mask.max()) + 1):
        x, y, width, height = cv2.boundingRect((mask == person).astype(np.uint8))
        inside = min(x, y, mask.shape[1] - x - width, mask.shape[0] - y - height) >= 2
        if height < _SMALLEST_HEIGHT or not inside or not 2 <= height / width <= 4.5:
            continue
        rows, columns = slice(y - 2, y + height + 2), slice(x - 2, x + width + 2)
        alpha = (mask[rows, columns] == person).astype(np.float32)
        alpha = cv2.GaussianBlur(cv2.erode(alpha, np.ones([2, 2])), (3, 3), 0)
        people.append(Cutout(image[rows, columns], alpha))
    return people


def _find(path):
    if path is None:
        download(URL, "PennFudanPed.zip")
        folder = keras.utils.get_file("PennFudanPed.zip", URL, extract=True)
        path = next(pathlib.Path(folder).rglob("PNGImages")).parent
    path = pathlib.Path(path)
    for images, masks, suffix in _LAYOUTS:
        paths = sorted((path / images).glob("[!.]*Ped*.*"))
        if paths:
            return paths, path / masks, suffix
    raise FileNotFoundError(
        "Expected `pennfudan_path` to hold the images of the Penn-Fudan database, in "
        f"the folder PNGImages or images. Received: {path}"
    )


def _of_split(split, paths, masks, suffix):
    for city in ("Fudan", "Penn"):
        of_city = [path for path in paths if path.name.startswith(city)]
        border = len(of_city) * 4 // 5
        chosen = of_city[:border] if split == "train" else of_city[border:]
        for path in chosen:
            yield path, masks / f"{path.stem}{suffix}.png"


def _empty_street(image, mask):
    height, width = _STREET_SHAPE
    factor = max(height / image.shape[0], width / image.shape[1])
    size = [
        max(round(factor * n), least)
        for n, least in zip(image.shape[::-1], (width, height), strict=True)
    ]
    people = cv2.resize((mask > 0).astype(np.uint8), size) > 0
    people = cv2.dilate(people.astype(np.uint8), np.ones([5, 5]))
    return cv2.inpaint(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA),
        people,
        3,
        cv2.INPAINT_TELEA,
    )
