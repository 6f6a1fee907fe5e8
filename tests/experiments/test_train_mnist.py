import json
import subprocess

import keras
import pytest

import ratm_tf
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


@pytest.mark.parametrize(
    ("digits", "preset"),
    [(1, "fast"), pytest.param(2, "paper", marks=pytest.mark.slow)],
)
def test_trains_resumes_and_is_evaluated(run, digits, preset, tmp_path):
    flags = {
        "digits": digits,
        "preset": preset,
        "model_dir": tmp_path,
        "mnist_path": SAMPLE_PATH,
        "test_sequences": 10,
    }
    first = run("train_mnist.py", steps=3, **flags)
    assert "sequences/s" in first.stdout and "loss" in first.stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["steps"] == 3 and metrics["preset"] == preset
    assert metrics["digits"] == digits
    assert json.loads(first.stdout.splitlines()[-1]) == metrics
    assert (tmp_path / "film_strip.png").stat().st_size > 10_000
    assert list((tmp_path / "logs").rglob("*.tfevents.*"))
    assert isinstance(
        keras.saving.load_model(tmp_path / "model.keras"), ratm_tf.Tracker
    )

    again = run("train_mnist.py", steps=3, **flags)
    assert "Resuming" in again.stdout and "3/3" not in again.stdout
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics

    with pytest.raises(subprocess.CalledProcessError) as other_seed:
        run("train_mnist.py", steps=3, seed=1, **flags)
    assert "holds another run" in other_seed.value.stderr + other_seed.value.stdout

    evaluated = json.loads(
        run(
            "evaluate.py",
            model=tmp_path / "model.keras",
            dataset="moving_mnist" if digits == 1 else "moving_mnist_two_digits",
            sequences=10,
            mnist_path=flags["mnist_path"],
        ).stdout
    )
    for name in ("corner_iou_1_10", "extent_iou_1_30"):
        assert evaluated[name] == pytest.approx(metrics[name], abs=1e-6)
    assert 0.7 < evaluated["oracle_iou_1_10"] < evaluated["oracle_iou_1_30"] < 0.9
