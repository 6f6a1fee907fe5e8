"""Bouncing balls (section 5.1 of the paper)."""

from ratm_tf.datasets.bouncing_balls.bouncing_balls_dataset_builder import Builder
from ratm_tf.datasets.bouncing_balls.pipeline import bouncing_balls

__all__ = ["Builder", "bouncing_balls"]
