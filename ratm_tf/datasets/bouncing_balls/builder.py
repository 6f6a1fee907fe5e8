"""TFDS builder of bouncing balls."""

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.bouncing_balls import (
    FRAME_SIZE,
    TEST_FRAMES,
    TEST_SEQUENCES,
    TRAIN_SEQUENCES,
)
from ratm_tf.datasets.bouncing_balls.sequences import bouncing_balls_sequences
from ratm_tf.datasets.synthetic_builder import SyntheticBuilder


class Builder(SyntheticBuilder):
    """The sequences of the paper's section 6.1: one ball, 32 frames of 20x20 pixels.

    They are those of `bouncing_balls_sequences`; see `SyntheticBuilder` for how
    to generate them by many workers.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> import ratm_tf.datasets.builders
    >>> builder = tfds.builder("ratm_bouncing_balls")
    >>> builder.info.features["frames"].shape
    (32, 20, 20, 1)
    """

    name = "ratm_bouncing_balls"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    NUM_SEQUENCES = {"train": TRAIN_SEQUENCES, "test": TEST_SEQUENCES}

    def _info(self):
        zlib = tfds.features.Encoding.ZLIB
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(
                        shape=(TEST_FRAMES, *FRAME_SIZE, 1),
                        dtype=np.uint8,
                        encoding=zlib,
                        doc="0..255",
                    ),
                    "boxes": tfds.features.Tensor(
                        shape=(TEST_FRAMES, 4),
                        dtype=np.float32,
                        doc="(x1, y1, x2, y2) in pixels, edges included",
                    ),
                }
            ),
        )

    def sequences(self, split, start, num_sequences, source):
        """See `SyntheticBuilder`."""
        del source
        return bouncing_balls_sequences(
            split, num_frames=TEST_FRAMES, start=start, num_sequences=num_sequences
        )
