r"""Trains RATM to follow a moving MNIST digit (section 6.2 of the paper).

With --digits=2 there are two, which bounce off each other; the tracker starts on one
and must not hop to the other.

Needs no flags. Writes to MODEL_DIR the trained model (model.keras), its IoU on test
sequences (metrics.json), a picture of tracked test sequences (film_strip.png) and
TensorBoard logs; started again after an interruption, it goes on from the last epoch.

ratm-tf train mnist --model_dir=/tmp/ratm_mnist
"""

from absl import flags

from ratm_tf.cli import training

flags.adopt_module_key_flags(training)
_DIGITS = flags.DEFINE_integer(
    "digits", 1, "Digits in each sequence.", lower_bound=1, upper_bound=2
)
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
)


def main(_):
    """Trains, evaluates and saves a tracker."""
    from ratm_tf import recipes

    recipe = recipes.moving_mnist(
        _DIGITS.value,
        training.PRESET.value,
        mnist_path=_MNIST_PATH.value,
        sample=True,
        **training.changes(),
    )
    folders = {1: "runs/mnist", 2: "runs/mnist_two_digits"}
    training.train(recipe, folders[_DIGITS.value])
