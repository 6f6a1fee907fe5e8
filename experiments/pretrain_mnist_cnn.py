r"""Trains the digit classifier of the MNIST experiments (section 6.2 of the paper).

Writes the model with the best validation accuracy to `MODEL_DIR/model.keras` and
its accuracies to `MODEL_DIR/metrics.json`; started again after an interruption,
it goes on from the last finished epoch.

python experiments/pretrain_mnist_cnn.py --model_dir=/tmp/mnist_cnn
"""

import json
import pathlib

import keras
import numpy as np
from absl import app, flags

from ratm_tf.datasets import load_digits
from ratm_tf.features import mnist_cnn

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Output folder.", required=True)
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path", None, "MNIST as an .npz file (default: Keras downloads it)."
)
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Most epochs to train.", lower_bound=1)
_PATIENCE = flags.DEFINE_integer(
    "patience", 10, "Epochs without a better validation accuracy before stopping."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, shuffling and dropout.")


def main(_):
    """Trains, keeps the best model and reports its accuracies."""
    keras.utils.set_random_seed(_SEED.value)
    model_dir = pathlib.Path(_MODEL_DIR.value)
    model_dir.mkdir(parents=True, exist_ok=True)
    model_path = model_dir / "model.keras"

    images, labels = _load("train")
    # The last 10,000 of all 60,000, and as large a part of the packaged sample.
    num_train = len(images) * 5 // 6
    validation = images[num_train:], labels[num_train:]

    model = mnist_cnn()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=5.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    best = _accuracy(model_path, *validation) if model_path.exists() else None
    model.fit(
        images[:num_train],
        labels[:num_train],
        batch_size=128,
        epochs=_EPOCHS.value,
        validation_data=validation,
        callbacks=[
            keras.callbacks.BackupAndRestore(model_dir / "backup"),
            keras.callbacks.ModelCheckpoint(
                model_path,
                monitor="val_accuracy",
                mode="max",
                save_best_only=True,
                initial_value_threshold=best,
            ),
            keras.callbacks.EarlyStopping(
                "val_accuracy", mode="max", patience=_PATIENCE.value, baseline=best
            ),
        ],
    )

    metrics = {
        "validation_accuracy": _accuracy(model_path, *validation),
        "test_accuracy": _accuracy(model_path, *_load("test")),
    }
    # Without its optimizer, the file is half the size.
    keras.saving.load_model(model_path, compile=False).save(model_path)
    (model_dir / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics))


def _load(split):
    images, labels = load_digits(split, _MNIST_PATH.value)
    return images[..., np.newaxis] / np.float32(255), labels


def _accuracy(model_path, images, labels):
    probabilities = keras.saving.load_model(model_path).predict(images, verbose=0)
    return float(np.mean(probabilities.argmax(axis=-1) == labels))


if __name__ == "__main__":
    app.run(main)
