"""Tests of the TFDS builder of bouncing balls."""

from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets import bouncing_balls_sequences
from ratm_tf.datasets.bouncing_balls.builder import Builder


class BouncingBallsTest(tfds.testing.DatasetBuilderTestCase):
    """Generates a few sequences and reads them back."""

    DATASET_CLASS = Builder
    SPLITS = {"train": 7, "test": 3}
    EXAMPLE_DIR = "."  # There is nothing to download.

    def setUp(self):
        super().setUp()
        sizes = mock.patch.object(Builder, "NUM_SEQUENCES", self.SPLITS)
        sizes.start()
        self.patchers.append(sizes)

    def test_examples_are_those_of_the_sequences(self):
        self.builder.download_and_prepare()
        written = self.builder.as_dataset(split="test").as_numpy_iterator()
        written = {example["boxes"].tobytes(): example for example in written}
        expected = bouncing_balls_sequences("test", num_frames=32, num_sequences=3)
        for example in expected.as_numpy_iterator():
            frames = written.pop(example["boxes"].tobytes())["frames"]
            np.testing.assert_array_equal(frames, example["frames"])
        self.assertEmpty(written)


if __name__ == "__main__":
    tfds.testing.test_main()
