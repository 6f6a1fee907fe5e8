import numpy as np
import pytest

from ratm_tf.datasets.people.gait import PHASES, stride_cycle
from ratm_tf.datasets.sources.penn_fudan import cut_out

POSES = PHASES // 2 + 1


@pytest.fixture
def cutout(pedestrian):
    image, mask = pedestrian
    return cut_out(image, mask)[0]


def test_extents_are_around_the_person(cutout):
    layers, extents = stride_cycle(cutout, height=90.0, spread=0.4, lean=0.05)
    assert layers.shape[:2] == (POSES, 2) and layers.dtype == np.float32
    assert extents.shape == (POSES, 4) and extents.dtype == np.float32
    for layer, extent in zip(layers, extents, strict=True):
        y, x = np.nonzero(layer[1] > 0.5)
        expected = [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5]
        np.testing.assert_array_equal(extent, expected)
    heights = extents[:, 3] - extents[:, 1]
    np.testing.assert_allclose(heights, 90, atol=3)
    assert layers.min() >= 0 and layers[:, 1].max() <= 1 + 1e-6


def test_legs_open_and_close_in_half_a_stride(cutout):
    _, extents = stride_cycle(cutout, height=90.0, spread=0.6, lean=0.0)
    widths = extents[:, 2] - extents[:, 0]
    assert min(widths[0], widths[-1]) > 1.4 * widths[POSES // 2]
    # Feet are a leg's length times the spread from under the hip, on both sides.
    layers, _ = stride_cycle(cutout, height=90.0, spread=0.6, lean=0.0)
    feet = np.flatnonzero(layers[0, 1, -8:-3].max(axis=0) > 0.5)
    middle = layers.shape[3] // 2
    for reach in (middle - feet.min(), feet.max() - middle):
        assert abs(reach - 0.6 * 0.52 * 90) < 10


def test_a_person_that_stands_is_the_same_in_all_poses(cutout):
    layers, extents = stride_cycle(cutout, height=90.0, spread=0.0, lean=0.0)
    np.testing.assert_allclose(layers, layers[:1].repeat(POSES, axis=0), atol=1e-3)
    assert len(np.unique(extents, axis=0)) == 1


def test_the_head_leans_to_the_right(cutout):
    upright, leaning = (
        stride_cycle(cutout, height=90.0, spread=0.3, lean=lean)[0] for lean in (0, 0.1)
    )

    def head(layers):
        alpha = layers[0, 1, 3:12]
        columns = np.arange(alpha.shape[1]) - alpha.shape[1] // 2
        return (alpha.sum(axis=0) @ columns) / alpha.sum()

    # It is 0.48 body heights above the hip, of which it leans a tenth.
    assert abs(head(leaning) - head(upright) - 0.1 * 0.48 * 90) < 2
