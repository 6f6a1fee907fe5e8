"""TFDS builder of KTH-like people."""

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.people import (
    FRAME_SIZE,
    TEST_FRAMES,
    TEST_SEQUENCES,
    TRAIN_SEQUENCES,
)
from ratm_tf.datasets.people.sequences import people_sequences
from ratm_tf.datasets.sources.penn_fudan import URL
from ratm_tf.datasets.synthetic_builder import SyntheticBuilder


class Builder(SyntheticBuilder):
    """As many sequences of 30 frames of 120x160 pixels as KTH has, and 2,000 for tests.

    They are those of `people_sequences`, made from the Penn-Fudan database,
    which TFDS downloads; see `SyntheticBuilder` for how to generate them by many
    workers.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> import ratm_tf.datasets.builders
    >>> builder = tfds.builder("ratm_people")
    >>> builder.info.features["frames"].shape
    (30, 120, 160, 1)
    """

    name = "ratm_people"
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "1.0.0": "Initial release.",
        "2.0.0": "Drawn by other arithmetic: pixels differ by rounding and noise.",
    }
    NUM_SEQUENCES = {"train": TRAIN_SEQUENCES, "test": TEST_SEQUENCES}

    def _info(self):
        boxes = tfds.features.Tensor(
            shape=(TEST_FRAMES, 4),
            dtype=np.float32,
            doc="(x1, y1, x2, y2) in pixels, edges included",
        )
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(
                        shape=(TEST_FRAMES, *FRAME_SIZE, 1),
                        dtype=np.uint8,
                        encoding=tfds.features.Encoding.ZLIB,
                        doc="0..255",
                    ),
                    "boxes": boxes,
                    "detected_boxes": boxes,
                    "initial_box": tfds.features.Tensor(
                        shape=(4,), dtype=np.float32, doc="the first detected box"
                    ),
                    "mask": tfds.features.Tensor(
                        shape=(TEST_FRAMES,),
                        dtype=np.bool_,
                        doc="false once the person has left",
                    ),
                }
            ),
            homepage="https://www.cis.upenn.edu/~jshi/ped_html/",
        )

    def source(self, dl_manager):
        """Downloads the Penn-Fudan database."""
        return str(next(dl_manager.download_and_extract(URL).glob("Penn*")))

    def sequences(self, split, start, num_sequences, source):
        """See `SyntheticBuilder`."""
        return people_sequences(
            split,
            num_frames=TEST_FRAMES,
            start=start,
            num_sequences=num_sequences,
            pennfudan_path=source,
        )
