"""What the programs that train classifiers have in common."""

import json
import pathlib

from absl import flags

from ratm_tf.cli import run

flags.adopt_module_key_flags(run)
EPOCHS = flags.DEFINE_integer("epochs", 100, "Most epochs to train.", lower_bound=1)
PATIENCE = flags.DEFINE_integer(
    "patience", 10, "Epochs without a better validation accuracy before stopping."
)


def report(metrics):
    """Writes a training's metrics to `MODEL_DIR/metrics.json` and prints them."""
    from ratm_tf.training.provenance import provenance

    metrics = {"seed": run.SEED.value} | metrics | provenance()
    path = pathlib.Path(run.MODEL_DIR.value) / "metrics.json"
    path.write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics))
