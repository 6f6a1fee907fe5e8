import json
import subprocess

import cv2
import keras
import numpy as np
import pytest

from tests.datasets.annotated.clips import write_folder


def test_shows_what_it_read_and_trains(run, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_folder(folder, count=4)
    model_dir = tmp_path / "run"
    trained = run(
        "train.py",
        data=folder,
        model_dir=model_dir,
        initial_model="none",
        cell="irnn",
        units=4,
        glimpse_size="8,6",
        frame_size="30,40",
        window_update="residual",
        frames=2,
        batch_size=2,
        learning_rate=1e-4,
        steps=2,
    )
    metrics = json.loads((model_dir / "metrics.json").read_text())
    assert json.loads(trained.stdout.splitlines()[-1]) == metrics
    assert metrics["steps"] == 2 and 0 <= metrics["extent_iou"] <= 1
    train, [validation] = metrics["data"]["train"], metrics["data"]["validation"]
    assert f"boxes.png shows {', '.join([*train, validation])}" in trained.stdout
    assert trained.stdout.index("boxes.png") < trained.stdout.index("Model:")

    picture = cv2.imread(str(model_dir / "boxes.png")).astype(int)
    green = picture[..., 1] - picture[..., [0, 2]].max(axis=2) > 100
    # The left edge of the first box, five times as large as in frames of 30x40.
    scale = 1.0 if train[0] == "3.avi" else 40 / 60
    first = int(train[0][0])
    left, middle = 5 * first * scale, 5 * (8 + 2) * scale
    column = green[round(middle), :200].nonzero()[0]
    assert abs(column.min() - left) <= 2

    tracker = keras.saving.load_model(model_dir / "model.keras")
    assert tracker.cell.glimpse_size == (8, 6) and tracker.cell.units == 4
    assert tracker.cell.window_update == "residual"
    strip = cv2.imread(str(model_dir / "film_strip.png"))
    assert np.ptp(strip) > 100


def test_trains_in_colour_for_other_objectives(run, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_folder(folder, count=4)
    options = {"data": folder, "frames": 2, "batch_size": 2, "steps": 1, "color": True}
    small = {"units": 4, "glimpse_size": "8,6", "frame_size": "30,40"}
    options |= {"model_dir": tmp_path / "run"} | small
    options["initial_model"] = "none"
    for wrong in ("boxes", "boxes:pixels", "glimpses:pixels:x", "scores:squared"):
        with pytest.raises(subprocess.CalledProcessError) as error:
            run("train.py", losses=wrong, **options)
        assert "--losses=OUTPUT:LOSS:WEIGHT" in error.value.stderr
        assert f"Received: {wrong}" in error.value.stderr
    losses = "boxes:absolute,glimpses:pixels:30"
    run("train.py", losses=losses, features="pixels", **options)
    ran = json.loads((tmp_path / "run" / "metrics.json").read_text())["recipe"]
    assert ran["losses"] == {"boxes": "absolute", "glimpses": "pixels"}
    assert ran["loss_weights"] == {"boxes": 1.0, "glimpses": 30.0}
    tracker = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert tracker.channels == 3 and tracker.cell.features is None
