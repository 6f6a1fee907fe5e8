import json
import logging

import cv2
import numpy as np
import pytest

from ratm_tf.datasets.annotated.folder import find_video, find_videos

TABLE = "frame,x,y,w,h\n3,10,20,4,2\n"


def write(path, content=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def found(folder):
    """Names, and the first frame of each target."""
    return {
        video.name: {name: rows[0].frame for name, rows in video.targets.items()}
        for video in find_videos(folder)
    }


def test_every_place_of_boxes(tmp_path):
    for name in ("a.mp4", "b.MOV", "deep/c.avi", "own/d.webm", "cvat/e.mkv"):
        write(tmp_path / name)
    for name in ("a.csv", "deep/c.csv", "own/anything.csv", "p.csv"):
        write(tmp_path / name, TABLE)
    track = (
        '<a><track id="0"><box frame="4" xtl="1" ytl="1" xbr="3" ybr="3"/></track></a>'
    )
    write(tmp_path / "b.xml", track)
    write(tmp_path / "cvat" / "annotations.xml", track)
    for number in range(1, 6):
        for folder in ("p", "mot/img1", "tb/img"):
            write(tmp_path / folder / f"{number:04d}.jpg")
    write(tmp_path / "mot" / "gt" / "gt.txt", "6,2,1,1,3,3,1,1,1\n")
    write(tmp_path / "tb" / "groundtruth_rect.1.txt", "1,1,3,3\n" * 5)
    write(tmp_path / "tb" / "groundtruth_rect.2.txt", "1,1,3,3\n" * 5)
    write(tmp_path / "tb" / "groundtruth_rect.txt", "1,1,3,3\n" * 5)
    for name in (".hidden/f.mp4", "__MACOSX/._a.mp4", "notes.txt"):
        write(tmp_path / name)
    assert found(tmp_path) == {
        "a.mp4": {"": 3},
        "b.MOV": {"0": 4},
        "cvat/e.mkv": {"0": 4},
        "deep/c.avi": {"": 3},
        "mot": {"2": 5},
        "own/d.webm": {"": 3},
        "p": {"": 3},
        "tb": {"1": 0, "2": 0},
    }


def test_a_folder_may_be_a_video_itself(tmp_path):
    write(tmp_path / "cat" / "img" / "1.png")
    write(tmp_path / "cat" / "groundtruth_rect.txt", "1,1,3,3\n")
    assert found(tmp_path / "cat") == {"cat": {"": 0}}


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    for number in (1, 9, 10, 100):
        write(tmp_path / "clip" / f"frame{number}.png")
    write(tmp_path / "clip" / "boxes.csv", "image,x,y,w,h\nframe10.png,1,2,3,4\n")
    [video] = find_videos(tmp_path)
    assert [path.stem for path in video.pictures] == [
        f"frame{number}" for number in (1, 9, 10, 100)
    ]
    assert video.targets[""][0].frame == 2


def test_videos_without_boxes_are_left_out_and_told(tmp_path, caplog):
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path / name)
    with pytest.raises(ValueError, match="with boxes beside them"):
        find_videos(tmp_path)
    write(tmp_path / "a.csv", TABLE)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert list(found(tmp_path)) == ["a.mp4"]
    assert "b.mp4, which has no boxes" in caplog.text


def test_what_is_not_clear_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_videos(tmp_path / "nowhere")
    write(tmp_path / "a.mp4")
    write(tmp_path / "a.csv", TABLE)
    write(tmp_path / "a.xml", "<a/>")
    with pytest.raises(ValueError, match="a.mp4. Received: a.csv, a.xml"):
        find_videos(tmp_path)


@pytest.fixture
def coco(tmp_path):
    """Two videos; of the second one, frames come in another order than their names."""
    images = [
        {"id": 1, "video_id": 7, "file_name": "one/10.png"},
        {"id": 2, "video_id": 7, "file_name": "one/9.png"},
        {"id": 3, "video_id": 8, "file_name": "two/1.png", "frame_id": 1},
        {"id": 4, "video_id": 8, "file_name": "two/2.png", "frame_id": 0},
    ]
    for image in images:
        path = tmp_path / image["file_name"]
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros([4, 5], np.uint8))
    boxes = {"bbox": [1, 2, 3, 4], "category_id": 5}
    content = {
        "videos": [{"id": 7, "name": "one"}, {"id": 8, "file_name": "two"}],
        "images": images,
        "annotations": [
            {"id": 1, "image_id": 1, "track_id": 6} | boxes,
            {"id": 2, "image_id": 3, "track_id": 6} | boxes,
            {"id": 3, "image_id": 3, "track_id": 9} | boxes,
        ],
        "categories": [{"id": 5, "name": "cat"}],
    }
    (tmp_path / "other.json").write_text("[]")
    return tmp_path / "videos.json", content


def test_coco(coco):
    path, content = coco
    path.write_text(json.dumps(content))
    assert found(path.parent) == {
        "one": {"cat 6": 1},
        "two": {"cat 6": 1, "cat 9": 1},
    }
    pictures = [[p.stem for p in v.pictures] for v in find_videos(path.parent)]
    assert pictures == [["9", "10"], ["2", "1"]]

    content["annotations"][1]["bbox"] = [1, 2, 0, 4]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="videos.json: annotation 2: .*an inside"):
        find_videos(path.parent)
    del content["images"][0]["video_id"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="videos.json: .*KeyError 'video_id'"):
        find_videos(path.parent)


@pytest.mark.parametrize(
    ("video", "boxes"),
    [
        ("a.mp4", "a.csv"),
        ("a.mp4", "table.csv"),
        ("p", "p.csv"),
        ("p", "p/boxes.csv"),
        ("p/img", "p/boxes.csv"),
    ],
)
def test_one_video_has_the_boxes_beside_it(tmp_path, video, boxes):
    write(tmp_path / "a.mp4")
    for number in (9, 10, 11, 12):
        write(tmp_path / "p" / "img" / f"{number}.jpg")
    assert find_video(tmp_path / video).targets == {}
    write(tmp_path / boxes, TABLE)
    found = find_video(tmp_path / video)
    [row] = found.targets[""]
    assert row.frame == 3
    names = [picture.name for picture in found.pictures]
    assert names == (
        [] if video == "a.mp4" else ["9.jpg", "10.jpg", "11.jpg", "12.jpg"]
    )
    write(tmp_path / "elsewhere" / "other.csv", TABLE.replace("3,", "2,", 1))
    given = find_video(tmp_path / video, tmp_path / "elsewhere" / "other.csv")
    assert given.targets[""][0].frame == 2


def test_one_video_takes_no_boxes_of_another(tmp_path):
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    write(tmp_path / "b.csv", TABLE)
    assert find_video(tmp_path / "a.mp4").targets == {}
    write(tmp_path / "a.csv", TABLE)
    write(tmp_path / "a.xml")
    with pytest.raises(ValueError, match="one file of boxes of.*a.csv, a.xml"):
        find_video(tmp_path / "a.mp4")
    for missing in ("c.mp4", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError, match=missing):
            find_video(tmp_path / missing)
