"""What the programs that train trackers have in common."""

import json

from absl import flags

from ratm_tf.cli import run

flags.adopt_module_key_flags(run)
PRESET = flags.DEFINE_enum(
    "preset",
    "fast",
    ["fast", "best", "paper"],
    "The recipe: 'fast' is the quickest good one, 'best' comes closest to what can be "
    "known, 'paper' is the paper's.",
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps (default: the preset's).", lower_bound=1
)
_IMPLEMENTATION = flags.DEFINE_enum(
    "implementation", "auto", ["auto", "fused", "tf"], "How to take glimpses."
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16", "mixed_float16"],
    "What features and recurrent cells are computed in.",
)
_TEST_SEQUENCES = flags.DEFINE_integer(
    "test_sequences",
    None,
    "Sequences of the final evaluation (default: as many as the paper's).",
    lower_bound=1,
)


def changes():
    """The fields of a recipe that flags change."""
    given = {"steps": _STEPS.value, "test_sequences": _TEST_SEQUENCES.value}
    return {name: value for name, value in given.items() if value is not None}


def train(recipe, model_dir, all_subjects=False, by=None):
    """Trains by a recipe, measures, and prints the metrics as one line of JSON.

    Args:
        recipe: a `ratm_tf.recipes.Recipe`.
        model_dir: output folder where there is no flag.
        all_subjects: whether to leave each KTH subject out in turn.
        by: the `run.strategy()`, where it is made before.
    """
    from ratm_tf.training import run_all_subjects, run_recipe

    trains = run_all_subjects if all_subjects else run_recipe
    metrics = trains(
        recipe,
        model_dir=run.MODEL_DIR.value or model_dir,
        seed=run.SEED.value,
        implementation=_IMPLEMENTATION.value,
        strategy=by or run.strategy(),
        precision=_PRECISION.value,
    )
    print(json.dumps(metrics))
