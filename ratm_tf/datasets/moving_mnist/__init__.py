"""Moving MNIST with one or two digits (section 5.2 of the paper)."""

from ratm_tf.datasets.moving_mnist.motion import bouncing_walk, random_walk
from ratm_tf.datasets.moving_mnist.moving_mnist_dataset_builder import Builder
from ratm_tf.datasets.moving_mnist.pipeline import moving_mnist, render

__all__ = ["Builder", "bouncing_walk", "moving_mnist", "random_walk", "render"]
