import numpy as np
import pytest

from ratm_tf.datasets import bouncing_balls_sequences, moving_mnist_sequences
from ratm_tf.datasets.moving_mnist.sequences import motion
from ratm_tf.datasets.oracle import (
    bouncing_balls_oracle,
    moving_mnist_oracle,
    oracle_iou,
)
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def reference_iou(boxes_a, boxes_b):
    low = np.maximum(boxes_a[..., :2], boxes_b[..., :2])
    high = np.minimum(boxes_a[..., 2:], boxes_b[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (boxes_a, boxes_b)]
    return common / (sum(areas) - common)


def boxes_of(sequences):
    return np.stack([example["boxes"] for example in sequences])


@pytest.mark.parametrize("num_digits", [1, 2])
def test_true_boxes_are_those_of_the_sequences(num_digits):
    options = {"num_frames": 6, "num_sequences": 5, "num_digits": num_digits, "seed": 3}
    true, _ = moving_mnist_oracle("test", **options)
    sequences = moving_mnist_sequences("test", mnist_path=SAMPLE_PATH, **options)
    np.testing.assert_array_equal(true, boxes_of(sequences))


def test_balls_are_known_from_the_third_frame_on():
    options = {"num_frames": 8, "num_sequences": 300, "seed": 1}
    true, known = bouncing_balls_oracle("test", **options)
    np.testing.assert_array_equal(
        true, boxes_of(bouncing_balls_sequences("test", **options))
    )
    np.testing.assert_array_equal(known[:, 2:], true[:, 2:])
    np.testing.assert_array_equal(known[:, 1], true[:, 0])
    assert np.ptp(known[:, 0], axis=0).max() == 0


def test_first_box_is_the_best_of_the_squares_in_the_middle():
    true, known = moving_mnist_oracle("test", num_frames=1, num_sequences=2_000)
    best = reference_iou(known, true).mean()
    assert known.shape == (2_000, 1, 4)
    np.testing.assert_allclose(known[0, 0, :2] + known[0, 0, 2:], 99.0, rtol=1e-6)
    for side in np.linspace(10, 99, 40):
        other = 49.5 + np.array([-side, -side, side, side]) / 2
        assert reference_iou(other, true).mean() <= best + 1e-6


def test_one_digit_is_foreseen_but_for_its_kicks():
    """Next position and velocity follow from the last ones, walls included."""
    options = {"num_frames": 20, "num_digits": 1, "seed": 0}
    _, known = moving_mnist_oracle("test", num_sequences=200, **options)
    drawn, _, _ = motion("test", frame_size=(100, 100), num_images=1, **options)
    reflections = 0
    for index in range(200):
        _, position, velocity, kicks = (np.float64(part) for part in drawn(index))
        np.testing.assert_allclose(known[index, 1, :2], position - 0.5, atol=1e-3)
        for frame, kick in enumerate(kicks, start=1):
            ahead = position + 0.9 * velocity
            reflections += np.any((ahead < 0) | (ahead > 72))
            ahead = np.where(ahead > 72, 144 - ahead, np.abs(ahead))
            if frame > 1:
                corner = known[index, frame, :2] + 0.5
                np.testing.assert_allclose(corner, ahead, atol=1e-3)
            velocity = 0.9 * velocity + 0.1 * kick
            position = position + velocity
            for axis in range(2):
                if position[axis] < 0:
                    position[axis], velocity[axis] = -position[axis], -velocity[axis]
                elif position[axis] > 72:
                    position[axis] = 144 - position[axis]
                    velocity[axis] = -velocity[axis]
    assert reflections > 50


def test_kicks_are_all_that_two_digits_do_unforeseen():
    """A kick moves a digit by 1.5 pixels per axis at most, rounding by a half."""
    true, known = moving_mnist_oracle(
        "test", num_frames=30, num_sequences=500, num_digits=2
    )
    error = np.abs(true - known)[:, 2:, :2]
    # But for the few that a kick lets bounce, or not, off the other digit.
    assert np.mean(error <= 2.001) > 0.97
    # Uniform in +-1.5, and rounded: so much of the kicks is seen.
    np.testing.assert_allclose(np.median(error), 0.75, atol=0.1)
    assert np.mean(error) < 1.0


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_sequence_has_its_own_numbers(split):
    true, known = moving_mnist_oracle(split, num_frames=4, num_sequences=1_500, seed=2)
    assert len(true) == len(known) == 1_500
    assert len(np.unique(known[:, 3], axis=0)) == 1_500
    other, _ = moving_mnist_oracle(split, num_frames=4, num_sequences=10, seed=3)
    assert not np.array_equal(true[:10], other)


def test_spans_are_measured_as_the_paper_counts_them():
    true = np.zeros([2, 3, 4], np.float32)
    true[..., 2:] = 4.0
    known = true.copy()
    known[:, 0, 2] = 2.0
    known[:, 1, 2:] = 2.0
    assert oracle_iou(true, known, [(1, 1), (1, 3), (2, 2)]) == pytest.approx(
        {
            "oracle_iou_1_1": 0.5,
            "oracle_iou_1_3": (0.5 + 0.25 + 1) / 3,
            "oracle_iou_2_2": 0.25,
        }
    )
    with pytest.raises(ValueError, match="at least 4 frames"):
        oracle_iou(true, known, [(1, 4)])


@pytest.mark.parametrize(
    "change", [{"num_digits": 3}, {"num_frames": 0}, {"num_sequences": 0}]
)
def test_arguments_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        moving_mnist_oracle("test", **{"num_frames": 3, "num_sequences": 2} | change)
    with pytest.raises(ValueError, match="split"):
        moving_mnist_oracle("validation", num_frames=3, num_sequences=2)
