import json

import cv2
import keras
import numpy as np
import pytest

import ratm_tf
from ratm_tf import one_pass
from ratm_tf.boxes import xywh_from_xyxy


@pytest.fixture
def still():
    """A tracker whose windows stay where they are: on the first box."""
    keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(4, (8, 8), window_update="residual", initial_window="given")
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": (None, None, None, None, 1)})
    cell.window.kernel.assign(np.zeros([4, 6]))
    return tracker


@pytest.fixture
def otb_dir(tmp_path):
    """Two sequences under names of TB-100, in which a box goes to the right."""
    for name, step in (("Couple", 2), ("Girl", 5)):
        (tmp_path / "otb" / name / "img").mkdir(parents=True)
        for number in range(1, 7):
            path = tmp_path / "otb" / name / "img" / f"{number:04d}.jpg"
            cv2.imwrite(str(path), np.full([60, 80, 3], 30 * number, np.uint8))
        rows = [f"{11 + step * number},21,16,24" for number in range(6)]
        (tmp_path / "otb" / name / "groundtruth_rect.txt").write_text("\n".join(rows))
    return tmp_path / "otb"


def test_boxes_go_in_and_out_as_the_toolkit_counts_them(still, otb_dir):
    pictures = sorted((otb_dir / "Couple" / "img").iterdir())
    tracker = ratm_tf.GOT10kTracker(still, name="still")
    assert tracker.name == "still"
    boxes, seconds = tracker.track(pictures, np.array([11, 21, 16, 24]))
    np.testing.assert_allclose(boxes, [[11, 21, 16, 24]] * 6, atol=1e-3)
    assert seconds.shape == (6,) and (seconds > 0).all()


def test_the_experiment_on_tb100(still, otb_dir, tmp_path, monkeypatch):
    experiments = pytest.importorskip("got10k.experiments")
    # It would fetch the sequences that are not here.
    monkeypatch.setattr("got10k.datasets.OTB._download", lambda *_: None)
    experiment = experiments.ExperimentOTB(
        str(otb_dir),
        result_dir=str(tmp_path / "results"),
        report_dir=str(tmp_path / "reports"),
    )
    experiment.run(ratm_tf.GOT10kTracker(still))
    experiment.report(["RATM"])
    report = tmp_path / "reports" / "OTB2015" / "RATM" / "performance.json"
    reported = json.loads(report.read_text())["RATM"]

    measured = []
    for name, step in (("Couple", 2), ("Girl", 5)):
        true = np.array(
            [[9.5 + step * t, 19.5, 25.5 + step * t, 43.5] for t in range(6)]
        )
        path = tmp_path / "results" / "OTB2015" / "RATM" / f"{name}.txt"
        boxes = one_pass.read_results(path)
        expected = np.tile(xywh_from_xyxy(true[0]), [6, 1])
        np.testing.assert_allclose(xywh_from_xyxy(boxes), expected, atol=1e-2)
        measured.append(one_pass.measure(true, boxes))
        assert reported["seq_wise"][name]["success_score"] == pytest.approx(
            measured[-1]["success"].mean()
        )
    figures = one_pass.summary(measured)
    overall = reported["overall"]
    assert figures["success_auc"] == pytest.approx(overall["success_score"], abs=1e-3)
    assert figures["precision_20"] == pytest.approx(
        overall["precision_score"], abs=1e-3
    )
