"""TFDS builder of moving MNIST."""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.moving_mnist.pipeline import moving_mnist
from ratm_tf.datasets.synthetic_builder import SyntheticBuilder

NUM_FRAMES = 30
FRAME_SIZE = (100, 100)


@dataclasses.dataclass
class MovingMNISTConfig(tfds.core.BuilderConfig):
    """One of the two experiments.

    Attributes:
        num_digits: 1 or 2.
        num_tests: sequences of the test split.
        mnist_path: optional MNIST file, see `ratm_tf.datasets.load_digits`.
    """

    num_digits: int = 1
    num_tests: int = 10_000
    mnist_path: str | None = None


class Builder(SyntheticBuilder, skip_registration=True):
    """The sequences of the paper's section 5.2, 30 frames of 100x100 pixels.

    They are those of `ratm_tf.datasets.moving_mnist`; see `SyntheticBuilder` for how to
    generate them by many workers. The paper trains on 10 frames: the first 10 are the
    sequences that the pipeline makes of 10 frames. Once imported, this is the
    `moving_mnist` that TFDS finds, and no longer its own.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> builder = tfds.builder("moving_mnist/two_digits")
    >>> builder.info.features["frames"].shape
    (30, 100, 100, 1)
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    BUILDER_CONFIGS = [
        MovingMNISTConfig(
            name="one_digit",
            description="One digit that walks at random.",
            num_digits=1,
            num_tests=10_000,
        ),
        MovingMNISTConfig(
            name="two_digits",
            description="A digit to follow and another one, which bounce like balls.",
            num_digits=2,
            num_tests=5_000,
        ),
    ]

    @property
    def NUM_SEQUENCES(self):
        """See `SyntheticBuilder`."""
        return {"train": 100_000, "test": self.builder_config.num_tests}

    def _info(self):
        def tensor(dtype, *shape, **options):
            return tfds.features.Tensor(shape=shape, dtype=dtype, **options)

        zlib = tfds.features.Encoding.ZLIB
        box = "(x1, y1, x2, y2) in pixels, edges included"
        features = {
            "frames": tensor(
                np.uint8, NUM_FRAMES, *FRAME_SIZE, 1, encoding=zlib, doc="0..255"
            ),
            "boxes": tensor(np.float32, NUM_FRAMES, 4, doc=box),
            "digit": tfds.features.ClassLabel(num_classes=10),
        }
        if self.builder_config.num_digits > 1:
            features["initial_box"] = tensor(np.float32, 4, doc=box)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features)
        )

    def sequences(self, split, start, num_sequences):
        """See `SyntheticBuilder`."""
        return moving_mnist(
            split,
            num_frames=NUM_FRAMES,
            num_digits=self.builder_config.num_digits,
            start=start,
            num_sequences=num_sequences,
            frame_size=FRAME_SIZE,
            mnist_path=self.builder_config.mnist_path,
        )


class _Provider:
    """Gives TFDS this `moving_mnist` in place of its own, which has no boxes."""

    def has_dataset(self, name):
        return name == Builder.name

    def get_builder_cls(self, name):
        del name
        return Builder


tfds.core.registered.add_dataset_builder_provider(_Provider(), index=0)
