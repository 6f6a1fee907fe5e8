import itertools

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets import load_digits, moving_mnist_sequences
from ratm_tf.datasets.moving_mnist.sequences import render
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def sequences(split="train", num_frames=10, num_sequences=8, **kwargs):
    dataset = moving_mnist_sequences(
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


def test_two_digits_are_drawn_by_maximum_and_the_first_is_the_target():
    images, labels = load_digits("test", SAMPLE_PATH)
    digits = dict(zip((image.tobytes() for image in images), labels, strict=True))
    overlaps = 0
    for element in sequences("test", num_frames=30, num_digits=2, num_sequences=48):
        frames, boxes = element["frames"][..., 0], element["boxes"]
        corners = (boxes[:, :2] + 0.5).astype(int)
        # Where only the target's cell has ink, or both are apart, it is a digit.
        known = [
            frame[y : y + 28, x : x + 28].tobytes()
            for frame, (x, y) in zip(frames, corners, strict=True)
        ]
        (target,) = {cell for cell in known if cell in digits}
        assert digits[target] == element["digit"]
        target = np.frombuffer(target, np.uint8).reshape(28, 28)
        ink = []
        for frame, (x, y) in zip(frames, corners, strict=True):
            assert np.all(frame[y : y + 28, x : x + 28] >= target)
            rest = frame.astype(int)
            rest[y : y + 28, x : x + 28] -= target
            ink.append(rest.sum())
        # What is left is the other digit, less where the target outshines it.
        overlaps += np.count_nonzero(np.array(ink) < max(ink))
        assert ink.count(max(ink)) > 10

        center = boxes[0].reshape(2, 2).mean(axis=0)
        np.testing.assert_array_equal(
            element["initial_box"], np.concatenate([center - 40, center + 40])
        )
    assert overlaps > 0


def test_motion_of_two_digits_has_the_constants_of_one_and_of_balls():
    boxes = np.stack(
        [
            element["boxes"]
            for element in sequences(num_frames=3, num_digits=2, num_sequences=2000)
        ]
    )
    corners = boxes[..., :2] + 0.5
    assert corners.min() == 0 and corners.max() == 72
    start = corners[:, 0]
    inner = np.all((start > 28) & (start < 44), axis=1)
    first = np.diff(corners[inner], axis=1)[:, 0]
    # Two balls and two axes share the drift's square, 25.
    spread = np.sqrt(25 / 4 + 15**2 / 3 * (0.9**2 + 0.1**2))
    np.testing.assert_allclose(first.std(), spread, atol=1)


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


@pytest.mark.parametrize("num_digits", [1, 2])
def test_sequences_depend_on_seed_split_and_index_alone(num_digits):
    def draw(*split, **options):
        return sequences(*split, num_digits=num_digits, **options)

    expected = draw()
    for ours, theirs in zip(draw(), expected, strict=True):
        assert_same(ours, theirs)
    different = {element["boxes"].tobytes() for element in expected}
    different |= {element["boxes"].tobytes() for element in draw("test")}
    different |= {element["boxes"].tobytes() for element in draw(seed=1)}
    assert len(different) == 3 * len(expected)


@pytest.mark.parametrize(
    ("num_digits", "digit", "corners"),
    [
        (1, 7, [[0, 48], [12, 59], [24, 70], [36, 64]]),
        (2, 5, [[53, 27], [53, 29], [53, 31], [53, 34]]),
    ],
)
def test_sequences_never_change(num_digits, digit, corners):
    (element,) = sequences(num_frames=4, num_sequences=1, num_digits=num_digits)
    assert element["digit"] == digit
    np.testing.assert_array_equal(element["boxes"][:, :2] + 0.5, corners)


@pytest.mark.parametrize("num_digits", [1, 2])
def test_draws_of_splits_seeds_and_quantities_are_independent(num_digits):
    """Where digits start and how their velocity begins and changes, nearby, too."""

    def drawn(**options):
        options = {"num_digits": num_digits} | options
        [batch] = sequences(
            num_frames=4, num_sequences=2000, batch_size=2000, **options
        )
        corners = batch["boxes"][..., :2]
        first, second, third = np.diff(corners, axis=1).swapaxes(0, 1)
        kicks = [second - 0.9 * first, third - 0.9 * second]
        return np.concatenate([corners[:, 0], first, *kicks], axis=1)

    ours = drawn()
    others = [
        {"split": "test"},
        {"seed": 1},
        {"seed": -1},
        {"num_digits": 3 - num_digits},
    ]
    for options in others:
        theirs = drawn(**options)
        for lag in range(-2, 3):
            between = np.corrcoef(ours, np.roll(theirs, lag, axis=0), rowvar=False)
            assert np.abs(between[:8, 8:]).max() < 5 / np.sqrt(2000)


def test_far_sequences_and_other_seeds_are_others():
    """Index and seed count with all of their bits."""
    starts = [0, 2**31, 2**32, 2**40, 2**62]
    seeds = [0, 1, 2, 3, 12, -1, 2**32, 2**63 - 1, -(2**63)]
    drawn = [
        example["boxes"].tobytes()
        for options in [
            *({"start": s} for s in starts),
            *({"seed": s} for s in seeds[1:]),
        ]
        for example in sequences(**options)
    ]
    assert len(set(drawn)) == len(drawn)


def test_batches_hold_the_same_sequences():
    batches = sequences(batch_size=3)
    assert [len(batch["digit"]) for batch in batches] == [3, 3, 2]
    for name in ("frames", "boxes", "digit"):
        np.testing.assert_array_equal(
            np.concatenate([batch[name] for batch in batches]),
            np.stack([element[name] for element in sequences()]),
        )


@pytest.mark.parametrize("num_digits", [1, 2])
def test_start_gives_every_worker_its_range(num_digits):
    workers = [
        *sequences(num_digits=num_digits, num_sequences=35),
        *sequences(num_digits=num_digits, num_sequences=5, start=35),
    ]
    whole = sequences(num_digits=num_digits, num_sequences=40)
    for ours, theirs in zip(workers, whole, strict=True):
        assert_same(ours, theirs)


@pytest.mark.parametrize("num_digits", [1, 2])
def test_short_sequences_are_the_beginning_of_long_ones(num_digits):
    shorts = sequences(num_digits=num_digits)
    longs = sequences(num_digits=num_digits, num_frames=30)
    for short, long in zip(shorts, longs, strict=True):
        np.testing.assert_array_equal(short["frames"], long["frames"][:10])
        np.testing.assert_array_equal(short["boxes"], long["boxes"][:10])
        assert short["digit"] == long["digit"]


def test_cardinality_and_shapes_are_known():
    endless = moving_mnist_sequences("test", num_frames=2, mnist_path=SAMPLE_PATH)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    assert endless.element_spec == {
        "frames": tf.TensorSpec([2, 100, 100, 1], tf.uint8),
        "boxes": tf.TensorSpec([2, 4], tf.float32),
        "digit": tf.TensorSpec([], tf.int64),
    }
    batches = moving_mnist_sequences(
        "test", num_frames=1, num_sequences=7, batch_size=2, mnist_path=SAMPLE_PATH
    )
    assert batches.cardinality() == 4


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_frames", 0, "`num_frames` to be an integer >= 1. Received: 0"),
        ("num_digits", 3, "`num_digits` to be one of 1, 2. Received: 3"),
        ("num_sequences", -1, "`num_sequences` to be an integer >= 1. Received: -1"),
        ("batch_size", 2.5, "`batch_size` to be an integer >= 1. Received: 2.5"),
        ("start", -1, "`start` to be an integer >= 0. Received: -1"),
        ("seed", "a", "`seed` to be an integer. Received: 'a'"),
        ("frame_size", 100, r"`frame_size` to be \(height, width\). Received: 100"),
        (
            "frame_size",
            (100, 42),
            r"`frame_size\[1\]` to be an integer >= 43. Received: 42",
        ),
        ("split", "all", "`split` to be one of 'train', 'test'. Received: 'all'"),
    ],
)
def test_bad_arguments(argument, value, message):
    with pytest.raises(ValueError, match=message):
        sequences(**{argument: value})
