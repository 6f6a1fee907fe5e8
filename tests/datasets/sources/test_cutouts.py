import pathlib
import shutil

import cv2
import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets.sources.cutouts import load_cutouts

DRAWN = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "cutouts" / "dummy_data"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(DRAWN / "cutouts", tmp_path / "cutouts")


def write(folder, name, size, box):
    """A bright object in a box (x1, y1, x2, y2) of a picture of (width, height)."""
    x1, y1, x2, y2 = box
    image = np.full([*size[::-1], 3], 20, np.uint8)
    mask = np.zeros(size[::-1], np.uint8)
    image[y1:y2, x1:x2] = 200
    mask[y1:y2, x1:x2] = 255
    cv2.imwrite(str(folder / f"{name}.jpg"), image)
    cv2.imwrite(str(folder / f"{name}.png"), mask)


def test_splits_share_neither_objects_nor_backgrounds():
    train, test = (
        load_cutouts(split, DRAWN / "cutouts") for split in ("train", "test")
    )
    for ours, theirs in zip(train, test, strict=True):
        assert len(ours) == len(theirs) == 1
        ours, theirs = (
            kind[0][0] if isinstance(kind[0], list) else kind[0]
            for kind in (ours, theirs)
        )
        assert not np.array_equal(ours, theirs)


def test_pictures_are_read_once():
    once = load_cutouts("train", DRAWN / "cutouts")
    assert load_cutouts("train", DRAWN / "cutouts") is once


def test_objects_are_cut_out_with_a_margin_of_a_pixel(folder):
    write(folder, "things/0002", (50, 40), (10, 5, 30, 35))
    *_, image = load_cutouts("train", folder).things
    assert image.shape == (32, 22, 4)
    np.testing.assert_array_equal(image[1:-1, 1:-1, 3], 255)
    assert image[..., 3].sum() == 255 * 30 * 20
    assert image[2:-2, 2:-2, :3].min() > 180


def test_people_in_part_are_apart(folder):
    write(folder, "people/0002", (50, 40), (10, 5, 40, 35))
    pictures = load_cutouts("train", folder)
    assert [image.shape[:2] for image in pictures.others] == [(32, 32)]
    assert len(pictures.people) == 1


def test_objects_that_a_border_cuts_are_left_out(folder):
    write(folder, "things/0002", (50, 40), (0, 5, 30, 35))
    with open(folder / "index.csv", "a") as file:
        file.write("things/0002,drawn,50,40,1,1.00\n")
    assert len(load_cutouts("train", folder).things) == 1


def test_backgrounds_come_in_halves(folder):
    cv2.imwrite(str(folder / "backgrounds" / "0002.jpg"), np.zeros([480, 960, 3]))
    levels = load_cutouts("train", folder).backgrounds[1]
    assert [level.shape for level in levels] == [
        (240, 480, 3),
        (120, 240, 3),
        (60, 120, 3),
    ]


def test_streets_and_their_people_join(pennfudan):
    alone = load_cutouts("test", DRAWN / "cutouts")
    joined = load_cutouts("test", DRAWN / "cutouts", pennfudan)
    assert len(joined.people) == len(alone.people) + 8
    assert len(joined.backgrounds) == len(alone.backgrounds) + 4
    for person in joined.people:
        assert person.dtype == np.uint8 and person.shape[2] == 4
        assert person[..., 3].max() == 255 and not person[0, :, 3].any()


def test_wrong_folders(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="`cutouts_path` to be .*nowhere"):
        load_cutouts("train", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`split` to be .* Received: 'all'"):
        load_cutouts("all", folder)
    mask = folder / "things" / "0001.png"
    cv2.imwrite(str(mask), np.zeros([56, 72]))
    with pytest.raises(ValueError, match="0001.png to mask an object"):
        load_cutouts("train", folder)
    cv2.imwrite(str(mask), np.zeros([9, 9]))
    with pytest.raises(ValueError, match=r"0001.png to be a mask .*Received: \(9, 9\)"):
        load_cutouts("train", folder)
    mask.unlink()
    with pytest.raises(ValueError, match="0001.png to be a mask .*Received: None"):
        load_cutouts("train", folder)
    for file in (folder / "things").glob("0001.*"):
        file.unlink()
    with pytest.raises(ValueError, match="to hold things of the train split"):
        load_cutouts("train", folder)
