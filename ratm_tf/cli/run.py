"""The flags of every program that trains, and its last words."""

import json
import pathlib

from absl import flags

SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, data and dropout.")
MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "Output folder, where an interrupted run goes on."
)


def report(metrics):
    """Writes a training's metrics to `MODEL_DIR/metrics.json` and prints them."""
    from ratm_tf.training.provenance import provenance

    metrics = {"seed": SEED.value} | metrics | provenance()
    path = pathlib.Path(MODEL_DIR.value) / "metrics.json"
    path.write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics))
