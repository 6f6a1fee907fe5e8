r"""Picks the MNIST sample that the package ships, from a full MNIST file.

The same number of digits of every class, spread evenly over the split and kept
in its order: 5,000 of the training digits and 1,000 of the test digits.

python -m ratm_tf.datasets.sources.make_mnist_sample --mnist=mnist.npz
"""

import numpy as np
from absl import app, flags

from ratm_tf.datasets.sources import mnist

_MNIST = flags.DEFINE_string(
    "mnist", None, "All of MNIST, as an .npz file (default: Keras finds it)."
)


def pick(images, labels, per_class):
    """Picks `per_class` digits of every class, evenly spread, in their order."""
    chosen = [
        members[np.linspace(0, len(members) - 1, per_class).astype(int)]
        for members in (np.flatnonzero(labels == digit) for digit in range(10))
    ]
    chosen = np.sort(np.concatenate(chosen))
    return images[chosen], labels[chosen].astype(np.uint8)


def main(_):
    """Writes the package's `mnist_sample.npz`."""
    x_train, y_train = pick(*mnist.load_digits("train", _MNIST.value), 500)
    x_test, y_test = pick(*mnist.load_digits("test", _MNIST.value), 100)
    np.savez_compressed(
        mnist.SAMPLE_PATH,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
    )


if __name__ == "__main__":
    app.run(main)
