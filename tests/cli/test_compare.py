import json

import cv2
import numpy as np
import pytest

from ratm_tf.cli import compare

BOX = np.array([20.0, 30.0, 20.0, 20.0])


def textured(count, step=3):
    """Frames in which a patch moves to the right over another pattern."""
    random = np.random.default_rng(0)
    scene = cv2.resize(random.integers(0, 255, [20, 30, 3], np.uint8), (150, 100))
    patch = cv2.resize(random.integers(0, 255, [5, 5, 3], np.uint8), (20, 20))
    for number in range(count):
        frame = scene.copy()
        frame[30:50, 20 + step * number :][:, :20] = patch
        yield frame


def test_a_tracker_of_opencv_follows(set_flags):
    set_flags(compare=["MIL"])
    [mil] = compare.opencv_trackers()
    for number, frame in enumerate(textured(5)):
        if number == 0:
            mil.init(frame, BOX)
            np.testing.assert_array_equal(mil.box, [19.5, 29.5, 39.5, 49.5])
        else:
            mil.update(frame)
    assert abs(mil.box[0] - (19.5 + 3 * 4)) < 5 and abs(mil.box[1] - 29.5) < 5


def test_a_tracker_that_is_not_there_says_who_brings_it(set_flags):
    set_flags(compare=["Nobody"])
    with pytest.raises(ValueError, match="--compare.*MIL.*Received: Nobody"):
        compare.opencv_trackers()
    if not hasattr(cv2, "TrackerCSRT_create"):
        set_flags(compare=["CSRT"])
        with pytest.raises(ValueError, match="CSRT.*opencv-contrib-python-headless"):
            compare.opencv_trackers()


def test_the_truth_lies_beside_the_video(set_flags, clip):
    set_flags(video=str(clip))
    assert compare.true_targets() == {}
    beside = clip.with_suffix(".csv")
    beside.write_text("frame,x,y,w,h\n0,20,30,20,20\n2,22,30,20,20\n")
    assert compare.true_targets() == {}
    set_flags(compare=["MIL"])
    [(name, boxes)] = compare.true_targets().items()
    assert name == "" and sorted(boxes) == [0, 2]
    np.testing.assert_array_equal(boxes[2], [21.5, 29.5, 41.5, 49.5])
    elsewhere = clip.parent / "elsewhere"
    elsewhere.mkdir()
    beside.rename(elsewhere / "truth.csv")
    assert compare.true_targets() == {}
    set_flags(compare=[], truth=str(elsewhere / "truth.csv"))
    assert sorted(compare.true_targets()[""]) == [0, 2]
    set_flags(video="0")
    with pytest.raises(ValueError, match="--truth"):
        compare.true_targets()


def test_the_target_is_the_one_that_the_box_is_on():
    targets = {
        "late": {3: np.array([0, 0, 9, 9])},
        "a": {0: np.array([0, 0, 9, 9])},
        "b": {0: np.array([19.5, 29.5, 45, 45])},
    }
    assert compare.chosen_target(targets, BOX) is targets["b"]
    with pytest.raises(ValueError, match="--initial_box.*a, b"):
        compare.chosen_target(targets, None)
    del targets["a"]
    assert compare.chosen_target(targets, None) is targets["b"]
    del targets["b"]
    assert compare.chosen_target(targets, BOX) is targets["late"]


def test_trackers_stand_side_by_side(set_flags, tmp_path, capsys):
    true = {frame: np.array([0.0, 0, 10, 10]) for frame in (0, 1, 2)}
    boxes = np.array([[true[0], true[0] + 100]] * 5)  # the second one is lost
    set_flags(metrics=str(tmp_path / "metrics.json"))
    compare.tell(["RATM", "MIL"], "extent", true, boxes, np.array([2.0, 0.5]))
    table = [line.split() for line in capsys.readouterr().err.splitlines()]
    measures = ["iou", "success_auc", "precision_20", "kept", "lost"]
    names = ["tracker", *measures, "frames_per_second"]
    assert table[:3] == [
        names,
        ["RATM", "1.0", "0.952", "1.0", "3.0", "0.0", "2.0"],
        ["MIL", "0.333", "0.317", "0.333", "3.0", "0.0", "8.0"],
    ]
    assert "RATM: of its extent boxes" in " ".join(table[3])
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["frames"] == 5 and found["box"] == "extent"
    assert found["trackers"]["MIL"]["frames_per_second"] == 8
    compare.tell(["RATM"], "corner", {}, boxes[:, :1], np.array([2.0]))
    assert capsys.readouterr().err.split()[:2] == ["tracker", "frames_per_second"]
