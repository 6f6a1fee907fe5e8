import json
import pathlib
import subprocess
import sys

import keras

import ratm_tf
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH

ROOT = pathlib.Path(ratm_tf.__file__).parents[1]


def pretrain(model_dir, epochs):
    result = subprocess.run(
        [
            sys.executable,
            ROOT / "experiments" / "pretrain_mnist_cnn.py",
            f"--mnist_path={SAMPLE_PATH}",
            f"--model_dir={model_dir}",
            f"--epochs={epochs}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    metrics = json.loads((model_dir / "metrics.json").read_text())
    assert json.loads(result.stdout.splitlines()[-1]) == metrics
    return metrics


def test_trains_and_keeps_the_better_model(tmp_path):
    metrics = pretrain(tmp_path / "runs" / "cnn", epochs=2)
    assert metrics["validation_accuracy"] > 0.7
    assert metrics["test_accuracy"] > 0.7
    model_path = tmp_path / "runs" / "cnn" / "model.keras"
    assert not keras.saving.load_model(model_path).compiled
    assert model_path.stat().st_size < 200_000

    again = pretrain(tmp_path / "runs" / "cnn", epochs=1)
    assert again["validation_accuracy"] >= metrics["validation_accuracy"]
