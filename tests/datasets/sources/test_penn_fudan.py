import functools
import pathlib
import shutil

import cv2
import keras
import numpy as np
import pytest

from ratm_tf.datasets.sources import penn_fudan
from ratm_tf.datasets.sources.penn_fudan import (
    annotated_streets,
    cut_out,
    load_penn_fudan,
)


@pytest.mark.parametrize("layout", ["pennfudan", "pennfudan_jpeg"])
def test_splits_share_neither_people_nor_streets(layout, request):
    folder = request.getfixturevalue(layout)
    train, train_streets = load_penn_fudan("train", folder)
    test, test_streets = load_penn_fudan("test", folder)
    assert len(train) == 32 and len(train_streets) == 16
    assert len(test) == 8 and len(test_streets) == 4
    seen = {street.tobytes() for street in train_streets}
    assert len(seen) == 16 and not seen & {street.tobytes() for street in test_streets}


def test_without_a_path_the_archive_is_fetched_and_unpacked(
    pennfudan, tmp_path, monkeypatch
):
    (tmp_path / "PennFudanPed").symlink_to(pennfudan)
    archive = shutil.make_archive(
        tmp_path / "archive", "zip", tmp_path, base_dir="PennFudanPed"
    )
    monkeypatch.setattr(penn_fudan, "URL", pathlib.Path(archive).as_uri())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    get_file = functools.partial(keras.utils.get_file, cache_dir=tmp_path)
    monkeypatch.setattr(keras.utils, "get_file", get_file)
    cutouts, streets = load_penn_fudan("test")
    assert len(cutouts) == 8 and len(streets) == 4


def test_streets_are_empty_and_large_enough(pennfudan):
    _, streets = load_penn_fudan("test", pennfudan)
    for street in streets:
        assert street.dtype == np.uint8
        assert street.shape[0] >= 150 and street.shape[1] >= 200
        # The drawn people of this split are darker or brighter than their street.
        assert street.min() > 70 and street.max() < 150


def test_streets_come_in_colour_as_well(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    image = np.zeros([20, 30, 3], np.uint8)
    image[..., 2] = 200  # OpenCV's red
    cv2.imwrite(str(tmp_path / "images" / "PennPed00001.png"), image)
    cv2.imwrite(str(tmp_path / "masks" / "PennPed00001.png"), np.eye(20, 30))
    ((street, mask),) = annotated_streets("test", tmp_path, channels=3)
    np.testing.assert_array_equal(street, image[..., ::-1])
    np.testing.assert_array_equal(mask, np.eye(20, 30))


def test_cutouts_are_the_people():
    image = np.full([150, 90], 50, np.uint8)
    mask = np.zeros([150, 90], np.uint8)
    image[10:130, 20:60] = mask[10:130, 20:60] = 2
    mask[20:60, 70:85] = 1  # too small
    (person,) = cut_out(image, mask)
    assert person.grey.shape == person.alpha.shape == (124, 44)
    assert person.alpha.min() == 0 and person.alpha.max() == 1
    assert np.all(person.grey[person.alpha == 1] == 2)
    covered = person.alpha > 0.5
    assert abs(covered.sum() / (120 * 40) - 1) < 0.04


@pytest.mark.parametrize(
    "box", [(0, 20, 100, 60), (20, 0, 120, 40), (20, 20, 100, 70), (20, 30, 130, 35)]
)
def test_people_cut_off_or_of_odd_proportions_are_left_out(box):
    y1, x1, y2, x2 = box
    mask = np.zeros([150, 100], np.uint8)
    mask[y1:y2, x1:x2] = 1
    assert cut_out(mask, mask) == []


def test_wrong_folders(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="`pennfudan_path` to hold the images .*nowhere"
    ):
        load_penn_fudan("train", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`split` to be .* Received: 'all'"):
        load_penn_fudan("all", tmp_path)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "PennPed00001.png"), np.zeros([9, 9]))
    with pytest.raises(
        ValueError,
        match=r"masks/PennPed00001.png to be a mask of .*\(9, 9\).* Received: None",
    ):
        load_penn_fudan("test", tmp_path)
