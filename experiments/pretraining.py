"""What the programs that train classifiers have in common."""

import json
import pathlib

import keras
import numpy as np
from absl import flags

from ratm_tf.pretrained.compact import save_compact

MODEL_DIR = flags.DEFINE_string("model_dir", None, "Output folder.", required=True)
EPOCHS = flags.DEFINE_integer("epochs", 100, "Most epochs to train.", lower_bound=1)
PATIENCE = flags.DEFINE_integer(
    "patience", 10, "Epochs without a better validation accuracy before stopping."
)
SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, data and dropout.")


def pretrain(model, x, y=None, *, batch_size=None, validation_data):
    """Trains a classifier and keeps its best weights.

    Writes the model with the best validation accuracy to `MODEL_DIR/model.keras`,
    without its optimizer and in half precision; called again after an interruption,
    goes on from the last finished epoch.

    Args:
        model: a `keras.Model`, compiled with the metric "accuracy".
        x: inputs or a data set of pairs, `y`: labels, `batch_size`: as in `Model.fit`.
        y: see x.
        batch_size: see x.
        validation_data: pair of arrays, inputs and integer labels.

    Returns:
        The best model as `model.keras` has it, uncompiled.
    """
    model_dir = pathlib.Path(MODEL_DIR.value)
    model_dir.mkdir(parents=True, exist_ok=True)
    path = model_dir / "model.keras"
    best = None
    if path.exists():
        best = accuracy(keras.saving.load_model(path, compile=False), *validation_data)
    model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=EPOCHS.value,
        validation_data=validation_data,
        callbacks=[
            keras.callbacks.BackupAndRestore(model_dir / "backup"),
            keras.callbacks.ModelCheckpoint(
                path,
                monitor="val_accuracy",
                mode="max",
                save_best_only=True,
                initial_value_threshold=best,
            ),
            keras.callbacks.EarlyStopping(
                "val_accuracy", mode="max", patience=PATIENCE.value, baseline=best
            ),
        ],
    )
    save_compact(keras.saving.load_model(path, compile=False), path)
    return keras.saving.load_model(path)


def accuracy(model, images, labels):
    """The part of the images whose most probable class is their label."""
    probabilities = model.predict(images, verbose=0)
    return float(np.mean(probabilities.argmax(axis=-1) == labels))


def report(metrics):
    """Writes the metrics to `MODEL_DIR/metrics.json` and prints them."""
    path = pathlib.Path(MODEL_DIR.value) / "metrics.json"
    path.write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics))
