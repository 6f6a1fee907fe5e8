"""The flags of every program that trains, and its last words."""

import json
import pathlib

from absl import flags

SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, data and dropout.")
MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "Output folder, where an interrupted run goes on."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "none",
    ["none", "mirrored", "multi_worker"],
    "Devices to train on: one; all GPUs of this machine; or the machines that the "
    "environment variable TF_CONFIG names, each of which starts this program.",
)


def strategy():
    """What the flag asks for; several workers are to be made before all else."""
    from ratm_tf.training import make_strategy

    return make_strategy(_STRATEGY.value)


def report(metrics, by):
    """Writes a training's metrics to `MODEL_DIR/metrics.json` and prints them.

    Args:
        metrics: dict of JSON values.
        by: the `strategy()` that it was trained by, whose chief alone writes.
    """
    from ratm_tf.training.provenance import provenance
    from ratm_tf.training.run_folder import write_json
    from ratm_tf.training.workers import is_chief

    metrics = {"seed": SEED.value} | metrics | provenance()
    if is_chief(by):
        write_json(pathlib.Path(MODEL_DIR.value) / "metrics.json", metrics)
    print(json.dumps(metrics))
