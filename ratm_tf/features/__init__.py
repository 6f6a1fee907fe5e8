"""Features: the networks that describe what a glimpse shows."""

from ratm_tf.features.digits import mnist_cnn
from ratm_tf.features.efficientnet import efficientnet_features
from ratm_tf.features.even_brightness import EvenBrightness
from ratm_tf.features.grey_conv2d import GreyConv2D
from ratm_tf.features.inverted_residual import InvertedResidual
from ratm_tf.features.people import (
    convolutional_features,
    hidden_features,
    human_cnn,
    import_theano_weights,
)
from ratm_tf.features.targets import target_features

__all__ = [
    "EvenBrightness",
    "GreyConv2D",
    "InvertedResidual",
    "convolutional_features",
    "efficientnet_features",
    "hidden_features",
    "human_cnn",
    "import_theano_weights",
    "mnist_cnn",
    "target_features",
]
