import pathlib

import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.datasets import cutout_sequences

DRAWN = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "cutouts" / "dummy_data"


def sequences(split="train", num_frames=4, num_sequences=6, **kwargs):
    dataset = cutout_sequences(
        split,
        num_frames=num_frames,
        num_sequences=num_sequences,
        frame_size=(80, 96),
        cutouts_path=DRAWN / "cutouts",
        **kwargs,
    )
    return list(dataset.as_numpy_iterator())


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def test_features():
    videos = cutout_sequences(
        "test", num_frames=3, batch_size=2, cutouts_path=str(DRAWN / "cutouts")
    )
    assert videos.cardinality() == tf.data.INFINITE_CARDINALITY
    spec = {
        name: (of.shape.as_list(), of.dtype) for name, of in videos.element_spec.items()
    }
    assert spec == {
        "frames": ([None, 3, 160, 160, 3], tf.uint8),
        "boxes": ([None, 3, 4], tf.float32),
        "initial_box": ([None, 4], tf.float32),
        "mask": ([None, 3], tf.bool),
    }
    (video,) = videos.take(1).as_numpy_iterator()
    sizes = video["boxes"][..., 2:] - video["boxes"][..., :2]
    assert np.all(sizes > 2) and np.all(np.isfinite(video["initial_box"]))


def test_sequences_depend_on_seed_split_and_index_alone():
    expected = sequences()
    for ours, theirs in zip(sequences(), expected, strict=True):
        assert_same(ours, theirs)
    different = {video["frames"].tobytes() for video in expected}
    different |= {video["frames"].tobytes() for video in sequences("test")}
    different |= {video["frames"].tobytes() for video in sequences(seed=-1)}
    different |= {video["frames"].tobytes() for video in sequences(start=2**40)}
    assert len(different) == 4 * len(expected)


def test_batches_and_ranges_hold_the_same_sequences():
    expected = sequences()
    parts = sequences(num_sequences=4) + sequences(num_sequences=2, start=4)
    for ours, theirs in zip(parts, expected, strict=True):
        assert_same(ours, theirs)
    batches = sequences(batch_size=4)
    for name in expected[0]:
        np.testing.assert_array_equal(
            np.concatenate([batch[name] for batch in batches]),
            np.stack([video[name] for video in expected]),
        )


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_frames", 0, "`num_frames` to be an integer >= 1. Received: 0"),
        ("num_sequences", -1, "`num_sequences` to be an integer >= 1. Received: -1"),
        ("batch_size", 2.5, "`batch_size` to be an integer >= 1. Received: 2.5"),
        ("start", -1, "`start` to be an integer >= 0. Received: -1"),
        ("seed", "a", "`seed` to be an integer. Received: 'a'"),
        ("split", "all", "`split` to be one of 'train', 'test'. Received: 'all'"),
    ],
)
def test_bad_arguments(argument, value, message):
    with pytest.raises(ValueError, match=message):
        sequences(**{argument: value})
