import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets.annotated.videos import split_of
from tests.datasets.annotated.clips import write_folder


def test_a_sequence_is_from_the_first_box_to_the_last(clip):
    [example] = ratm_tf.datasets.videos(clip.parent).as_numpy_iterator()
    assert example["frames"].shape == (4, 40, 60, 1)
    np.testing.assert_allclose(
        example["frames"][:, 20, 10, 0], [20, 40, 60, 80], atol=2
    )
    assert example["mask"].tolist() == [True, True, False, True]
    expected = [
        [3.5, 7.5, 9.5, 11.5],
        [5.5, 7.5, 11.5, 11.5],
        [0, 0, 0, 0],
        [9.5, 19.5, 15.5, 23.5],
    ]
    np.testing.assert_array_equal(example["boxes"], expected)
    np.testing.assert_array_equal(example["initial_box"], expected[0])
    assert example["video"] == b"clip.avi" and example["target"] == b""
    [colours] = ratm_tf.datasets.videos(clip.parent, channels=3)
    assert colours["frames"].shape == (4, 40, 60, 3)


def test_boxes_are_resized_with_their_frames(clip):
    [example] = ratm_tf.datasets.videos(clip.parent, frame_size=(80, 150))
    assert example["frames"].shape == (4, 80, 150, 1)
    assert not example["frames"][:, :, 120:].numpy().any()
    np.testing.assert_array_equal(example["boxes"][0], [7.5, 15.5, 19.5, 23.5])
    np.testing.assert_array_equal(example["boxes"][2], [0, 0, 0, 0])


def test_targets_of_a_video_are_sequences(clip):
    (clip.parent / "clip.csv").write_text(
        "frame,x,y,w,h,track_id\n0,1,2,3,4,b\n5,1,2,3,4,a\n1,1,2,3,4,b\n"
    )
    dataset = ratm_tf.datasets.videos(clip.parent)
    assert len(dataset) == 2
    lengths = {str(e["target"].numpy(), "utf-8"): len(e["frames"]) for e in dataset}
    assert lengths == {"b": 2, "a": 1}
    [padded] = dataset.padded_batch(2)
    assert padded["mask"].numpy().tolist() == [[True, True], [True, False]]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


def test_random_parts_go_on_where_they_ended(folder):
    def parts(**options):
        dataset = ratm_tf.datasets.videos(
            folder, "train", num_frames=2, frame_size=(20, 30), seed=3, **options
        )
        return list(dataset.as_numpy_iterator())

    whole = parts(num_sequences=20)
    assert {part["video"] for part in whole} == {
        name.encode() for name in split_of("train", [f"{n}.avi" for n in range(5)], 3)
    }
    for part, same in zip(parts(start=15, num_sequences=5), whole[15:], strict=True):
        for name in whole[0]:
            np.testing.assert_array_equal(part[name], same[name])
    [batch] = parts(num_sequences=4, batch_size=4)
    np.testing.assert_array_equal(batch["boxes"], [e["boxes"] for e in whole[:4]])
    assert batch["frames"].shape == (4, 2, 20, 30, 1)


def test_a_part_begins_with_a_box(clip):
    parts = ratm_tf.datasets.videos(clip.parent, num_frames=2, num_sequences=50)
    masks = {tuple(part["mask"].tolist()) for part in parts.as_numpy_iterator()}
    assert masks == {(True, True), (True, False)}


def test_sizes_may_differ_one_by_one(folder):
    assert len(list(ratm_tf.datasets.videos(folder, batch_size=1))) == 5
    for options in ({"batch_size": 2}, {"num_frames": 2}):
        message = r"`frame_size`.*\(30, 40\), \(40, 60\)"
        with pytest.raises(ValueError, match=message):
            ratm_tf.datasets.videos(folder, **options)
    dataset = ratm_tf.datasets.videos(folder, start=1, num_sequences=2)
    assert [e["video"] for e in dataset.as_numpy_iterator()] == [b"1.avi", b"2.avi"]


def test_videos_are_in_one_split_each_and_stay_there():
    names = [f"{number}.mp4" for number in range(20)]
    splits = {name: split_of(name, names) for name in ("train", "validation", "test")}
    assert sorted(sum(splits.values(), [])) == split_of("all", names) == sorted(names)
    assert [len(videos) for videos in splits.values()] == [14, 3, 3]
    assert split_of("test", names[::-1]) == splits["test"]
    assert split_of("test", names, seed=1) != splits["test"]
    moved = set(splits["train"]) - set(split_of("train", [*names, "new.mp4"]))
    assert len(moved) <= 2
    assert [len(split_of(split, names[:3])) for split in splits] == [1, 1, 1]


def test_folders_may_say_what_split_a_video_is_in():
    names = ["train/a.mp4", "train/b.mp4", "validation/c.mp4"]
    assert split_of("train", names) == names[:2]
    with pytest.raises(ValueError, match="folder test. Received: none, in train, val"):
        split_of("test", names)


def test_faults_are_named(clip):
    with pytest.raises(ValueError, match="three videos at least.*clip.avi"):
        ratm_tf.datasets.videos(clip.parent, "train")
    with pytest.raises(ValueError, match="`split` to be one of 'train'.*'all'"):
        ratm_tf.datasets.videos(clip.parent, "val")
    with pytest.raises(ValueError, match="`start` to be less than the 1 sequences"):
        ratm_tf.datasets.videos(clip.parent, start=1)
    (clip.parent / "clip.csv").write_text("frame,x,y,w,h\n1,1,2,3,4\n6,1,2,3,4\n")
    message = "clip.csv:3: .*clip.avi, which has 6;.*Received: frame 6 from 0"
    with pytest.raises(ValueError, match=message):
        ratm_tf.datasets.videos(clip.parent)
