import csv
import json

import cv2
import numpy as np
import pytest

from ratm_tf.cli import report, video
from ratm_tf.datasets.annotated.folder import find_video

BOX = np.float32([3.5, 4.5, 20, 25])  # x, y, w, h: 4, 5, 16.5, 20.5
OTHER = BOX + 10


def tell(trackers=None, boxes=(BOX,), scores=(0.25,), **step):
    source = video.Video()
    steps = (
        report.Step(frame, np.array(boxes), list(scores), **step)
        for frame in source.frames()
    )
    report.report(steps, source, trackers)


def test_boxes_are_told_as_opencv_has_them(set_flags, clip, capsys):
    set_flags(video=str(clip))
    tell()
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(6))
    expected = {"frame": 0, "box": [4, 5, 16.5, 20.5], "score": 0.25}
    assert lines[0] == expected
    assert "6/6" in printed.err and "frames/s" in printed.err
    set_flags(box_format="xyxy")
    tell(scores=[None])
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line == {"frame": 0, "box": [3.5, 4.5, 20, 25]}


def test_several_targets_and_trackers_are_told_apart(set_flags, clip, tmp_path, capsys):
    table, lines = tmp_path / "boxes.csv", tmp_path / "boxes.jsonl"
    set_flags(video=str(clip), csv=str(table), json=str(lines))
    tell(boxes=[BOX, OTHER], scores=[0.5, 0.75])
    assert not capsys.readouterr().out
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 12 == len(lines.read_text().splitlines())
    assert rows[3] == {
        "frame": "1",
        "track_id": "1",
        "x": "14.0",
        "y": "15.0",
        "w": "16.5",
        "h": "20.5",
        "score": "0.75",
    }
    # It is a table that the package trains on.
    targets = find_video(clip, table).targets
    assert [row.frame for row in targets["1"]] == list(range(6))
    np.testing.assert_allclose(targets["1"][0].xyxy, OTHER)
    tell(["RATM", "MIL"], boxes=[BOX, OTHER], scores=[0.5, None])
    rows = list(csv.DictReader(table.open()))
    assert [(row["tracker"], row["score"]) for row in rows[:2]] == [
        ("RATM", "0.5"),
        ("MIL", ""),
    ]
    assert json.loads(lines.read_text().splitlines()[1])["tracker"] == "MIL"


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".gif"])
def test_a_file_is_drawn_at_its_rate(set_flags, write_clip, tmp_path, ending):
    clip = write_clip(tmp_path / "clip.avi", size=(96, 80))
    output = tmp_path / f"drawn{ending}"
    set_flags(video=str(clip), output=str(output))
    tell(glimpses=np.ones([1, 4, 4, 1]), truth=BOX + 40)
    drawn = cv2.VideoCapture(str(output))
    assert drawn.get(cv2.CAP_PROP_FPS) == pytest.approx(10, rel=0.1)
    frames = []
    while (read := drawn.read())[0]:
        frames.append(read[1].astype(int))
    assert len(frames) == 6
    frame = frames[0]
    assert (frame[15, 4] - frame[15, 12])[2] > 100  # the red edge, BGR
    assert (frame[55, 44] - frame[55, 52])[1] > 80  # the green one of the truth
    assert frame[10, -10].min() > 200  # the glimpse


def test_a_frame_has_a_legend_in_the_colours_of_its_boxes():
    frame = np.zeros([200, 300, 3], np.uint8)
    step = report.Step(frame, [BOX, BOX + 60], [None, None], truth=BOX + 100)
    corner = (slice(130, 200), slice(0, 60))
    legend = report.annotated(step, ["RATM", "MIL"])[corner]
    rows = []
    for color in (*report.COLORS[:2], (64, 255, 64)):
        like = np.abs(legend - np.array(color[::-1], float)).max(axis=2) < 60
        rows.append(np.mean(like.nonzero()[0]))
    assert rows == sorted(rows) and rows[0] > 10


def test_scores_are_drawn_beside_their_boxes():
    frame = np.zeros([120, 160, 3], np.uint8)
    boxes = np.array([[30.0, 60.0, 60.0, 90.0], [100.0, 60.0, 130.0, 90.0]])
    without = report.annotated(report.Step(frame, boxes, [None, None]))
    drawn = report.annotated(report.Step(frame, boxes, [0.25, None]))
    rows, columns = (drawn != without).any(axis=2).nonzero()
    assert 40 < rows.min() and rows.max() < 60
    assert 28 < columns.min() and columns.max() < 90
    lost = np.full([1, 4], np.nan)
    assert not report.annotated(report.Step(frame, lost, [0.0])).any()


@pytest.mark.parametrize("flag", ["output", "csv", "json"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("clip.avi", "other than --video"),
        ("../clips/clip.avi", "other than --video"),
        ("clip.csv", "other than.*the true boxes"),
        ("missing/drawn.mp4", "folder that can be written"),
    ],
)
def test_files_are_checked_before_anything_is_tracked(
    set_flags, write_clip, tmp_path, flag, path, message
):
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = write_clip(folder / "clip.avi")
    (folder / "clip.csv").touch()
    before = clip.read_bytes()
    set_flags(video=str(clip), **{flag: str(folder / path)})
    with pytest.raises(ValueError, match=f"--{flag}.*{message}"):
        report.check_files()
    assert clip.read_bytes() == before


@pytest.mark.parametrize("name", ["drawn.mkv", "drawn"])
def test_an_output_ends_as_a_video(set_flags, clip, tmp_path, name):
    set_flags(video=str(clip), output=str(tmp_path / name))
    with pytest.raises(ValueError, match="--output to end in.*gif"):
        report.check_files()


def test_showing_needs_a_display(set_flags, clip, no_display):
    set_flags(video=str(clip), show=True)
    with pytest.raises(ValueError, match="--show"):
        report.check_files()
