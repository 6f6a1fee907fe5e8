import os
import threading

import cv2
import numpy as np
import pytest

from ratm_tf.cli import video


def test_a_file_says_its_rate_and_length(set_flags, clip):
    set_flags(video=str(clip))
    source = video.Video()
    assert (source.frames_per_second, source.length) == (10, 6)
    shades = [round(frame.mean() / 30) for frame in source.frames()]
    assert shades == list(range(6)) and not video.is_stream()


@pytest.mark.parametrize("place", [".", "img", "img1"])
@pytest.mark.parametrize("numbers", [(1, 2, 3), (8, 9, 10)])
def test_folders_of_pictures_come_in_the_order_of_their_numbers(
    set_flags, tmp_path, place, numbers
):
    folder = tmp_path / "sequence" / place
    folder.mkdir(parents=True)
    for number in numbers:
        frame = np.full([40, 48, 3], (20 * number, 0, 255), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    (folder / "notes.txt").touch()
    set_flags(video=str(tmp_path / "sequence"))
    source = video.Video()
    assert source.length == 3 and not video.is_stream()
    colors = [frame[0, 0].tolist() for frame in source.frames()]
    assert colors == [[20 * number, 0, 255] for number in numbers]


def test_a_pattern_is_of_pictures(set_flags, tmp_path):
    for number in range(3):
        frame = np.full([40, 48, 3], 20 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:04d}.png"), frame)
    set_flags(video=str(tmp_path / "%04d.png"))
    source = video.Video()
    assert source.frames_per_second == 25 and not video.is_stream()
    assert [frame.mean() for frame in source.frames()] == [0, 20, 40]


def test_a_pipe_is_opened_once(set_flags, clip, tmp_path):
    pipe = tmp_path / "pipe.avi"
    os.mkfifo(pipe)
    feeding = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    feeding.daemon = True
    feeding.start()
    set_flags(video=str(pipe))
    assert video.is_stream()
    assert len(list(video.Video().frames())) == 6


def test_a_rate_that_no_file_can_have_is_the_usual_one(set_flags, write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.avi", rate=0.01)
    set_flags(video=str(path))
    assert video.Video().frames_per_second == 25


def test_a_video_that_ends_early_is_told(set_flags, clip, caplog):
    content = clip.read_bytes()
    index = content.rindex(b"idx1")
    last = content.rindex(b"00dc", 0, index)
    clip.write_bytes(content[:last] + b"junk" + content[last + 4 : index])
    set_flags(video=str(clip))
    frames = list(video.Video().frames())
    assert 0 < len(frames) < 6
    assert "says that it has 6 frames" in caplog.text


def test_what_cannot_be_tracked_is_refused(set_flags, tmp_path):
    set_flags(video=str(tmp_path / "nothing.avi"))
    with pytest.raises(ValueError, match="--video.*nothing.avi"):
        video.Video()
    empty = tmp_path / "empty.avi"
    empty.write_bytes(b"")
    set_flags(video=str(empty))
    with pytest.raises(ValueError, match="--video"):
        list(video.Video().frames())
    set_flags(video="99")
    with pytest.raises(ValueError, match="--video.*99"):
        video.Video()


def test_selecting_needs_a_display(set_flags, clip, no_display, monkeypatch):
    set_flags(video=str(clip), select=True)
    with pytest.raises(ValueError, match="a display for --select.*--initial_box"):
        video.Video()
    monkeypatch.setenv("DISPLAY", ":0")
    if not cv2.currentUIFramework():
        with pytest.raises(ValueError, match="--select.*opencv-python"):
            video.Video()


def test_a_box_is_four_numbers(set_flags, clip):
    assert video.initial_boxes(None) is None
    set_flags(initial_box=["1,2.5,3,4", "5,6,7,8"])
    boxes = video.initial_boxes(None)
    assert boxes.tolist() == [[1, 2.5, 3, 4], [5, 6, 7, 8]]
    for wrong in ("1,2,3", "1,2,3,x"):
        set_flags(initial_box=[wrong])
        with pytest.raises(ValueError, match=f"--initial_box.*{wrong}"):
            video.initial_boxes(None)
    set_flags(initial_box=["1,2,3,4"], select=True)
    with pytest.raises(ValueError, match="--initial_box or --select"):
        video.initial_boxes(None)
