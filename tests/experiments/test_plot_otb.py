import cv2
import numpy as np
import pytest

import ratm_tf
from ratm_tf.boxes import iou


def test_plots_every_sequence(run, tmp_path):
    (tmp_path / "otb" / "Runner" / "img").mkdir(parents=True)
    for number in range(3):
        path = tmp_path / "otb" / "Runner" / "img" / f"{number:04d}.png"
        cv2.imwrite(str(path), np.full([40, 50, 3], 80 * number, np.uint8))
    boxes = "5 6 20 25\n9 6 20 25\n13 6 20 25"
    (tmp_path / "otb" / "Runner" / "groundtruth_rect.txt").write_text(boxes)
    # Its windows stay where they are: so does the first box.
    cell = ratm_tf.RATMCell(4, window_update="residual", initial_window="given")
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": (None, None, None, None, 1)})
    cell.window.kernel.assign(np.zeros([4, 6]))
    tracker.save(tmp_path / "model.keras")
    printed = run(
        "plot_otb.py",
        model=tmp_path / "model.keras",
        otb_dir=tmp_path / "otb",
        output=tmp_path / "iou.png",
    ).stdout
    true = np.float32([[3.5 + 4 * t, 4.5, 23.5 + 4 * t, 29.5] for t in range(3)])
    margin = np.float32([20, 25, -20, -25]) / 56  # half a stride on every side
    expected = float(np.mean(iou(true, true[:1] + margin)))
    assert float(printed.split("1-3: ")[1].split(";")[0]) == pytest.approx(
        expected, abs=1e-3
    )
    picture = cv2.imread(str(tmp_path / "iou.png"))
    assert picture.shape == (400, 800, 3) and picture.std() > 10
