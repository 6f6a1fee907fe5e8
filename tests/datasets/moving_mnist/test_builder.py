"""Tests of the TFDS builder of moving MNIST."""

from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ratm_tf.datasets import moving_mnist_sequences
from ratm_tf.datasets.moving_mnist.builder import Builder, MovingMNISTConfig
from ratm_tf.datasets.sources import mnist
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def test_a_number_of_digits_that_there_is_not():
    with pytest.raises(ValueError, match="`num_digits` to be one of 1, 2.*3"):
        MovingMNISTConfig(name="three", num_digits=3)


class MovingMNISTTest(tfds.testing.DatasetBuilderTestCase):
    """Generates a few sequences of both configs and reads them back."""

    DATASET_CLASS = Builder
    SPLITS = {"train": 5, "test": 3}
    EXAMPLE_DIR = "."  # There is nothing to download.

    def setUp(self):
        sizes = mock.patch.object(Builder, "NUM_SEQUENCES", self.SPLITS)
        sizes.start()
        super().setUp()
        found = mock.patch.object(mnist, "download", return_value=SAMPLE_PATH)
        found.start()
        self.patchers += [sizes, found]

    def test_examples_are_those_of_the_sequences(self):
        for num_digits in 1, 2:
            config = MovingMNISTConfig(
                name=f"sample_{num_digits}",
                num_digits=num_digits,
                mnist_path=str(SAMPLE_PATH),
            )
            builder = Builder(data_dir=self.tmp_dir, config=config)
            builder.download_and_prepare()
            self.assertEqual(builder.info.metadata["mnist"], str(SAMPLE_PATH))
            written = builder.as_dataset(split="test").as_numpy_iterator()
            written = {example["boxes"].tobytes(): example for example in written}
            for example in moving_mnist_sequences(
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

    def test_digits_are_never_those_of_a_fallback(self):
        mnist.download.side_effect = OSError("no network")
        with self.assertRaisesRegex(OSError, "get MNIST. Received: .*no network"):
            Builder(data_dir=self.tmp_dir, config="one_digit").download_and_prepare()

    def test_a_prepared_data_set_tells_where_its_digits_are_from(self):
        Builder(data_dir=self.tmp_dir, config="one_digit").download_and_prepare()
        again = Builder(data_dir=self.tmp_dir, config="one_digit")
        self.assertEqual(again.info.metadata["mnist"], "keras.datasets.mnist")


if __name__ == "__main__":
    tfds.testing.test_main()
