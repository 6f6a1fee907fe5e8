import numpy as np
import pytest

from ratm_tf.datasets.parts import random_parts, whole_sequences


def video(length, name, shown):
    """Frames that tell video and time, of which the last ones are padding."""
    frames = np.full([length, 2, 3, 1], name, np.uint8)
    frames[:, 0, 0, 0] = np.arange(length)
    boxes = np.repeat(np.arange(length, dtype=np.float32)[:, None], 4, axis=1)
    return {
        "frames": frames,
        "boxes": boxes,
        "initial_box": boxes[0],
        "mask": np.arange(length) < shown,
        "name": np.int64(name),
    }


VIDEOS = [video(9, 1, 9), video(7, 2, 4), video(3, 3, 3)]


def test_parts_are_frames_in_order_that_padding_never_begins():
    parts = list(random_parts(VIDEOS, num_frames=5, num_sequences=200))
    lengths, shown = {1: 9, 2: 7, 3: 3}, {1: 9, 2: 4, 3: 3}
    seen = set()
    for part in parts:
        part = {key: value.numpy() for key, value in part.items()}
        name, first = int(part["name"]), int(part["frames"][0, 0, 0, 0])
        seen.add((name, first))
        there = min(5, shown[name] - first)
        assert part["mask"].tolist() == [True] * there + [False] * (5 - there)
        assert (part["frames"][:there, 0, 0, 0] == first + np.arange(there)).all()
        assert (part["frames"][:there, 1] == name).all()
        assert (part["boxes"][:there, 2] == first + np.arange(there)).all()
        assert (part["initial_box"] == first).all()
        assert len(part["frames"]) == len(part["boxes"]) == 5
        assert first + there <= lengths[name]
    assert seen == {(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (3, 0)}


def test_a_seed_names_its_parts():
    def drawn(**options):
        return [
            (int(part["name"]), float(part["boxes"][0, 0]))
            for part in random_parts(VIDEOS, num_frames=2, **options)
        ]

    whole = drawn(num_sequences=30)
    assert drawn(num_sequences=10, start=20) == whole[20:]
    assert drawn(num_sequences=30, seed=1) != whole


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_frames", 0, "`num_frames` to be an integer >= 1. Received: 0"),
        ("num_sequences", -1, "`num_sequences` to be an integer >= 1. Received: -1"),
        ("start", -1, "`start` to be an integer >= 0. Received: -1"),
        ("seed", "a", "`seed` to be an integer. Received: 'a'"),
        ("examples", [], "`examples` to be of one at least"),
        ("examples", [VIDEOS[0], video(3, 1, 0)], r"`examples\[1\]` to have a frame"),
    ],
)
def test_bad_arguments(argument, value, message):
    options = {"examples": VIDEOS, "num_frames": 2, argument: value}
    with pytest.raises(ValueError, match=message):
        random_parts(**options)


def test_a_part_begins_where_there_is_a_box():
    gaps = video(9, 1, 9) | {"mask": np.isin(np.arange(9), [1, 4, 7])}
    starts = {
        (int(part["initial_box"][0]), tuple(part["mask"].numpy().tolist()))
        for part in random_parts([gaps], num_frames=4, num_sequences=50)
    }
    assert starts == {
        (1, (True, False, False, True)),
        (4, (True, False, False, True)),
    }


def test_sequences_of_several_sizes():
    small = video(3, 1, 3) | {"frames": np.zeros([3, 4, 3, 1], np.uint8)}
    dataset = whole_sequences([small, video(2, 2, 2)])
    assert len(dataset) == 2
    assert dataset.element_spec["frames"].shape.as_list() == [None, None, 3, 1]
    shapes = [tuple(example["frames"].shape) for example in dataset]
    assert shapes == [(3, 4, 3, 1), (2, 2, 3, 1)]
