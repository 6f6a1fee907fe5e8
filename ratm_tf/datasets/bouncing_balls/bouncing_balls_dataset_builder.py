"""TFDS builder of bouncing balls."""

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.bouncing_balls.pipeline import FRAME_SIZE, bouncing_balls
from ratm_tf.datasets.synthetic_builder import SyntheticBuilder

NUM_FRAMES = 32


class Builder(SyntheticBuilder):
    """The sequences of the paper's section 5.1: one ball, 32 frames of 20x20 pixels.

    They are those of `ratm_tf.datasets.bouncing_balls`; see `SyntheticBuilder` for how
    to generate them by many workers.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> builder = tfds.builder("bouncing_balls")
    >>> builder.info.features["frames"].shape
    (32, 20, 20, 1)
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    NUM_SEQUENCES = {"train": 100_000, "test": 10_000}

    def _info(self):
        zlib = tfds.features.Encoding.ZLIB
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(
                        shape=(NUM_FRAMES, *FRAME_SIZE, 1),
                        dtype=np.uint8,
                        encoding=zlib,
                        doc="0..255",
                    ),
                    "boxes": tfds.features.Tensor(
                        shape=(NUM_FRAMES, 4),
                        dtype=np.float32,
                        doc="(x1, y1, x2, y2) in pixels, edges included",
                    ),
                }
            ),
        )

    def sequences(self, split, start, num_sequences):
        """See `SyntheticBuilder`."""
        return bouncing_balls(
            split, num_frames=NUM_FRAMES, start=start, num_sequences=num_sequences
        )
