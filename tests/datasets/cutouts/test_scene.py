import pathlib

import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets.cutouts import scene
from ratm_tf.datasets.cutouts.scene import film
from ratm_tf.datasets.sources.cutouts import load_cutouts

DRAWN = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "cutouts" / "dummy_data"


@pytest.fixture(scope="module")
def videos():
    pictures = load_cutouts("train", DRAWN / "cutouts")
    return [film(np.random.default_rng(i), pictures, 8, (96, 128)) for i in range(60)]


def test_targets_are_seen_at_first_and_mostly_later(videos):
    masks = np.stack([video["mask"] for video in videos])
    assert masks[:, 0].all()
    assert 0.85 < masks.mean() < 1


def test_targets_move_as_those_of_real_videos_do(videos):
    boxes = np.stack([video["boxes"] for video in videos]).astype(float)
    sizes = boxes[..., 2:] - boxes[..., :2]
    moves = np.diff(boxes[..., :2] + sizes / 2, axis=1) / sizes[:, :-1]
    median, ninth = np.percentile(np.abs(moves), [50, 90], axis=(0, 1))
    assert 0.02 < median[0] < 0.08 and 0.004 < median[1] < 0.03
    assert 0.08 < ninth[0] < 0.3
    growth = np.abs(np.diff(np.log(sizes.prod(axis=-1)), axis=1)) / 2
    assert np.median(growth) < 0.03 and growth.max() > 0.03


def test_first_boxes_are_near_and_some_are_poor(videos):
    overlaps = []
    for video in videos:
        ours, theirs = video["initial_box"], video["boxes"][0]
        low, high = np.maximum(ours[:2], theirs[:2]), np.minimum(ours[2:], theirs[2:])
        both = np.prod(np.maximum(high - low, 0))
        areas = np.prod(ours[2:] - ours[:2]) + np.prod(theirs[2:] - theirs[:2])
        overlaps.append(both / (areas - both))
    assert np.median(overlaps) > 0.85
    assert 0.3 < min(overlaps) < 0.7
    assert np.mean(np.array(overlaps) < 0.75) < 0.3


def test_some_videos_are_grey(videos):
    spread = [np.ptp(video["frames"].astype(int), axis=-1).max() for video in videos]
    assert 0.05 < np.mean(np.array(spread) == 0) < 0.4


def test_what_the_target_changes_lies_in_its_box(monkeypatch):
    """Of two videos that differ by the target's look alone."""
    pictures = load_cutouts("train", DRAWN / "cutouts")
    set_off, seen = scene.set_off, 0
    monkeypatch.setattr(scene, "_exposed", lambda rng, views, num_frames: views)
    for seed in range(12):
        videos = []
        for shift in (0, 90):

            def other_look(rng, image, *args, shift=shift):
                image = set_off(rng, image, *args).copy()
                image[..., :3] += np.uint8(shift)
                return image

            monkeypatch.setattr(scene, "set_off", other_look)
            monkeypatch.setattr(scene, "_others", lambda *args: [])
            rng = np.random.default_rng(seed)
            videos.append(film(rng, pictures, 6, (96, 128)))
        ours, theirs = videos
        np.testing.assert_array_equal(ours["boxes"], theirs["boxes"])
        rows, columns = np.mgrid[:96, :128]
        apart = np.any(ours["frames"] != theirs["frames"], axis=-1)
        for here, (x1, y1, x2, y2), visible in zip(
            apart, ours["boxes"], ours["mask"], strict=True
        ):
            reach = 14  # Of motion blur
            inside = (columns > x1 - reach) & (columns < x2 + reach)
            inside &= (rows > y1 - reach) & (rows < y2 + reach)
            assert not here[~inside].any()
            if visible:
                seen += 1
                assert here.any()
    assert seen > 50
