import cv2
import numpy as np
import pytest

from ratm_tf.datasets.sources.people_patches import crop_people, load_people_patches

SPLITS = ("train", "validation", "test")


@pytest.fixture
def folder(tmp_path):
    """Photographs 0..19 of people and 20..39 without; grey is the number."""
    for kind, first in (("positive", 0), ("negative", 20)):
        (tmp_path / kind).mkdir()
        for number in range(first, first + 20):
            for last in "ab" if number % 2 else ("_0", "_1", "_10"):
                patch = np.full([128, 64], number, np.uint8)
                cv2.imwrite(str(tmp_path / kind / f"crop_{number}{last}.png"), patch)
        (tmp_path / kind / ".DS_Store").touch()
        (tmp_path / kind / "._crop_1a.png").touch()
    return tmp_path


def test_splits_keep_photographs_together(folder):
    numbers = []
    for split, share in zip(SPLITS, (14, 2, 4), strict=True):
        patches, labels = load_people_patches(split, folder)
        assert patches.dtype == np.uint8 and patches.shape[1:] == (128, 64)
        np.testing.assert_array_equal(labels, patches[:, 0, 0] < 20)
        found = set(patches[:, 0, 0])
        assert sum(n < 20 for n in found) == sum(n >= 20 for n in found) == share
        numbers += found
        assert len(patches) == sum(2 if number % 2 else 3 for number in found)
    assert sorted(numbers) == list(range(40))


def test_splits_depend_on_the_seed_alone(folder):
    first, again, other = (load_people_patches("test", folder, s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first[:, 0, 0]) != set(other[:, 0, 0])


def test_crops_are_tight():
    patch = np.zeros([1, 128, 64], np.uint8)
    patch[0, 16:112, 8:56] = 255
    np.testing.assert_array_equal(crop_people(patch), np.ones([1, 28, 28, 1]))
    patch[0, :64] = 0
    crop = crop_people(patch)[0, ..., 0]
    assert crop.dtype == np.float32
    np.testing.assert_array_equal(
        crop, np.repeat([0.0, 1.0], 14)[:, None] + np.zeros(28)
    )


def test_wrong_folders(tmp_path):
    with pytest.raises(ValueError, match="`split` to be one of .* Received: 'all'"):
        load_people_patches("all", tmp_path)
    with pytest.raises(ValueError, match="`seed` to be .* >= 0. Received: -1"):
        load_people_patches("train", tmp_path, seed=-1)
    with pytest.raises(FileNotFoundError, match="`path` to hold images in `negative`"):
        load_people_patches("train", tmp_path)
    (tmp_path / "negative").mkdir()
    cv2.imwrite(str(tmp_path / "negative" / "1.png"), np.zeros([64, 64]))
    with pytest.raises(
        ValueError,
        match=r"1.png to be a picture of 64x128 pixels. Received: shape \(64, 64\)",
    ):
        load_people_patches("train", tmp_path)
