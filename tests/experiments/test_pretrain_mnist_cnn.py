import json

import keras

from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def test_trains_and_keeps_the_better_model(run, tmp_path):
    def pretrain(**flags):
        output = run(
            "pretrain_mnist_cnn.py",
            mnist_path=SAMPLE_PATH,
            model_dir=model_dir,
            **flags,
        ).stdout
        metrics = json.loads((model_dir / "metrics.json").read_text())
        assert json.loads(output.splitlines()[-1]) == metrics
        return metrics

    model_dir = tmp_path / "runs" / "cnn"
    metrics = pretrain(epochs=2)
    assert metrics["validation_accuracy"] > 0.7
    assert metrics["test_accuracy"] > 0.7
    path = model_dir / "model.keras"
    assert not keras.saving.load_model(path).compiled
    assert path.stat().st_size < 200_000

    again = pretrain(epochs=1, strategy="mirrored")
    assert again["validation_accuracy"] >= metrics["validation_accuracy"]
