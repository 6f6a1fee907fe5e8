"""TFDS builder of moving MNIST."""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.arguments import one_of
from ratm_tf.datasets.moving_mnist import (
    FRAME_SIZE,
    TEST_FRAMES,
    TEST_SEQUENCES,
    TRAIN_SEQUENCES,
)
from ratm_tf.datasets.moving_mnist.sequences import moving_mnist_sequences
from ratm_tf.datasets.sources.mnist import load_digits
from ratm_tf.datasets.synthetic_builder import SyntheticBuilder


@dataclasses.dataclass
class MovingMNISTConfig(tfds.core.BuilderConfig):
    """One of the two experiments.

    Attributes:
        num_digits: 1 or 2.
        mnist_path: optional MNIST file, see `load_digits`. TFDS tells what it has
            written by the config's name: give each file its own.

    Raises:
        ValueError: `num_digits` is another.
    """

    num_digits: int = 1
    mnist_path: str | None = None

    def __post_init__(self):
        one_of("num_digits", self.num_digits, (1, 2))


class Builder(SyntheticBuilder):
    """The sequences of the paper's section 6.2, 30 frames of 100x100 pixels.

    They are those of `moving_mnist_sequences`; see `SyntheticBuilder` for how to
    generate them by many workers. The paper trains on 10 frames: the first 10 are the
    sequences that the pipeline makes of 10 frames.

    Digits are all of MNIST or those of the config's file, never a fallback;
    `info.metadata["mnist"]` tells where they came from.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> import ratm_tf.datasets.builders
    >>> builder = tfds.builder("ratm_moving_mnist/two_digits")
    >>> builder.info.features["frames"].shape
    (30, 100, 100, 1)
    """

    name = "ratm_moving_mnist"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    BUILDER_CONFIGS = [
        MovingMNISTConfig(
            name="one_digit",
            description="One digit that walks at random.",
            num_digits=1,
        ),
        MovingMNISTConfig(
            name="two_digits",
            description="A digit to follow and another one, which bounce like balls.",
            num_digits=2,
        ),
    ]

    @property
    def NUM_SEQUENCES(self):
        """See `SyntheticBuilder`."""
        num_tests = TEST_SEQUENCES[self.builder_config.num_digits]
        return {"train": TRAIN_SEQUENCES, "test": num_tests}

    def _info(self):
        def tensor(dtype, *shape, **options):
            return tfds.features.Tensor(shape=shape, dtype=dtype, **options)

        zlib = tfds.features.Encoding.ZLIB
        box = "(x1, y1, x2, y2) in pixels, edges included"
        features = {
            "frames": tensor(
                np.uint8, TEST_FRAMES, *FRAME_SIZE, 1, encoding=zlib, doc="0..255"
            ),
            "boxes": tensor(np.float32, TEST_FRAMES, 4, doc=box),
            "digit": tfds.features.ClassLabel(num_classes=10),
        }
        if self.builder_config.num_digits > 1:
            features["initial_box"] = tensor(np.float32, 4, doc=box)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(),
        )

    def source(self, dl_manager):
        """Records where the digits are from."""
        del dl_manager
        path = self.builder_config.mnist_path
        self.info.metadata["mnist"] = load_digits("train", path).source
        return path

    def sequences(self, split, start, num_sequences, source):
        """See `SyntheticBuilder`."""
        return moving_mnist_sequences(
            split,
            num_frames=TEST_FRAMES,
            num_digits=self.builder_config.num_digits,
            start=start,
            num_sequences=num_sequences,
            frame_size=FRAME_SIZE,
            mnist_path=source,
        )
