import json
import os
import threading

import cv2
import numpy as np
import pytest

from ratm_tf.cli import video

BOX = np.float32([4, 5, 20, 25])


def write(path, count=6, rate=10, size=(48, 40)):
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), code, rate, size)
    for number in range(count):
        writer.write(np.full([size[1], size[0], 3], 30 * number, np.uint8))
    writer.release()
    return path


@pytest.fixture
def clip(tmp_path):
    return write(tmp_path / "clip.avi")


def report():
    source = video.Video()
    video.report(((f, BOX, None) for f in source.frames()), source.frames_per_second)


def test_a_file_is_tracked_and_drawn_at_its_rate(set_flags, clip, tmp_path, capsys):
    output = tmp_path / "drawn.mp4"
    set_flags(video=str(clip), output=str(output))
    report()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(6))
    assert lines[0]["box"] == BOX.tolist()
    drawn = cv2.VideoCapture(str(output))
    assert drawn.get(cv2.CAP_PROP_FPS) == 10
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    frame = drawn.read()[1].astype(int)
    assert (frame[15, 4] - frame[15, 12])[2] > 100  # the red edge, BGR


def test_a_pipe_is_opened_once(set_flags, clip, tmp_path, capsys):
    pipe = tmp_path / "pipe.avi"
    os.mkfifo(pipe)
    feeding = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    feeding.daemon = True
    feeding.start()
    set_flags(video=str(pipe), output=str(tmp_path / "drawn.avi"))
    assert video.is_stream()
    report()
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_a_rate_that_no_file_can_have_is_the_usual_one(set_flags, tmp_path):
    path = write(tmp_path / "clip.avi", rate=0.01)
    set_flags(video=str(path), output=str(tmp_path / "drawn.mp4"))
    report()
    assert cv2.VideoCapture(str(tmp_path / "drawn.mp4")).get(cv2.CAP_PROP_FPS) == 25


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


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("clip.avi", "other than --video"),
        ("../clips/clip.avi", "other than --video"),
        ("drawn.mkv", "end in"),
        ("drawn", "end in"),
        ("missing/drawn.mp4", "folder that can be written"),
    ],
)
def test_an_output_is_checked_before_anything_is_tracked(
    set_flags, tmp_path, output, message
):
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = write(folder / "clip.avi")
    before = clip.read_bytes()
    set_flags(video=str(clip), output=str(folder / output))
    with pytest.raises(ValueError, match=f"--output.*{message}"):
        video.check_output()
    assert clip.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="others have their own display")
def test_showing_needs_a_display(set_flags, clip, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    set_flags(video=str(clip), show=True)
    with pytest.raises(ValueError, match="--show"):
        video.check_output()


def test_a_box_is_four_numbers(set_flags):
    set_flags(initial_box=["1", "2.5", "3", "4"])
    assert video.initial_box() == (1, 2.5, 3, 4)
    for wrong in (["1", "2", "3"], ["1", "2", "3", "x"]):
        set_flags(initial_box=wrong)
        with pytest.raises(ValueError, match="--initial_box"):
            video.initial_box()
