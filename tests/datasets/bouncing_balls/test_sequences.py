import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets import bouncing_balls_sequences
from ratm_tf.datasets.bouncing_balls.sequences import render


def sequences(split="train", num_frames=8, num_sequences=6, **kwargs):
    dataset = bouncing_balls_sequences(
        split, num_frames=num_frames, num_sequences=num_sequences, **kwargs
    )
    return list(dataset.as_numpy_iterator())


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def reference_frame(centers):
    """A frame of balls, in the unit of the box and one pixel at a time."""
    frame = np.zeros([20, 20])
    for row in range(20):
        for column in range(20):
            point = (np.array([column, row]) + 0.5) / 20 * 10
            for center in centers:
                squared = ((point - center) ** 2).sum()
                frame[row, column] += np.exp(-((squared / 1.2**2) ** 4))
    return np.round(255 * np.minimum(frame, 1))


def test_render_matches_reference():
    rng = np.random.default_rng(0)
    centers = rng.uniform(1, 9, [4, 2, 2])
    centers[0, 1] = centers[0, 0] + 0.5  # overlapping
    for num_balls in 1, 2:
        frames = render(tf.constant(2 * centers[:, :num_balls], tf.float32))
        assert frames.shape == (4, 20, 20, 1) and frames.dtype == tf.uint8
        for frame, balls in zip(frames.numpy(), centers[:, :num_balls], strict=True):
            np.testing.assert_allclose(frame[..., 0], reference_frame(balls), atol=1)


def test_boxes_are_around_the_ball():
    for element in sequences(num_frames=32):
        assert element["frames"].dtype == np.uint8
        assert element["frames"].shape == (32, 20, 20, 1)
        assert element["boxes"].dtype == np.float32
        boxes = element["boxes"]
        np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 4.8, rtol=1e-5)
        weights = element["frames"][..., 0] / element["frames"].sum(
            axis=(1, 2, 3), keepdims=True
        ).squeeze(-1)
        x = (weights * np.arange(20)).sum(axis=(1, 2))
        y = (weights * np.arange(20)[:, np.newaxis]).sum(axis=(1, 2))
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        np.testing.assert_allclose(centers, np.stack([x, y], axis=1), atol=0.1)


def test_motion_has_the_published_constants():
    boxes = np.stack(
        [element["boxes"] for element in sequences(num_frames=2, num_sequences=500)]
    )
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    np.testing.assert_allclose(centers[:, 0].min(axis=0), 1.9, atol=0.2)
    np.testing.assert_allclose(centers[:, 0].max(axis=0), 17.1, atol=0.2)
    moves = np.linalg.norm(centers[:, 1] - centers[:, 0], axis=-1)
    assert np.isclose(moves, 1.0, atol=1e-4).mean() > 0.9  # the others bounced


def test_several_balls_share_a_frame_and_its_speed():
    for element in sequences(num_frames=2, num_balls=3):
        frames = element["frames"].astype(float)
        (alone,) = sequences(num_frames=1, num_sequences=1)
        ratio = frames[0].sum() / alone["frames"].sum()
        np.testing.assert_allclose(ratio, 3, atol=0.2)
        x, y = ((element["boxes"][0, :2] + element["boxes"][0, 2:]) / 2).round()
        assert frames[0, int(y), int(x), 0] > 250
        assert np.linalg.norm(np.diff(element["boxes"][:, :2], axis=0)) < 1.0


def test_sequences_depend_on_seed_split_and_index_alone():
    expected = sequences()
    for ours, theirs in zip(sequences(), expected, strict=True):
        assert_same(ours, theirs)
    different = {element["boxes"].tobytes() for element in expected}
    different |= {element["boxes"].tobytes() for element in sequences("test")}
    different |= {element["boxes"].tobytes() for element in sequences(seed=1)}
    assert len(different) == 3 * len(expected)


