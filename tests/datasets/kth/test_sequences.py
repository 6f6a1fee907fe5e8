import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets import kth_sequences
from ratm_tf.datasets.kth.sequences import subjects_of
from tests.datasets.kth.clips import DUMMY, block


def test_whole_sequences_are_padded_and_masked():
    data = kth_sequences("test", data_dir=DUMMY, test_subject=2, batch_size=2)
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
    parts = list(kth_sequences("test", num_sequences=20, **options))
    again = list(
        kth_sequences("test", start=5, num_sequences=5, batch_size=5, **options)
    )[0]
    for name in parts[0]:
        expected = [part[name].numpy() for part in parts[5:10]]
        np.testing.assert_array_equal(again[name], expected)
    starts = {(int(p["sequence"]), float(p["boxes"][0, 0])) for p in parts}
    assert len(starts) == 4  # two sequences of four frames: two starts each
    for part in parts:
        blocks = [block(frame) for frame in part["frames"].numpy()]
        np.testing.assert_allclose(part["boxes"], blocks, atol=1)
    other = list(kth_sequences("test", num_sequences=20, seed=1, **options))
    assert any(
        (a["boxes"].numpy() != b["boxes"].numpy()).any()
        for a, b in zip(parts, other, strict=True)
    )
    padded = next(
        iter(kth_sequences("test", data_dir=DUMMY, test_subject=1, num_frames=6))
    )
    np.testing.assert_array_equal(padded["mask"], [True] * 4 + [False] * 2)
    assert padded["frames"].shape == (6, 120, 160, 1)


def test_splits_leave_one_subject_out():
    for subject in (1, 25):
        splits = [subjects_of(s, subject) for s in ("train", "validation", "test")]
        assert sorted(sum(splits, ())) == list(range(1, 26))
        assert splits[2] == (subject,) and len(splits[1]) == 1
    drawn = {subjects_of("validation", 1, seed) for seed in range(20)}
    assert len(drawn) > 5
    with pytest.raises(ValueError, match="`test_subject` to be .*26"):
        subjects_of("test", 26)
    with pytest.raises(ValueError, match="`split` to be .*nothing"):
        subjects_of("nothing", 1)
    with pytest.raises(ValueError, match="`data_dir` to have sequences.*test split"):
        kth_sequences("test", data_dir=DUMMY, test_subject=9)


def test_subjects_without_a_video_are_left_out(tmp_path):
    header, rows = [""] * 4, []
    for subject in (1, 2, 3, 4):
        rows.append(f"{subject} 1 4 1 1 2 9 11 80 40 9 13 80 42")
        if subject != 3:
            video = tmp_path / f"person{subject:02d}_jogging_d1_uncomp.avi"
            video.write_bytes((DUMMY / "person01_jogging_d1_uncomp.avi").read_bytes())
    (tmp_path / "KTHBoundingBoxInfo.txt").write_text("\n".join(header + rows))
    options = {"data_dir": tmp_path, "test_subject": 2, "skip_bad": True}
    found = {
        split: [int(example["subject"]) for example in kth_sequences(split, **options)]
        for split in ("train", "validation", "test")
    }
    assert found["test"] == [2]
    assert sorted(found["train"] + found["validation"]) == [1, 4]
    with pytest.raises(ValueError, match="`test_subject` to be one of 1, 2, 4.*3"):
        kth_sequences("test", **options | {"test_subject": 3})
    (tmp_path / "person04_jogging_d1_uncomp.avi").unlink()
    with pytest.raises(ValueError, match="three `subjects`.*\\(1, 2\\)"):
        kth_sequences("train", **options)
    assert len(kth_sequences("test", **options)) == 1


def test_an_unknown_action_is_named():
    with pytest.raises(
        ValueError, match="`actions` to be one of .*Received: 'swimming'"
    ):
        kth_sequences("test", data_dir=DUMMY, test_subject=1, actions=["swimming"])


@pytest.mark.parametrize("num_frames", [None, 3])
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("start", -1, "`start` to be an integer >= 0. Received: -1"),
        ("num_sequences", -1, "`num_sequences` to be an integer >= 1. Received: -1"),
        ("num_sequences", 0, "`num_sequences` to be an integer >= 1. Received: 0"),
        ("batch_size", 0, "`batch_size` to be an integer >= 1. Received: 0"),
        ("seed", -1, "`seed` to be an integer >= 0. Received: -1"),
    ],
)
def test_bad_arguments(num_frames, argument, value, message):
    options = {"num_frames": num_frames, argument: value}
    with pytest.raises(ValueError, match=message):
        kth_sequences("test", data_dir=DUMMY, test_subject=1, **options)


def test_spans_of_whole_sequences():
    def numbers(**options):
        dataset = kth_sequences("test", data_dir=DUMMY, test_subject=1, **options)
        return [int(example["sequence"]) for example in dataset]

    assert numbers() == numbers(num_sequences=9) == [1, 2]
    assert numbers(start=1) == [2] and numbers(num_sequences=1) == [1]
    with pytest.raises(ValueError, match="`start` to be less than the 2 seq.* 2$"):
        numbers(start=2)
