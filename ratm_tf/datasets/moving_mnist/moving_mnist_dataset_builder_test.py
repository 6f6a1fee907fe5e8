"""Tests of the TFDS builder of moving MNIST."""

from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets import moving_mnist
from ratm_tf.datasets.mnist import SAMPLE_PATH
from ratm_tf.datasets.moving_mnist.moving_mnist_dataset_builder import (
    Builder,
    MovingMNISTConfig,
)


class MovingMNISTTest(tfds.testing.DatasetBuilderTestCase):
    """Generates a few sequences of both configs and reads them back."""

    DATASET_CLASS = Builder
    SPLITS = {"train": 5, "test": 3}
    EXAMPLE_DIR = "."  # There is nothing to download.

    def setUp(self):
        sizes = mock.patch.object(Builder, "NUM_SEQUENCES", self.SPLITS)
        sizes.start()
        super().setUp()
        self.patchers.append(sizes)

    def test_stands_beside_the_builders_of_tfds(self):
        self.assertIn("moving_mnist", tfds.list_builders())
        self.assertIs(tfds.builder_cls("moving_mnist"), Builder)

    def test_examples_are_those_of_the_pipeline(self):
        for num_digits in 1, 2:
            config = MovingMNISTConfig(
                name=f"sample_{num_digits}",
                num_digits=num_digits,
                mnist_path=str(SAMPLE_PATH),
            )
            builder = Builder(data_dir=self.tmp_dir, config=config)
            builder.download_and_prepare()
            written = builder.as_dataset(split="test").as_numpy_iterator()
            written = {example["boxes"].tobytes(): example for example in written}
            for example in moving_mnist(
                "test",
                num_frames=30,
                num_digits=num_digits,
                num_sequences=3,
                mnist_path=SAMPLE_PATH,
            ).as_numpy_iterator():
                ours = written.pop(example["boxes"].tobytes())
                assert ours.keys() == example.keys()
                for name in ours:
                    np.testing.assert_array_equal(ours[name], example[name])
            self.assertEmpty(written)


if __name__ == "__main__":
    tfds.testing.test_main()
