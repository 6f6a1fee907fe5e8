import numpy as np
import pytest

from ratm_tf.datasets.people.scene import film
from ratm_tf.datasets.sources.penn_fudan import cut_out

FRAME_SIZE = (120, 160)


@pytest.fixture
def cutout(pedestrian):
    image, mask = pedestrian
    return cut_out(image, mask)[0]


@pytest.fixture
def street():
    return np.random.default_rng(0).integers(90, 130, [160, 240]).astype(np.uint8)


def shoot(seed, cutout, street, num_frames=12):
    def streams(name):
        return np.random.default_rng([seed, len(name)])

    return film(streams, [cutout], [street], num_frames, FRAME_SIZE)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_of_the_person_is_outside_of_its_box(seed, cutout, street):
    """Of two people of one shape and brightness, but of other clothes."""
    ours = shoot(seed, cutout, street)
    stripes = np.indices(cutout.grey.shape).sum(axis=0) // 4 % 2 * 160 + 40
    theirs = shoot(seed, cutout._replace(grey=stripes.astype(np.uint8)), street)
    np.testing.assert_array_equal(ours["boxes"], theirs["boxes"])
    apart = ours["frames"][..., 0] != theirs["frames"][..., 0]
    rows, columns = np.mgrid[:120, :160]
    seen = 0
    for here, (x1, y1, x2, y2), there in zip(
        apart, ours["boxes"], ours["mask"], strict=True
    ):
        # Half-covered pixels and the lens reach a little farther.
        inside = (columns >= x1 - 4) & (columns <= x2 + 4)
        inside &= (rows >= y1 - 4) & (rows <= y2 + 4)
        if there:
            assert not here[~inside].any()
            seen += here.mean() > 0.01
    assert seen > 6


def test_examples_are_as_they_are_described(cutout, street):
    for seed in range(6):
        video = shoot(seed, cutout, street, num_frames=30)
        assert video["frames"].dtype == np.uint8
        assert video["frames"].shape == (30, *FRAME_SIZE, 1)
        for name in ("boxes", "detected_boxes"):
            assert video[name].dtype == np.float32 and video[name].shape == (30, 4)
        np.testing.assert_array_equal(video["initial_box"], video["detected_boxes"][0])
        mask = video["mask"]
        assert mask.dtype == bool and mask[0] and np.all(mask[:-1] >= mask[1:])


def test_longer_videos_begin_alike(cutout, street):
    for seed in range(4):
        short, long = (shoot(seed, cutout, street, n) for n in (5, 90))
        for name in ("frames", "boxes", "detected_boxes", "mask"):
            np.testing.assert_array_equal(short[name], long[name][:5], name)
