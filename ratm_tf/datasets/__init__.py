"""Datasets: `tf.data` pipelines and TFDS builders of the paper's experiments."""

from ratm_tf.datasets.bouncing_balls import bouncing_balls
from ratm_tf.datasets.kth import kth
from ratm_tf.datasets.mnist import load_digits
from ratm_tf.datasets.moving_mnist import moving_mnist
from ratm_tf.datasets.otb import otb
from ratm_tf.datasets.people import people
from ratm_tf.datasets.persons import load_persons
from ratm_tf.datasets.throughput import throughput

__all__ = [
    "bouncing_balls",
    "kth",
    "load_digits",
    "load_persons",
    "moving_mnist",
    "otb",
    "people",
    "throughput",
]
