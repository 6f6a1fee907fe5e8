import json

import cv2
import numpy as np
import pytest

import ratm_tf
from ratm_tf.boxes import iou


@pytest.fixture
def otb_dir(tmp_path):
    """Two sequences of twelve frames, in which a box goes to the right."""
    for name in ("Runner", "Walker"):
        folder = tmp_path / "otb" / name
        (folder / "img").mkdir(parents=True)
        for number in range(12):
            frame = np.full([40, 50, 3], 20 * number, np.uint8)
            cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), frame)
        step = 2 if name == "Runner" else 1
        boxes = [f"{5 + step * number} 6 20 25" for number in range(12)]
        (folder / "groundtruth_rect.txt").write_text("\n".join(boxes))
    return tmp_path / "otb"


def test_measures_the_beginnings_of_named_sequences(run, otb_dir, tmp_path):
    # Its windows stay where they are: so does the first box.
    cell = ratm_tf.RATMCell(4, window_update="residual", initial_window="given")
    tracker = ratm_tf.Tracker(cell, box="corner")
    tracker.build({"frames": (None, None, None, None, 1)})
    cell.window.kernel.assign(np.zeros([4, 6]))
    tracker.save(tmp_path / "model.keras")
    options = {
        "model": tmp_path / "model.keras",
        "dataset": "otb",
        "otb_dir": otb_dir,
        "frames": 11,
    }
    strip = tmp_path / "strip.png"
    printed = run(
        "evaluate.py", names="Runner", film_strip=strip, film_strip_every=5, **options
    )
    found = json.loads(printed.stdout)
    true = np.float32([[4.5 + 2 * t, 5.5, 24.5 + 2 * t, 30.5] for t in range(11)])
    each = iou(true, np.tile(true[:1], [11, 1])).numpy()
    assert found["corner_iou"] == pytest.approx(each.mean(), abs=1e-4)
    assert found["corner_iou_1_10"] == pytest.approx(each[:10].mean(), abs=1e-4)
    assert "corner_iou_1_50" not in found and found["average"] == "sequences"
    # Frames 1, 6 and 11, four times as large, over their glimpses, with gaps.
    assert cv2.imread(str(strip)).shape[1] == 3 * (4 * 50 + 4) - 4

    both = json.loads(run("evaluate.py", **options).stdout)
    assert both["corner_iou"] > found["corner_iou"]

    # Without --frames, sequences of fewer frames than a span count as far as they go.
    del options["frames"]
    whole = json.loads(run("evaluate.py", **options).stdout)
    assert whole["corner_iou_1_50"] == whole["corner_iou_1_100"] == whole["corner_iou"]
