r"""Trains RATM to follow a bouncing ball (section 6.1 of the paper).

Needs no flags. Writes to MODEL_DIR the trained model (model.keras), its IoU on test
sequences (metrics.json), a picture of tracked test sequences (film_strip.png) and
TensorBoard logs; started again after an interruption, it goes on from the last epoch.

ratm-tf train bouncing_balls --penalty=last --model_dir=/tmp/ratm_balls
"""

from absl import flags

from ratm_tf.cli import training

flags.adopt_module_key_flags(training)
_PENALTY = flags.DEFINE_enum(
    "penalty", "all", ["last", "all"], "The frames that the objective looks at."
)


def main(_):
    """Trains, evaluates and saves a tracker."""
    from ratm_tf import recipes

    recipe = recipes.bouncing_balls(
        _PENALTY.value, training.PRESET.value, **training.changes()
    )
    training.train(recipe, f"runs/bouncing_balls_{_PENALTY.value}")
