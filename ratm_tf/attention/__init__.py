"""Where to look: windows, the Gaussian glimpse and the recurrent cell."""

from ratm_tf.attention.correlation_cell import CorrelationCell
from ratm_tf.attention.functional import gaussian_glimpse
from ratm_tf.attention.glimpse import GaussianGlimpse
from ratm_tf.attention.glimpse_cell import GlimpseCell
from ratm_tf.attention.irnn_cell import IRNNCell
from ratm_tf.attention.ratm_cell import RATMCell
from ratm_tf.attention.window import (
    activations_from_window,
    window_from_activations,
)

__all__ = [
    "CorrelationCell",
    "GaussianGlimpse",
    "GlimpseCell",
    "IRNNCell",
    "RATMCell",
    "activations_from_window",
    "gaussian_glimpse",
    "window_from_activations",
]
