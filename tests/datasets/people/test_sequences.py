import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets import people_sequences


def sequences(pennfudan, split="train", num_frames=8, num_sequences=6, **kwargs):
    dataset = people_sequences(
        split,
        num_frames=num_frames,
        num_sequences=num_sequences,
        pennfudan_path=pennfudan,
        **kwargs,
    )
    return list(dataset.as_numpy_iterator())


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def iou(ours, theirs):
    def area(low, high):
        return np.prod(np.maximum(high - low, 0), axis=-1)

    low = np.maximum(ours[:, :2], theirs[:, :2])
    high = np.minimum(ours[:, 2:], theirs[:, 2:])
    both = area(low, high)
    return both / (
        area(ours[:, :2], ours[:, 2:]) + area(theirs[:, :2], theirs[:, 2:]) - both
    )


def test_features(pennfudan):
    videos = people_sequences(
        "test", num_frames=7, batch_size=2, pennfudan_path=pennfudan
    )
    assert videos.cardinality() == tf.data.INFINITE_CARDINALITY
    spec = {name: of.shape.as_list() for name, of in videos.element_spec.items()}
    assert spec == {
        "frames": [None, 7, 120, 160, 1],
        "boxes": [None, 7, 4],
        "detected_boxes": [None, 7, 4],
        "initial_box": [None, 4],
        "mask": [None, 7],
    }
    (video,) = videos.take(1).as_numpy_iterator()
    assert video["frames"].dtype == np.uint8 and video["mask"].dtype == bool
    np.testing.assert_array_equal(video["initial_box"], video["detected_boxes"][:, 0])


def test_boxes_lie_in_the_frame_and_stay_when_the_person_has_left(pennfudan):
    left = 0
    for video in sequences(pennfudan, num_frames=60, num_sequences=12):
        mask = video["mask"]
        assert mask[0] and np.all(mask[:-1] >= mask[1:])
        left += not mask[-1]
        for name in ("boxes", "detected_boxes"):
            boxes = video[name]
            assert np.all(boxes[:, :2] >= -0.5)
            assert np.all(boxes[:, 2:] <= np.array([160, 120]) - 0.5)
            assert np.all(boxes[:, 2:] - boxes[:, :2] >= 1)
            stays = boxes[mask.sum() - 1 :]
            np.testing.assert_array_equal(stays, np.broadcast_to(stays[0], stays.shape))
    assert 0 < left < 12


def test_true_boxes_are_where_the_person_moves(pennfudan):
    """What differs between two frames lies in their boxes."""
    inside = total = 0.0
    rows, columns = np.mgrid[:120, :160]
    for video in sequences(pennfudan, num_frames=9, num_sequences=24):
        first, later = video["frames"][[0, 8], ..., 0].astype(float)
        change = np.maximum(np.abs(first - later) - 25, 0)
        in_boxes = np.zeros([120, 160], bool)
        for x1, y1, x2, y2 in video["boxes"][[0, 8]]:
            in_boxes |= (x1 < columns) & (columns < x2) & (y1 < rows) & (rows < y2)
        inside += change[in_boxes].sum()
        total += change.sum()
    assert inside / total > 0.9


def test_detected_boxes_err_as_a_detector_does(pennfudan):
    videos = sequences(pennfudan, num_frames=12, num_sequences=60)
    overlaps = np.stack([iou(v["boxes"], v["detected_boxes"]) for v in videos])
    overlaps[~np.stack([video["mask"] for video in videos])] = np.nan
    first, settled = np.nanmean(overlaps[:, 0]), np.nanmean(overlaps[:, 8:12])
    assert 0.3 < first < settled - 0.1 < 0.75


def test_people_move_both_ways_at_different_speeds(pennfudan):
    moved = np.array(
        [
            np.diff(video["detected_boxes"][[3, 9]].reshape(2, 2, 2).mean(1)[:, 0])[0]
            for video in sequences(pennfudan, num_frames=10, num_sequences=50)
        ]
    )
    assert 0.25 < np.mean(moved > 0) < 0.75
    low, high = np.percentile(np.abs(moved) / 6, [10, 90])
    assert low < 2 and 4 < high < 9


def test_sequences_depend_on_seed_split_and_index_alone(pennfudan):
    expected = sequences(pennfudan)
    for ours, theirs in zip(sequences(pennfudan), expected, strict=True):
        assert_same(ours, theirs)
    different = {video["frames"].tobytes() for video in expected}
    different |= {v["frames"].tobytes() for v in sequences(pennfudan, "test")}
    different |= {v["frames"].tobytes() for v in sequences(pennfudan, seed=-1)}
    assert len(different) == 3 * len(expected)


def test_sequences_never_change(pennfudan):
    """Trained models and their figures hold for these sequences."""
    (video,) = sequences(pennfudan, num_frames=2, num_sequences=1)
    expected = [[-0.5, 15.5, 33.5, 98.5], [-0.5, 11.5, 35.5, 100.5]]
    np.testing.assert_array_equal(video["detected_boxes"], expected)
    expected = [[-0.5, 14.54, 7.54, 104.98], [-0.5, 14.51, 9.09, 104.94]]
    np.testing.assert_allclose(video["boxes"], expected, atol=0.01)


def test_far_sequences_and_other_seeds_are_others(pennfudan):
    """Index and seed count with all of their bits."""
    starts = [0, 2**31, 2**32, 2**40, 2**62]
    seeds = [0, 1, 2, 3, 12, -1, 2**32, 2**63 - 1, -(2**63)]
    drawn = [
        example["boxes"].tobytes()
        for options in [
            *({"start": s} for s in starts),
            *({"seed": s} for s in seeds[1:]),
        ]
        for example in sequences(pennfudan, **options)
    ]
    assert len(set(drawn)) == len(drawn)


def test_batches_and_ranges_hold_the_same_sequences(pennfudan):
    expected = sequences(pennfudan)
    parts = sequences(pennfudan, num_sequences=4)
    parts += sequences(pennfudan, num_sequences=2, start=4)
    for ours, theirs in zip(parts, expected, strict=True):
        assert_same(ours, theirs)
    batches = sequences(pennfudan, batch_size=4)
    for name in expected[0]:
        np.testing.assert_array_equal(
            np.concatenate([batch[name] for batch in batches]),
            np.stack([video[name] for video in expected]),
        )


def test_short_sequences_are_the_beginning_of_long_ones(pennfudan):
    longer = sequences(pennfudan, num_frames=40)
    for short, long in zip(sequences(pennfudan), longer, strict=True):
        for name in ("frames", "boxes", "detected_boxes", "mask"):
            np.testing.assert_array_equal(short[name], long[name][:8], name)
        np.testing.assert_array_equal(short["initial_box"], long["initial_box"])


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_frames", 0, "`num_frames` to be an integer >= 1. Received: 0"),
        ("num_sequences", -1, "`num_sequences` to be an integer >= 1. Received: -1"),
        ("batch_size", 2.5, "`batch_size` to be an integer >= 1. Received: 2.5"),
        ("start", -1, "`start` to be an integer >= 0. Received: -1"),
        ("seed", "a", "`seed` to be an integer. Received: 'a'"),
        ("frame_size", 100, r"`frame_size` to be \(height, width\). Received: 100"),
        (
            "frame_size",
            (63, 99),
            r"`frame_size\[0\]` to be an integer >= 64. Received: 63",
        ),
        ("split", "all", "`split` to be one of 'train', 'test'. Received: 'all'"),
    ],
)
def test_bad_arguments(pennfudan, argument, value, message):
    with pytest.raises(ValueError, match=message):
        sequences(pennfudan, **{argument: value})
