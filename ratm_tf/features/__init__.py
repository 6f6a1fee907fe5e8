"""Features: the networks that describe what a glimpse shows."""

from ratm_tf.features.mnist_cnn import mnist_cnn

__all__ = ["mnist_cnn"]
