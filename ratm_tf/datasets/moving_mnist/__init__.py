"""Moving MNIST with one or two digits (sections 5.2 and 6.2 of the paper)."""

from ratm_tf.datasets.moving_mnist.motion import bouncing_walk, random_walk
from ratm_tf.datasets.moving_mnist.pipeline import moving_mnist, render

__all__ = ["bouncing_walk", "moving_mnist", "random_walk", "render"]
