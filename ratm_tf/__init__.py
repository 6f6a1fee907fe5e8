"""RATM, the Recurrent Attentive Tracking Model, for TensorFlow and Keras."""

from ratm_tf import attention, datasets, features, objectives, visualize
from ratm_tf.attention import GaussianGlimpse, IRNNCell, RATMCell, gaussian_glimpse
from ratm_tf.evaluation import evaluate, labelled
from ratm_tf.export import export_saved_model, load_saved_model
from ratm_tf.objectives import MeanIoU
from ratm_tf.online_tracker import OnlineTracker
from ratm_tf.pretrained import load_pretrained
from ratm_tf.tracker import Tracker
from ratm_tf.training import train

__version__ = "0.1.0"

__all__ = [
    "GaussianGlimpse",
    "IRNNCell",
    "MeanIoU",
    "OnlineTracker",
    "RATMCell",
    "Tracker",
    "attention",
    "datasets",
    "evaluate",
    "export_saved_model",
    "features",
    "gaussian_glimpse",
    "labelled",
    "load_pretrained",
    "load_saved_model",
    "objectives",
    "train",
    "visualize",
]
