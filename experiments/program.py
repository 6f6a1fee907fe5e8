"""What the training programs have in common: their flags and their last words."""

import json
import pathlib

from absl import flags

PRESET = flags.DEFINE_enum(
    "preset",
    "fast",
    ["fast", "paper"],
    "The recipe: 'fast' is the quickest good one, 'paper' the paper's to the letter.",
)
STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps (default: the preset's).", lower_bound=1
)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the weights and the sequences.")
MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "Output folder, where an interrupted run goes on."
)
IMPLEMENTATION = flags.DEFINE_enum(
    "implementation", "auto", ["auto", "fused", "tf"], "How to take glimpses."
)
TEST_SEQUENCES = flags.DEFINE_integer(
    "test_sequences",
    None,
    "Sequences of the final evaluation (default: as many as the paper's).",
    lower_bound=1,
)


def report(metrics):
    """Writes a run's metrics to `metrics.json` in its folder and prints them."""
    path = pathlib.Path(MODEL_DIR.value) / "metrics.json"
    path.write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics))
