import logging
import pathlib
import shutil

import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets.kth.annotations import BadSequence, read_annotations
from ratm_tf.datasets.kth.pipeline import kth, subjects_of
from ratm_tf.datasets.kth.videos import read_sequences

DUMMY = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "kth" / "dummy_data"
BOX_FILE = "KTHBoundingBoxInfo.txt"
JOGGING = "person01_jogging_d1_uncomp.avi"


@pytest.fixture
def data(tmp_path):
    return pathlib.Path(shutil.copytree(DUMMY, tmp_path / "kth"))


def block(frame):
    """The box of the bright block that walks through the made-up clips."""
    rows, columns = np.nonzero(frame[..., 0] > 145)
    return [
        columns.min() - 0.5,
        rows.min() - 0.5,
        columns.max() + 0.5,
        rows.max() + 0.5,
    ]


def test_boxes_fit_the_frames_they_are_for():
    found = list(read_sequences(DUMMY, [1, 2], ["jogging", "walking"]))
    assert [(row.subject, row.sequence, len(frames)) for row, frames in found] == [
        (1, 1, 4),
        (1, 2, 4),
        (2, 1, 4),
        (2, 2, 3),
    ]
    for row, frames in found:
        assert frames.dtype == np.uint8 and frames.shape[1:] == (120, 160, 1)
        blocks = [block(frame) for frame in frames]
        np.testing.assert_allclose(row.boxes, blocks, atol=1)  # JPEG blurs
        assert len({tuple(box) for box in blocks}) == len(frames)


def test_whole_sequences_are_padded_and_masked():
    data = kth("test", data_dir=DUMMY, test_subject=2, batch_size=2)
    [example] = data
    assert example["frames"].shape == (2, 4, 120, 160, 1)
    np.testing.assert_array_equal(
        example["mask"], [[True] * 4, [True, True, True, False]]
    )
    assert not example["frames"][1, 3].numpy().any()
    np.testing.assert_array_equal(example["initial_box"], example["boxes"][:, 0])
    np.testing.assert_allclose(example["boxes"][0, 0], [19.5, 29.5, 43.5, 89.5])
    for name, value in {"subject": 2, "action": 5, "scenario": 3}.items():
        np.testing.assert_array_equal(example[name], [value, value])
    np.testing.assert_array_equal(example["sequence"], [1, 2])
    *_, weights = ratm_tf.labelled(example)
    np.testing.assert_array_equal(weights, example["mask"].numpy().astype(np.float32))
    assert len(data) == 1


def test_random_parts_repeat_themselves_and_stay_aligned():
    options = dict(data_dir=DUMMY, test_subject=1, num_frames=3)
    parts = list(kth("test", num_sequences=20, **options))
    again = list(kth("test", start=5, num_sequences=5, batch_size=5, **options))[0]
    for name in parts[0]:
        expected = [part[name].numpy() for part in parts[5:10]]
        np.testing.assert_array_equal(again[name], expected)
    starts = {(int(p["sequence"]), float(p["boxes"][0, 0])) for p in parts}
    assert len(starts) == 4  # two sequences of four frames: two starts each
    for part in parts:
        blocks = [block(frame) for frame in part["frames"].numpy()]
        np.testing.assert_allclose(part["boxes"], blocks, atol=1)
    other = list(kth("test", num_sequences=20, seed=1, **options))
    assert any(
        (a["boxes"].numpy() != b["boxes"].numpy()).any()
        for a, b in zip(parts, other, strict=True)
    )
    padded = next(iter(kth("test", data_dir=DUMMY, test_subject=1, num_frames=6)))
    np.testing.assert_array_equal(padded["mask"], [True] * 4 + [False] * 2)
    assert padded["frames"].shape == (6, 120, 160, 1)


def test_splits_leave_one_subject_out():
    for subject in (1, 25):
        splits = [subjects_of(s, subject) for s in ("train", "validation", "test")]
        assert sorted(sum(splits, ())) == list(range(1, 26))
        assert splits[2] == (subject,) and len(splits[1]) == 1
    drawn = {subjects_of("validation", 1, seed) for seed in range(20)}
    assert len(drawn) > 5
    with pytest.raises(ValueError, match="test_subject.*26"):
        subjects_of("test", 26)
    with pytest.raises(ValueError, match="split.*nothing"):
        subjects_of("nothing", 1)
    with pytest.raises(ValueError, match="no sequence.*test split"):
        kth("test", data_dir=DUMMY, test_subject=9)


def replace(path, line, words):
    lines = path.read_text().split("\n")
    lines[line - 1] = words
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1 1 4 1 1 2 31 21 90", "8 coordinates.*got 3"),
        ("1 1 4 1 1 1 31 21 90 x", "whole numbers"),
        ("1 1 4", "at least 6"),
        ("26 1 4 1 1 1 31 21 90 44", "a person of 1..25, got 26"),
        ("1 1 7 1 1 1 31 21 90 44", "an action of 1..6, got 7"),
        ("1 1 4 1 5 4", "frames in order, got 5 to 4"),
        ("1 1 4 1 3 4 31 21 90 44 31 44 90 21", r"not so in frames \[4\]"),
    ],
)
def test_a_bad_row_is_named_or_skipped(data, row, complaint, caplog):
    path = data / BOX_FILE
    replace(path, 6, row)
    with pytest.raises(BadSequence, match=f"{path}:6: .*{complaint}"):
        list(read_annotations(path))
    with caplog.at_level(logging.WARNING):
        assert len(list(read_annotations(path, skip_bad=True))) == 3
    assert f"{path}:6" in caplog.text


def missing(data):
    (data / JOGGING).unlink()
    return "5, 6", f"{JOGGING} is missing"


def truncated(data):
    whole = (data / JOGGING).read_bytes()
    (data / JOGGING).write_bytes(whole[: len(whole) * 4 // 5])
    return "6", "expected 9 frames in .*, which gave [4-8] and says it has 9"


def longer(data):
    boxes = " 31 21 90 44" * 5
    replace(data / BOX_FILE, 6, f"1 1 4 2 6 10{boxes}")
    return "6", "expected 10 frames in .*, which gave 9 and says it has 9"


def no_video(data):
    (data / JOGGING).write_text("nothing")
    return "5, 6", "expected 9 frames in .*, which gave 0 and says it has 0"


@pytest.mark.parametrize("spoil", [missing, truncated, longer, no_video])
def test_a_bad_video_is_named_or_skipped(data, spoil, caplog):
    lines, complaint = spoil(data)
    pattern = f"{data / BOX_FILE}:{lines}: .*{complaint}"
    with pytest.raises(BadSequence, match=pattern):
        list(read_sequences(data, [1, 2], ["jogging", "walking"]))
    with caplog.at_level(logging.WARNING):
        found = read_sequences(data, [1, 2], ["jogging", "walking"], skip_bad=True)
        assert len(list(found)) == 4 - len(lines.split(","))
    assert f"{BOX_FILE}:{lines}: " in caplog.text


def test_an_unknown_action_is_named():
    with pytest.raises(ValueError, match="actions.*swimming"):
        kth("test", data_dir=DUMMY, test_subject=1, actions=["swimming"])
