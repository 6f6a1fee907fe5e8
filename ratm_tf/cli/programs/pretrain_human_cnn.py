r"""Trains the person classifier of the KTH experiments (section 6.3 of the paper).

On patches of 64x128 pixels with a person in the middle (`positive`) and without
(`negative`), such as those of the INRIA person data set. Writes the model with the best
validation accuracy to `MODEL_DIR/model.keras` and how well it does to
`MODEL_DIR/metrics.json`; started again after an interruption, it goes on from the last
finished epoch.

ratm-tf train human_cnn --persons_path=persons --model_dir=/tmp/cnn
"""

from absl import flags

from ratm_tf.cli import classifier, run

flags.adopt_module_key_flags(classifier)
flags.mark_flag_as_required("model_dir")
_PERSONS_PATH = flags.DEFINE_string(
    "persons_path", None, "Folder of `positive` and `negative` patches.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset",
    "fast",
    ["fast", "paper"],
    "The recipe: 'fast' trains with Adam on crops that differ in place, size, light "
    "and direction, as a tracker sees people; 'paper' with SGD on tight crops.",
)


def main(_):
    """Trains, keeps the best model and reports how well it tells people."""
    by = run.strategy()
    from ratm_tf.features.pretraining import pretrain_human_cnn

    metrics = pretrain_human_cnn(
        run.MODEL_DIR.value,
        _PERSONS_PATH.value,
        preset=_PRESET.value,
        epochs=classifier.EPOCHS.value,
        patience=classifier.PATIENCE.value,
        seed=run.SEED.value,
        strategy=by,
    )
    run.report({"preset": _PRESET.value} | metrics, by)
