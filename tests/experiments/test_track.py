import csv
import json
import subprocess

import cv2
import numpy as np
import pytest

import ratm_tf
from ratm_tf.boxes import iou, xywh_from_xyxy


def test_tracks_a_video(run, tracker, video, tmp_path):
    path, frames, expected = video
    tracker.save(tmp_path / "disc.keras")
    flags = {"model": tmp_path / "disc.keras", "video": path}
    output = tmp_path / "tracked.mp4"
    result = run("track.py", initial_box="20,30,20,20", output=output, **flags)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(5))
    boxes = [line["box"] for line in lines]
    np.testing.assert_allclose(boxes, xywh_from_xyxy(expected), atol=2e-3)
    drawn = cv2.VideoCapture(str(output))
    assert drawn.get(cv2.CAP_PROP_FPS) == 10
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)

    with pytest.raises(subprocess.CalledProcessError) as error:
        run("track.py", **flags)
    assert "Error: " in error.value.stderr and "Traceback" not in error.value.stderr
    assert "initial_box" in error.value.stderr


def test_compares_trackers_in_one_video(run, tracker, video, tmp_path):
    path, frames, expected = video
    tracker.save(tmp_path / "disc.keras")
    true = [[21 + 5 * number, 31, 19, 19] for number in range(5)]
    truth = tmp_path / "truth.csv"
    with truth.open("w", newline="") as file:
        rows = [[number, *box] for number, box in enumerate(true)]
        csv.writer(file).writerows([["frame", "x", "y", "w", "h"], *rows])
    metrics = tmp_path / "metrics.json"
    result = run(
        "track.py",
        model=tmp_path / "disc.keras",
        video=path,
        truth=truth,
        initial_box="20,30,20,20",
        compare="MIL",
        metrics=metrics,
        output=tmp_path / "compared.gif",
        box_format="xyxy",
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["tracker"] for line in lines] == 5 * ["RATM", "MIL"]
    assert ["score" in line for line in lines[:2]] == [False, False]
    boxes = np.array([line["box"] for line in lines[::2]])
    np.testing.assert_allclose(boxes, expected, atol=2e-3)
    found = json.loads(metrics.read_text())["trackers"]
    each = iou(ratm_tf.boxes.xyxy_from_xywh(true), boxes).numpy()
    each[0] = 1.0  # as given
    assert found["RATM"]["iou"] == pytest.approx(each.mean(), abs=1e-3)
    assert found["MIL"]["iou"] > 0.4 and found["MIL"]["frames_per_second"] > 0
    assert "success_auc" in result.stderr
    assert cv2.VideoCapture(str(tmp_path / "compared.gif")).isOpened()


def test_several_targets_take_one_tracker(run, tracker, video, tmp_path):
    path, frames, expected = video
    tracker.save(tmp_path / "disc.keras")
    program = ["track.py", f"--model={tmp_path / 'disc.keras'}", f"--video={path}"]
    boxes = ["--initial_box=20,30,20,20", "--initial_box=50,30,20,20"]
    result = run(*program, *boxes)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["track_id"] for line in lines] == 5 * [0, 1]
    first = np.array([line["box"] for line in lines[::2]])
    np.testing.assert_allclose(first, xywh_from_xyxy(expected), atol=2e-3)
    assert np.abs(first[0] - lines[1]["box"])[0] > 20
    with pytest.raises(subprocess.CalledProcessError) as error:
        run(*program, *boxes, compare="MIL")
    assert "Expected one target, with --compare" in error.value.stderr
