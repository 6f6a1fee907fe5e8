"""KTH human actions (Schuldt et al., 2004), boxes of Jiang et al. (2012)."""

from ratm_tf.datasets.kth.kth_dataset_builder import Builder
from ratm_tf.datasets.kth.pipeline import kth

__all__ = ["Builder", "kth"]
