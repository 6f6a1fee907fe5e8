r"""Trains the digit classifier of the MNIST experiments (section 6.2 of the paper).

Writes the model with the best validation accuracy to `MODEL_DIR/model.keras` and
its accuracies to `MODEL_DIR/metrics.json`; started again after an interruption,
it goes on from the last finished epoch.

python experiments/pretrain_mnist_cnn.py --model_dir=/tmp/mnist_cnn
"""

import keras
import numpy as np
import pretraining
from absl import app, flags

from ratm_tf.datasets import load_digits
from ratm_tf.features import mnist_cnn

flags.adopt_module_key_flags(pretraining)
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path", None, "MNIST as an .npz file (default: Keras downloads it)."
)


def main(_):
    """Trains, keeps the best model and reports its accuracies."""
    keras.utils.set_random_seed(pretraining.SEED.value)
    images, labels = _load("train")
    # The last 10,000 of all 60,000, and as large a part of the packaged sample.
    num_train = len(images) * 5 // 6
    validation = images[num_train:], labels[num_train:]

    model = mnist_cnn()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=5.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model = pretraining.pretrain(
        model,
        images[:num_train],
        labels[:num_train],
        batch_size=128,
        validation_data=validation,
    )
    pretraining.report(
        {
            "validation_accuracy": pretraining.accuracy(model, *validation),
            "test_accuracy": pretraining.accuracy(model, *_load("test")),
        }
    )


def _load(split):
    images, labels = load_digits(split, _MNIST_PATH.value)
    return images[..., np.newaxis] / np.float32(255), labels


if __name__ == "__main__":
    app.run(main)
