import json

import keras
import pytest

import ratm_tf


def test_trains_resumes_and_is_evaluated(run, tmp_path):
    flags = {
        "preset": "paper",
        "penalty": "all",
        "model_dir": tmp_path,
        "steps": 2,
        "test_sequences": 10,
    }
    output = run("train_bouncing_balls.py", **flags).stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert json.loads(output.splitlines()[-1]) == metrics
    assert metrics["steps"] == 2
    assert (metrics["preset"], metrics["penalty"]) == ("paper", "all")
    assert (tmp_path / "film_strip.png").stat().st_size > 10_000
    model = tmp_path / "model.keras"
    assert isinstance(keras.saving.load_model(model), ratm_tf.Tracker)

    again = run("train_bouncing_balls.py", **flags).stdout
    assert "Resuming" in again and "2/2" not in again
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics

    evaluated = json.loads(
        run("evaluate.py", model=model, dataset="bouncing_balls", sequences=10).stdout
    )
    for name in ("corner_iou_1_32", "extent_iou_32_32"):
        assert evaluated[name] == pytest.approx(metrics[name], abs=1e-6)
    assert evaluated["oracle_iou_32_32"] == 1.0


def test_default_preset_grows_sequences_up_to_the_last_frame(run, tmp_path):
    flags = {"penalty": "last", "steps": 2, "test_sequences": 10}
    run("train_bouncing_balls.py", model_dir=tmp_path, **flags)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["preset"], metrics["penalty"]) == ("fast", "last")
