import json
import pathlib

import keras

import ratm_tf
from tests.features.efficientnet import archive, drawn_arrays

DRAWN = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "cutouts" / "dummy_data"


def test_features_and_a_tracker_of_them_train(run, tmp_path):
    weights = tmp_path / "efficientnet.pth"
    weights.write_bytes(archive(drawn_arrays()))
    flags = {"cutouts_path": DRAWN / "cutouts", "model_dir": tmp_path / "features"}
    result = run(
        "pretrain_target_features.py",
        efficientnet_path=weights,
        steps=2,
        films=8,
        validation_films=8,
        **flags,
    )
    metrics = json.loads((tmp_path / "features" / "metrics.json").read_text())
    assert json.loads(result.stdout.splitlines()[-1]) == metrics
    assert metrics["steps"] == 2 and 0 <= metrics["found"] <= 1
    path = tmp_path / "features" / "model.keras"
    assert keras.saving.load_model(path).output_shape == (None, 32, 32, 24)

    flags["model_dir"] = tmp_path / "tracker"
    run("train_targets.py", steps=1, test_sequences=1, features=path, **flags)
    metrics = json.loads((tmp_path / "tracker" / "metrics.json").read_text())
    assert metrics["features"] == str(path) and 0 <= metrics["extent_iou"] <= 1
    tracker = keras.saving.load_model(tmp_path / "tracker" / "model.keras")
    assert tracker.cell.context == tracker.box_scale
