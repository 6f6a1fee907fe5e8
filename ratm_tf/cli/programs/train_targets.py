r"""Trains a tracker of any target, which looks for what the first frame shows of it.

On films made of cut-outs, people and things, before photographs:

ratm-tf train targets --cutouts_path=cutouts --pennfudan_path=PennFudanPed

Writes to MODEL_DIR the trained model (model.keras), its IoU on test films
(metrics.json), a picture of tracked test films (film_strip.png) and TensorBoard logs;
started again after an interruption, it goes on from the last epoch. The features that
it describes targets by are trained before, by `ratm-tf train target_features`.
"""

from absl import flags

from ratm_tf.cli import training

flags.adopt_module_key_flags(training)
_CUTOUTS_PATH = flags.DEFINE_string(
    "cutouts_path", None, "Folder of cut-outs and backgrounds.", required=True
)
_PENNFUDAN_PATH = flags.DEFINE_string(
    "pennfudan_path", None, "The Penn-Fudan database, for more people and streets."
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Folder of real videos with boxes, of which half of each batch is; see `ratm-tf "
    "train --data=DIR`.",
)
_FEATURES = flags.DEFINE_string(
    "features",
    "pretrained:target_features",
    "What describes targets: a .keras file or pretrained:NAME.",
)


def main(_):
    """Trains, evaluates and saves a tracker."""
    from ratm_tf import recipes

    recipe = recipes.targets(
        _CUTOUTS_PATH.value,
        training.PRESET.value,
        pennfudan_path=_PENNFUDAN_PATH.value,
        videos_dir=_DATA.value,
        features=_FEATURES.value,
        **training.changes(),
    )
    training.train(recipe, "runs/targets")