def test_random_windows_are_anywhere_in_the_frame():
    options = {"num_frames": 2, "batch_size": 1000, "num_sequences": 1000}
    plain = next(iter(bouncing_balls_sequences("train", **options)))
    example = next(
        iter(bouncing_balls_sequences("train", random_window=True, **options))
    )
    boxes = example.pop("initial_box").numpy()
    for name, values in plain.items():  # the balls do not change
        np.testing.assert_array_equal(values, example[name])
    center, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    for drawn, low, high in ((center, 0, 19), (size, 9.5, 19)):
        assert drawn.min() >= low - 1e-4 and drawn.max() <= high + 1e-4
        np.testing.assert_allclose(drawn.mean(axis=0), (low + high) / 2, rtol=0.1)
        assert np.ptp(drawn, axis=0).min() > 0.95 * (high - low)
    balls = (example["boxes"][:, 0, :2] + example["boxes"][:, 0, 2:]) / 2
    mixed = np.corrcoef(np.concatenate([center, size, balls], axis=1).T)
    assert np.abs(mixed - np.eye(6)).max() < 0.12
    other = next(iter(bouncing_balls_sequences("test", random_window=True, **options)))
    assert np.all(boxes != other["initial_box"].numpy())


def test_sequences_never_change():
    """Trained models and their figures hold for these sequences."""
    (element,) = sequences("test", num_frames=3, num_sequences=1)
    expected = [[13.5169, 13.3313], [13.1641, 12.3956], [12.8112, 11.4599]]
    np.testing.assert_allclose(element["boxes"][:, :2], expected, atol=1e-4)


def test_draws_of_splits_seeds_and_quantities_are_independent():
    """Where balls start, and where they go, at the same index and nearby."""

    def drawn(**options):
        [batch] = sequences(
            num_frames=2, num_sequences=2000, batch_size=2000, **options
        )
        corners = batch["boxes"][..., :2]
        return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)

    ours = drawn()
    for options in ({"split": "test"}, {"seed": 1}, {"num_balls": 2}):
        theirs = drawn(**options)
        for lag in range(-2, 3):
            between = np.corrcoef(ours, np.roll(theirs, lag, axis=0), rowvar=False)
            assert np.abs(between[:4, 4:]).max() < 5 / np.sqrt(2000)
    starts, moves = ours[:, :2], ours[:, 2:]
    inside = np.all((starts > 2) & (starts < 12), axis=1)  # none bounces
    within = np.corrcoef(starts[inside], moves[inside], rowvar=False)[:2, 2:]
    assert np.abs(within).max() < 5 / np.sqrt(inside.sum())


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


def test_batches_and_workers_hold_the_same_sequences():
    expected = sequences(num_balls=2)
    batches = sequences(num_balls=2, batch_size=4)
    assert [len(batch["boxes"]) for batch in batches] == [4, 2]
    workers = sequences(num_balls=2, num_sequences=4)
    workers += sequences(num_balls=2, num_sequences=2, start=4)
    for name in ("frames", "boxes"):
        stacked = np.stack([element[name] for element in expected])
        np.testing.assert_array_equal(
            np.concatenate([batch[name] for batch in batches]), stacked
        )
        np.testing.assert_array_equal(
            np.stack([element[name] for element in workers]), stacked
        )


def test_short_sequences_are_the_beginning_of_long_ones():
    for short, long in zip(sequences(), sequences(num_frames=32), strict=True):
        np.testing.assert_array_equal(short["frames"], long["frames"][:8])
        np.testing.assert_array_equal(short["boxes"], long["boxes"][:8])


def test_cardinality_and_shapes_are_known():
    endless = bouncing_balls_sequences("test", num_frames=2)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    assert endless.element_spec == {
        "frames": tf.TensorSpec([2, 20, 20, 1], tf.uint8),
        "boxes": tf.TensorSpec([2, 4], tf.float32),
    }
    batches = bouncing_balls_sequences(
        "test", num_frames=1, num_sequences=7, batch_size=2
    )
    assert batches.cardinality() == len(list(batches)) == 4


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_frames", 0, "`num_frames` to be an integer >= 1. Received: 0"),
        ("num_sequences", -1, "`num_sequences` to be an integer >= 1. Received: -1"),
        ("batch_size", 2.5, "`batch_size` to be an integer >= 1. Received: 2.5"),
        ("start", -1, "`start` to be an integer >= 0. Received: -1"),
        ("seed", "a", "`seed` to be an integer. Received: 'a'"),
        ("num_balls", 0, "`num_balls` to be one of 1, 2, 3, 4, 5, 6. Received: 0"),
        ("num_balls", 7, "`num_balls` to be one of 1, 2, 3, 4, 5, 6. Received: 7"),
        ("split", "all", "`split` to be one of 'train', 'test'. Received: 'all'"),
    ],
)
def test_bad_arguments(argument, value, message):
    with pytest.raises(ValueError, match=message):
        sequences(**{argument: value})
