"""Where to look: windows, boxes, the Gaussian glimpse and the recurrent cell."""

from ratm_tf.attention.glimpse import GaussianGlimpse
from ratm_tf.attention.irnn_cell import IRNNCell
from ratm_tf.attention.op import gaussian_glimpse
from ratm_tf.attention.ratm_cell import RATMCell
from ratm_tf.attention.window import (
    activations_from_window,
    corner_box,
    extent_box,
    scale_box,
    window_from_activations,
    window_from_box,
)

__all__ = [
    "GaussianGlimpse",
    "IRNNCell",
    "RATMCell",
    "activations_from_window",
    "corner_box",
    "extent_box",
    "gaussian_glimpse",
    "scale_box",
    "window_from_activations",
    "window_from_box",
]
