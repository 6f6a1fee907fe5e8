"""The flags of every program that trains."""

from absl import flags

SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, data and dropout.")
MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "Output folder, where an interrupted run goes on."
)
