"""TFDS builder of KTH-like people."""

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.people.penn_fudan import URL
from ratm_tf.datasets.people.pipeline import people
from ratm_tf.datasets.synthetic_builder import SyntheticBuilder

NUM_FRAMES = 40


class Builder(SyntheticBuilder):
    """As many sequences of 40 frames of 120x160 pixels as KTH has, and 300 for tests.

    They are those of `ratm_tf.datasets.people`, made from the Penn-Fudan database,
    which TFDS downloads; see `SyntheticBuilder` for how to generate them by many
    workers.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> builder = tfds.builder("people")
    >>> builder.info.features["frames"].shape
    (40, 120, 160, 1)
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    NUM_SEQUENCES = {"train": 1_200, "test": 300}

    def _info(self):
        boxes = tfds.features.Tensor(
            shape=(NUM_FRAMES, 4),
            dtype=np.float32,
            doc="(x1, y1, x2, y2) in pixels, edges included",
        )
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(
                        shape=(NUM_FRAMES, 120, 160, 1),
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
                        shape=(NUM_FRAMES,),
                        dtype=np.bool_,
                        doc="false once the person has left",
                    ),
                }
            ),
            homepage="https://www.cis.upenn.edu/~jshi/ped_html/",
        )

    def _split_generators(self, dl_manager):
        self._pennfudan = str(next(dl_manager.download_and_extract(URL).glob("Penn*")))
        return super()._split_generators(dl_manager)

    def sequences(self, split, start, num_sequences):
        """See `SyntheticBuilder`."""
        return people(
            split,
            num_frames=NUM_FRAMES,
            start=start,
            num_sequences=num_sequences,
            pennfudan_path=self._pennfudan,
        )
