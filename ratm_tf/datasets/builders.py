"""The TFDS builders: importing this module registers them.

They are `ratm_bouncing_balls`, `ratm_kth`, `ratm_moving_mnist/one_digit`,
`ratm_moving_mnist/two_digits` and `ratm_people`.

Example:
>>> import ratm_tf.datasets.builders
>>> import tensorflow_datasets as tfds
>>> tfds.builder("ratm_moving_mnist/two_digits").info.features["frames"].shape
(30, 100, 100, 1)
"""

import warnings

import tensorflow_datasets as tfds

from ratm_tf.datasets.bouncing_balls.builder import Builder as BouncingBalls
from ratm_tf.datasets.kth.builder import Builder as KTH
from ratm_tf.datasets.moving_mnist.builder import Builder as MovingMNIST
from ratm_tf.datasets.people.builder import Builder as People

__all__ = ["KTH", "BouncingBalls", "MovingMNIST", "People"]


class _OldNames:
    """Finds builders by the names that README once showed, if no one else has them."""

    _BUILDERS = {"bouncing_balls": BouncingBalls, "kth": KTH, "people": People}

    def has_dataset(self, name):
        return name in self._BUILDERS

    def get_builder_cls(self, name):
        builder = self._BUILDERS[name]
        warnings.warn(
            f"The data set name {name!r} is deprecated. Use {builder.name!r}.",
            DeprecationWarning,
            stacklevel=2,
        )
        return builder


tfds.core.registered.add_dataset_builder_provider(_OldNames())
