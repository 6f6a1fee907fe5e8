import itertools

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets import load_digits, moving_mnist
from ratm_tf.datasets.mnist import SAMPLE_PATH
from ratm_tf.datasets.moving_mnist import random_walk, render


def sequences(split="train", num_frames=10, num_sequences=8, **kwargs):
    dataset = moving_mnist(
        split,
        num_frames=num_frames,
        num_sequences=num_sequences,
        mnist_path=SAMPLE_PATH,
        **kwargs,
    )
    return list(dataset.as_numpy_iterator())


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def reference_walk(position, velocity, kicks, limit):
    """One coordinate of `random_walk`, one step at a time."""
    positions = [position]
    for kick in kicks:
        velocity = 0.9 * velocity + 0.1 * kick
        position = position + velocity
        if position < 0:
            position, velocity = -position, -velocity
        elif position > limit:
            position, velocity = 2 * limit - position, -velocity
        positions.append(position)
    return positions


def test_random_walk_matches_reference():
    rng = np.random.default_rng(0)
    for _ in range(20):
        position = rng.uniform(0, [72, 40], 2).astype(np.float32)
        velocity = rng.uniform(-15, 15, 2).astype(np.float32)
        kicks = rng.uniform(-15, 15, [60, 2]).astype(np.float32)
        walk = random_walk(
            tf.constant(position),
            tf.constant(velocity),
            tf.constant(kicks),
            tf.constant([72.0, 40.0]),
        )
        for axis, limit in enumerate([72.0, 40.0]):
            expected = reference_walk(
                position[axis], velocity[axis], kicks[:, axis], limit
            )
            np.testing.assert_allclose(walk[:, axis], expected, atol=1e-3)


def test_render_matches_reference():
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, [3, 4]).astype(np.uint8)
    corners = list(itertools.product(range(5), range(8)))
    frames = render(tf.constant(image), tf.constant(corners), (10, 8))
    assert frames.shape == (40, 10, 8, 1) and frames.dtype == tf.uint8

    corners = [(x, y) for x, y in corners if x <= 8 - 4 and y <= 10 - 3]
    for frame, (x, y) in zip(frames[..., 0].numpy(), corners, strict=True):
        expected = np.zeros([10, 8], np.uint8)
        expected[y : y + 3, x : x + 4] = image
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("frame_size", [(100, 100), (43, 64)])
def test_boxes_are_cells_that_hold_a_digit_of_the_split(split, frame_size):
    images, labels = load_digits(split, SAMPLE_PATH)
    digits = dict(zip((image.tobytes() for image in images), labels, strict=True))
    for element in sequences(split, frame_size=frame_size):
        assert element["frames"].dtype == np.uint8
        assert element["frames"].shape == (10, *frame_size, 1)
        assert element["boxes"].dtype == np.float32
        assert element["digit"].dtype == np.int64
        for frame, box in zip(element["frames"], element["boxes"], strict=True):
            x, y = (box[:2] + 0.5).astype(int)
            np.testing.assert_array_equal(box, [x - 0.5, y - 0.5, x + 27.5, y + 27.5])
            cell = frame[y : y + 28, x : x + 28, 0]
            assert digits[cell.tobytes()] == element["digit"]
            assert cell.astype(int).sum() == frame.astype(int).sum()


def test_motion_has_the_published_constants():
    boxes = np.stack(
        [element["boxes"] for element in sequences(num_frames=3, num_sequences=2000)]
    )
    corners = boxes[..., :2] + 0.5
    assert corners.min() == 0 and corners.max() == 72

    start = corners[:, 0]  # uniform in 0..72, rounded
    np.testing.assert_allclose(start.mean(axis=0), 36, atol=2)
    np.testing.assert_allclose(start.std(axis=0), 72 / 12**0.5, atol=1)

    inner = np.all((start > 32) & (start < 40), axis=1)  # no border within two steps
    first, second = np.diff(corners[inner], axis=1).swapaxes(0, 1)
    spread = 15 / 3**0.5 * np.hypot(0.9, 0.1)
    np.testing.assert_allclose(first.std(), spread, atol=1)
    assert 14 <= np.abs(first).max() <= 16
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95


def test_sequences_depend_on_seed_split_and_index_alone():
    expected = sequences()
    for ours, theirs in zip(sequences(), expected, strict=True):
        assert_same(ours, theirs)
    different = {element["boxes"].tobytes() for element in expected}
    different |= {element["boxes"].tobytes() for element in sequences("test")}
    different |= {element["boxes"].tobytes() for element in sequences(seed=1)}
    assert len(different) == 3 * len(expected)


def test_sequences_never_change():
    (element,) = sequences(num_frames=4, num_sequences=1)
    assert element["digit"] == 3
    corners = [[18, 40], [27, 39], [35, 40], [43, 42]]
    np.testing.assert_array_equal(element["boxes"][:, :2] + 0.5, corners)


def test_batches_hold_the_same_sequences():
    batches = sequences(batch_size=3)
    assert [len(batch["digit"]) for batch in batches] == [3, 3, 2]
    for name in ("frames", "boxes", "digit"):
        np.testing.assert_array_equal(
            np.concatenate([batch[name] for batch in batches]),
            np.stack([element[name] for element in sequences()]),
        )


def test_start_gives_every_worker_its_range():
    workers = sequences(num_sequences=5) + sequences(num_sequences=3, start=5)
    for ours, theirs in zip(workers, sequences(), strict=True):
        assert_same(ours, theirs)


def test_short_sequences_are_the_beginning_of_long_ones():
    for short, long in zip(sequences(), sequences(num_frames=30), strict=True):
        np.testing.assert_array_equal(short["frames"], long["frames"][:10])
        np.testing.assert_array_equal(short["boxes"], long["boxes"][:10])
        assert short["digit"] == long["digit"]


def test_cardinality_and_shapes_are_known():
    endless = moving_mnist("test", num_frames=2, mnist_path=SAMPLE_PATH)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    assert endless.element_spec == {
        "frames": tf.TensorSpec([2, 100, 100, 1], tf.uint8),
        "boxes": tf.TensorSpec([2, 4], tf.float32),
        "digit": tf.TensorSpec([], tf.int64),
    }
    batches = moving_mnist(
        "test", num_frames=1, num_sequences=7, batch_size=2, mnist_path=SAMPLE_PATH
    )
    assert batches.cardinality() == 4


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_frames", 0, "num_frames must be an integer >= 1, got 0"),
        ("num_sequences", -1, "num_sequences must be an integer >= 1, got -1"),
        ("batch_size", 2.5, "batch_size must be an integer >= 1, got 2.5"),
        ("start", -1, "start must be an integer >= 0, got -1"),
        ("seed", "a", "seed must be an integer, got 'a'"),
        ("frame_size", 100, r"frame_size must be \(height, width\), got 100"),
        ("frame_size", (100, 42), r"frame_size\[1\] must be an integer >= 43, got 42"),
        ("split", "all", 'split must be "train" or "test"'),
    ],
)
def test_bad_arguments(argument, value, message):
    with pytest.raises(ValueError, match=message):
        sequences(**{argument: value})
