"""Tests of the TFDS builder of KTH-like people, on drawn ones."""

from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ratm_tf.datasets import people_sequences
from ratm_tf.datasets.people.builder import Builder


class PeopleTest(tfds.testing.DatasetBuilderTestCase):
    """Generates a few sequences and reads them back."""

    DATASET_CLASS = Builder
    SPLITS = {"train": 3, "test": 2}
    SKIP_CHECKSUMS = True  # Nobody has registered the archive's.

    def setUp(self):
        super().setUp()
        sizes = mock.patch.object(Builder, "NUM_SEQUENCES", self.SPLITS)
        sizes.start()
        self.patchers.append(sizes)

    def test_examples_are_those_of_the_sequences(self):
        self.assert_written()

    def test_examples_of_beam_are_the_same(self):
        beam = pytest.importorskip("apache_beam")
        options = beam.options.pipeline_options.PipelineOptions(flags=[])
        self.assert_written(
            download_config=tfds.download.DownloadConfig(beam_options=options)
        )

    def assert_written(self, **options):
        with mock.patch.object(
            tfds.download.DownloadManager,
            "download_and_extract",
            return_value=self.dummy_data,
        ):
            self.builder.download_and_prepare(**options)
        written = self.builder.as_dataset(split="test").as_numpy_iterator()
        written = {example["boxes"].tobytes(): example for example in written}
        expected = people_sequences(
            "test",
            num_frames=30,
            num_sequences=2,
            pennfudan_path=self.dummy_data / "PennFudanPed",
        )
        for example in expected.as_numpy_iterator():
            found = written.pop(example["boxes"].tobytes())
            for name, values in example.items():
                np.testing.assert_array_equal(found[name], values, name)
        self.assertEmpty(written)


if __name__ == "__main__":
    tfds.testing.test_main()
