import numpy as np
import tensorflow as tf

from ratm_tf.datasets.starts import spatial_starts, temporal_starts


def sequence(length, unknown=()):
    first = np.arange(length, dtype=np.float32)[:, np.newaxis]
    mask = np.ones(length, bool)
    mask[list(unknown)] = False
    boxes = np.concatenate([first, first, first + 10, first + 20], axis=1)
    example = {
        "frames": np.arange(length).reshape(-1, 1, 1, 1).astype(np.uint8),
        "boxes": boxes,
        "mask": mask,
        "initial_box": boxes[0],
        "name": "Couple",
    }
    return {name: tf.constant(value) for name, value in example.items()}


def test_ends_start_on_their_first_box():
    ends = list(temporal_starts(sequence(100)))
    firsts = [int(end["frames"][0, 0, 0, 0]) for end in ends]
    assert firsts == list(range(0, 100, 5))
    for end, first in zip(ends, firsts, strict=True):
        assert {len(end[name]) for name in ("frames", "boxes", "mask")} == {100 - first}
        np.testing.assert_array_equal(end["initial_box"], end["boxes"][0])
        np.testing.assert_array_equal(end["boxes"][:, 0], np.arange(first, 100))
        assert end["name"] == "Couple"


def test_none_starts_without_a_box():
    ends = temporal_starts(sequence(6, unknown=[0, 2, 5]))
    assert [int(end["frames"][0, 0, 0, 0]) for end in ends] == [1, 3, 4]


def test_first_boxes_are_those_of_the_benchmark():
    example = sequence(3)
    starts = list(spatial_starts(example))
    found = {tuple(np.round(start["initial_box"].numpy(), 3)) for start in starts}
    shifted = {
        (float(x), float(y), x + 10.0, y + 20.0)
        for x in (-1, 0, 1)
        for y in (-2, 0, 2)
        if x or y
    }
    scaled = {
        (5 - 5 * scale, 10 - 10 * scale, 5 + 5 * scale, 10 + 10 * scale)
        for scale in (0.8, 0.9, 1.1, 1.2)
    }
    expected = {tuple(np.round(np.float32(box), 3)) for box in shifted | scaled}
    assert len(starts) == 12 and found == expected
    for start in starts:
        np.testing.assert_array_equal(start["boxes"], example["boxes"])


def test_they_go_into_pipelines():
    whole = tf.data.Dataset.from_tensors(sequence(8))
    assert len(list(whole.flat_map(lambda e: temporal_starts(e, 4)))) == 4
    assert len(list(whole.flat_map(spatial_starts))) == 12
