r"""Trains the digit classifier of the MNIST experiments (section 6.2 of the paper).

Writes the model with the best validation accuracy to `MODEL_DIR/model.keras` and
its accuracies to `MODEL_DIR/metrics.json`; started again after an interruption,
it goes on from the last finished epoch.

ratm-tf train mnist_cnn --model_dir=/tmp/mnist_cnn
"""

from absl import flags

from ratm_tf.cli import classifier, run

flags.adopt_module_key_flags(classifier)
flags.mark_flag_as_required("model_dir")
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
)


def main(_):
    """Trains, keeps the best model and reports its accuracies."""
    by = run.strategy()
    from ratm_tf.datasets import load_digits
    from ratm_tf.features.pretraining import pretrain_mnist_cnn

    metrics = pretrain_mnist_cnn(
        run.MODEL_DIR.value,
        epochs=classifier.EPOCHS.value,
        patience=classifier.PATIENCE.value,
        seed=run.SEED.value,
        strategy=by,
        digits=lambda split: load_digits(split, _MNIST_PATH.value, fallback=True),
    )
    run.report(metrics, by)
