"""Tests the TFDS data set on two made-up clips."""

import tensorflow_datasets as tfds

from ratm_tf.datasets.kth import builder


class KthTest(tfds.testing.DatasetBuilderTestCase):
    """Builds and reads the whole of it."""

    DATASET_CLASS = builder.Builder
    SPLITS = {"subject01": 2, "subject02": 2}
