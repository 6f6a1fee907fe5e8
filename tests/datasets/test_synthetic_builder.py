import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from ratm_tf.datasets.synthetic_builder import SyntheticBuilder


class Squares(SyntheticBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")
    NUM_SEQUENCES = {"train": 1203, "test": 2}

    def _info(self):
        scalar = tfds.features.Scalar(np.int64)
        features = tfds.features.FeaturesDict({"index": scalar, "square": scalar})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def source(self, dl_manager):
        return {"train": 1, "test": -1}

    def sequences(self, split, start, num_sequences, source):
        sign = source[split]
        indices = tf.data.Dataset.range(start, start + num_sequences)
        return indices.map(lambda i: {"index": sign * i, "square": i * i})


def written(data_dir, **download_config):
    builder = Squares(data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**download_config)
    )
    return {
        split: sorted(
            (int(example["index"]), int(example["square"]))
            for example in builder.as_dataset(split=split)
        )
        for split in ("train", "test")
    }


EXPECTED = {
    "train": [(i, i * i) for i in range(1203)],
    "test": [(-1, 1), (0, 0)],
}


def test_one_process_writes_every_sequence(tmp_path):
    assert written(tmp_path) == EXPECTED


def test_beam_writes_the_same(tmp_path):
    beam = pytest.importorskip("apache_beam")
    options = beam.options.pipeline_options.PipelineOptions(flags=[])
    assert written(tmp_path, beam_options=options) == EXPECTED
    runner = beam.runners.DirectRunner()
    assert written(tmp_path / "runner", beam_runner=runner) == EXPECTED
