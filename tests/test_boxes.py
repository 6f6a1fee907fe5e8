import numpy as np
import pytest

from ratm_tf.boxes import (
    box_from_window,
    corner_box,
    extent_box,
    iou,
    scale_box,
    window_from_box,
    xywh_from_xyxy,
    xyxy_from_xywh,
)

GLIMPSE = (5, 9)
BOXES = np.float32([[3.5, 4.0, 20.0, 30.5], [-10.0, -2.0, 5.0, 8.0]])


@pytest.mark.parametrize(
    ("kind", "box"), [("corner", corner_box), ("extent", extent_box)]
)
def test_a_window_made_from_a_box_draws_it(kind, box):
    window = window_from_box(BOXES, GLIMPSE, kind)
    np.testing.assert_allclose(box(window, GLIMPSE), BOXES, atol=1e-5)
    np.testing.assert_array_equal(
        box_from_window(window, GLIMPSE, kind), box(window, GLIMPSE)
    )
    np.testing.assert_allclose(window[:, 2:4], window[:, 4:6] / 2)


def test_corner_box_goes_through_the_outermost_grid_centres():
    window = np.float32([10, 20, 1, 1, -3, 2])
    columns = 10 + (np.arange(9) - 4) * 3.0
    rows = 20 + (np.arange(5) - 2) * 2.0
    corners = np.array([columns[0], rows[0], columns[-1], rows[-1]])
    np.testing.assert_allclose(corner_box(window, GLIMPSE), corners)
    half_a_stride = np.array([-1.5, -1, 1.5, 1])
    np.testing.assert_allclose(extent_box(window, GLIMPSE), corners + half_a_stride)


def test_one_grid_centre_has_an_extent_alone():
    window = window_from_box(BOXES, (1, 1), "corner")
    np.testing.assert_allclose(extent_box(window, (1, 1)), BOXES, atol=1e-5)


def test_lists_integers_and_float64_are_boxes_too():
    window, box, other = [10, 20, 1, 1, 3, 2], [3, 4, 20, 30], [4, 4, 21, 30]
    expected = [
        box_from_window(np.float32(window), GLIMPSE, "corner"),
        scale_box(np.float32(box), 1.5),
        iou(np.float32(box), np.float32(other)),
    ]
    for made in (list, lambda v: list(map(float, v)), np.int64, np.float64):
        found = [
            box_from_window(made(window), GLIMPSE, "corner"),
            scale_box(made(box), 1.5),
            iou(made(box), np.float32(other)),
        ]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_kind_of_box_that_is_none():
    with pytest.raises(ValueError, match="`kind`.*'outer'"):
        window_from_box(BOXES, GLIMPSE, "outer")


def test_scaling_is_about_the_centre():
    np.testing.assert_allclose(
        scale_box(BOXES, 2.0), [[-4.75, -9.25, 28.25, 43.75], [-17.5, -7, 12.5, 13]]
    )


def test_xywh_counts_whole_pixels():
    """A box of w columns from column x on covers the pixels x .. x + w - 1."""
    box = xyxy_from_xywh([3, 5, 4, 2])
    np.testing.assert_array_equal(box, [2.5, 4.5, 6.5, 6.5])
    np.testing.assert_array_equal(xywh_from_xyxy(box), [3, 5, 4, 2])
    assert xyxy_from_xywh(np.float32([[3, 5, 4, 2]] * 2)).dtype == np.float32


def rasterized_iou(a, b, scale=8):
    """Counts the cells of a fine raster, for boxes on its lines."""

    def cover(box):
        mask = np.zeros([40 * scale, 40 * scale], bool)
        x1, y1, x2, y2 = np.round(np.array(box) * scale).astype(int)
        mask[y1:y2, x1:x2] = True
        return mask

    a, b = cover(a), cover(b)
    return (a & b).sum() / max((a | b).sum(), 1)


def random_boxes(count, seed):
    corners = np.random.default_rng(seed).integers(0, 320, [count, 2, 2]) / 8
    return np.sort(corners, axis=1).reshape([count, 4]).astype(np.float32)


def test_iou_counts_area():
    a, b = random_boxes(50, 0), random_boxes(50, 1)
    expected = [rasterized_iou(*pair) for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(iou(a, b), expected, rtol=1e-5, atol=1e-6)
    assert 0 < np.count_nonzero(expected) < 50


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0.0),
        ([0, 0, 2, 2], [5, 5, 6, 6], 0.0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),
        ([0, 0, 4, 4], [1, 1, 3, 3], 0.25),
    ],
)
def test_iou_of_special_boxes(a, b, expected):
    assert iou(np.float32(a), np.float32(b)).numpy() == pytest.approx(expected)
