"""KTH-like videos of cut-out people."""

from ratm_tf.datasets.people.people_dataset_builder import Builder
from ratm_tf.datasets.people.pipeline import people

__all__ = ["Builder", "people"]
