r"""Trains the features by which `ratm-tf train targets` tells targets.

On films made of cut-outs, people and things, before photographs: two convolutions, or
with --efficientnet_path three blocks that know ImageNet, learn to find a film's target
in some of its frames by a correlation filter of two others.
Writes them to `MODEL_DIR/model.keras`, and how often they find it in films of other
targets to `MODEL_DIR/metrics.json`; started again after an interruption, it goes on
from the last finished epoch.

ratm-tf train target_features --cutouts_path=cutouts --pennfudan_path=PennFudanPed \
  --model_dir=/tmp/features
"""

from absl import flags

from ratm_tf.cli import run

flags.adopt_module_key_flags(run)
flags.mark_flag_as_required("model_dir")
_CUTOUTS_PATH = flags.DEFINE_string(
    "cutouts_path", None, "Folder of cut-outs and backgrounds.", required=True
)
_PENNFUDAN_PATH = flags.DEFINE_string(
    "pennfudan_path", None, "The Penn-Fudan database, for more people and streets."
)
_EFFICIENTNET_PATH = flags.DEFINE_string(
    "efficientnet_path",
    None,
    "The weights to begin with, see `ratm_tf.features.efficientnet_features` (default: "
    "two fresh convolutions).",
)
_STEPS = flags.DEFINE_integer(
    "steps", 6000, "Training steps; 0 leaves features as they are.", lower_bound=0
)
_FILMS = flags.DEFINE_integer(
    "films",
    4000,
    "Films to train on, of 24 frames; eight of each are kept in memory, 0.6 MB a film.",
    lower_bound=8,
)
_VALIDATION_FILMS = flags.DEFINE_integer(
    "validation_films", 200, "Films to validate on.", lower_bound=8
)


def main(_):
    """Trains the features and reports how well they find targets."""
    by = run.strategy()
    import keras

    from ratm_tf.datasets import cutout_sequences
    from ratm_tf.features import efficientnet_features, target_features
    from ratm_tf.training.matching import pretrain_target_features

    def films(split, count):
        return cutout_sequences(
            split,
            num_frames=24,
            num_sequences=count,
            seed=run.SEED.value,
            cutouts_path=_CUTOUTS_PATH.value,
            pennfudan_path=_PENNFUDAN_PATH.value,
        )

    keras.utils.set_random_seed(run.SEED.value)
    with by.scope():
        features = (
            target_features()
            if _EFFICIENTNET_PATH.value is None
            else efficientnet_features(_EFFICIENTNET_PATH.value)
        )
    metrics = pretrain_target_features(
        run.MODEL_DIR.value,
        features,
        films("train", _FILMS.value),
        films("test", _VALIDATION_FILMS.value),
        steps=_STEPS.value,
        seed=run.SEED.value,
    )
    run.report({"steps": _STEPS.value, "films": _FILMS.value} | metrics, by)
