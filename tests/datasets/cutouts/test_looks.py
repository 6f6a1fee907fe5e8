import pathlib

import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets.cutouts import looks
from ratm_tf.datasets.sources.cutouts import load_cutouts

DRAWN = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "cutouts" / "dummy_data"


@pytest.fixture(scope="module")
def pictures():
    return load_cutouts("train", DRAWN / "cutouts")


def test_most_in_streets_are_people_and_elsewhere_few(pictures):
    rng = np.random.default_rng(0)
    for street, low, high in ((True, 0.7, 0.9), (False, 0.25, 0.45)):
        people = [looks.subject(rng, pictures, street)[1] for _ in range(200)]
        assert low < np.mean(people) < high


def test_other_colours_keep_the_outline(pictures):
    image, rng = pictures.things[0], np.random.default_rng(0)
    outlines, colours = set(), set()
    for _ in range(20):
        other = looks.recoloured(rng, image)
        outlines.add(other[..., 3].tobytes())
        colours.add(other[..., :3].tobytes())
    mirrored = image[:, ::-1, 3].tobytes()
    assert outlines == {image[..., 3].tobytes(), mirrored} and len(colours) == 20


def test_most_targets_are_set_off_from_what_is_behind_them():
    image = np.full([20, 10, 4], 120, np.uint8)
    apart = []
    for seed in range(60):
        frame = np.full([50, 60, 3], seed * 4, np.uint8)
        rng = np.random.default_rng(seed)
        seen = looks.set_off(rng, image, frame, np.array([30, 25]), np.array([10, 20]))
        np.testing.assert_array_equal(seen[..., 3], image[..., 3])
        apart.append(abs(float(seen[..., :3].mean()) - 4 * seed))
    assert np.mean(np.array(apart) > 14) > 0.75


def test_strips_are_opaque_but_for_their_rim(pictures):
    rng = np.random.default_rng(0)
    for _ in range(10):
        alpha = looks.strip(rng, pictures)[..., 3]
        assert (alpha[1:-1, 1:-1] == 255).all()
        rim = [alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]]
        assert not np.concatenate(rim).any()
