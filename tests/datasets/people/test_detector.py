import numpy as np
import pytest

from ratm_tf.datasets.people.detector import detect

FRAME_SIZE = (120, 160)
HEIGHT = np.full(40, 80.0)


def draw(seed, hip, num_frames=40):
    rng = np.random.default_rng(seed)
    feet = np.full(num_frames, 100.0)
    return detect(rng, hip[:num_frames], feet, HEIGHT[:num_frames], FRAME_SIZE)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_are_whole_pixels_of_the_frame_and_of_one_aspect(seed):
    boxes = draw(seed, np.linspace(-20, 180, 40))
    assert boxes.dtype == np.float32 and boxes.shape == (40, 4)
    np.testing.assert_array_equal(boxes + 0.5, np.round(boxes + 0.5))
    assert boxes.min() >= -0.5 and np.all(boxes[:, 2:] <= np.array([159.5, 119.5]))
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    # A pixel of the width more or less changes the ratio by so much.
    aspect = min([2.45, 2.9, 3.4], key=lambda a: np.abs(height / width - a).max())
    assert np.all(np.abs(height - aspect * width) <= (1 + aspect) / 2 + 1e-6)


def test_longer_videos_begin_alike():
    hip = np.linspace(40, 120, 40)
    np.testing.assert_array_equal(draw(3, hip, 9), draw(3, hip)[:9])


def test_errors_are_small_and_greatest_at_first():
    hip = np.full(40, 80.0)
    boxes = np.stack([draw(seed, hip) for seed in range(300)])
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    errors = np.linalg.norm(centers - [80.0, 60.0], axis=-1) / 80.0
    heights = (boxes[..., 3] - boxes[..., 1]) / 80.0
    assert errors[:, 0].mean() > 1.3 * errors[:, 20:].mean()
    assert errors[:, 20:].mean() < 0.06
    np.testing.assert_allclose(heights[:, 20:].mean(), 1.02, atol=0.02)
    assert heights[:, 0].mean() < heights[:, 20:].mean() - 0.05
    # An error stays for a while.
    settled = centers[:, 20:, 0] - 80.0
    following = np.corrcoef(settled[:, :-1].ravel(), settled[:, 1:].ravel())[0, 1]
    assert 0.4 < following < 0.8
