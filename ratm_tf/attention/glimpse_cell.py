"""What all cells that look at frames through a window have."""

from typing import Any

import keras
import tensorflow as tf

from ratm_tf.attention.glimpse import GaussianGlimpse
from ratm_tf.types import Implementation, Size


class GlimpseCell(keras.layers.Layer):
    """A cell that reads frames through a Gaussian glimpse: the base of cells.

    Args:
        glimpse_size, min_sigma, implementation: see `GaussianGlimpse`.
    """

    scores = False
    """Whether the cell says how sure it is of its target."""
    large = False
    """Whether its graph is so large that sequences had better not be unrolled."""
    context = 1.0
    """How many times wider and higher than the target its window is."""
    features: Any = None
    """What describes glimpses."""
    return_features = False
    """Whether the output has that description, too."""

    parts: tuple[str, ...] = ()
    """Names of the layers that may be frozen alone."""

    def __init__(
        self,
        glimpse_size: int | Size,
        min_sigma: float = 0.25,
        implementation: Implementation = "auto",
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, dtype="float32", **kwargs)
        self.glimpse = GaussianGlimpse(
            glimpse_size,
            min_sigma,
            implementation,
            return_window=True,
            dtype="float32",
            name="glimpse",
        )
        self._channels = None

    @property
    def glimpse_size(self) -> Size:
        """`(N, M)`, rows and columns of the glimpse."""
        return self.glimpse.glimpse_size

    @property
    def glimpse_shape(self) -> tuple[int, int, int]:
        """`(N, M, C)`, once the cell is built."""
        if self._channels is None:
            raise ValueError(
                "Expected a built cell: how many channels a glimpse has, frames say. "
                "Call it, or `build`, first."
            )
        return (*self.glimpse_size, self._channels)

    @property
    def plain(self) -> bool:
        """Whether `RATMCell.track` takes it through whole sequences at once."""
        return False

    @property
    def implementation(self) -> Implementation:
        """How glimpses are taken, `"auto"`, `"fused"` or `"tf"`; it can be set."""
        return self.glimpse.implementation

    @implementation.setter
    def implementation(self, implementation: Implementation) -> None:
        self._choose_form(implementation)

    def _choose_form(self, implementation):
        """Hands it to all parts.

        Keras leaves out an assignment of what a property has already, and the glimpse
        may have it where others do not.
        """
        for part in self._in_either_form:
            part.implementation = implementation

    @property
    def _in_either_form(self):
        """What has an `implementation`."""
        return [self.glimpse]

    def _frozen(self):
        """Names of the parts that are frozen."""
        parts = {name: getattr(self, name) for name in self.parts}
        return [
            name
            for name, part in parts.items()
            if part is not None and not part.trainable
        ]

    def _freeze_again(self):
        """Freezes what was frozen: Keras trains the weights that it has got since."""
        frozen = [getattr(self, name) for name in self._frozen()]
        for layer in frozen if self.trainable else [self]:
            layer.trainable = True
            layer.trainable = False

    def read(
        self, frame: tf.Tensor, activations: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads a frame through several windows of each sequence, by one call.

        Args:
            frame: `[B, H, W, C]`, uint8 in 0..255 or floating in 0..1; or
                `[1, H, W, C]`, one frame that all `B` sequences look at.
            activations: float32 `[B, K, 6]`, raw windows.

        Returns:
            `(glimpses, windows)`: float32 `[B, K, N, M, C]` in 0..1, and `[B, K, 6]` in
            pixels.
        """
        count = activations.shape[1]
        if frame.shape[0] == 1 and activations.shape[0] != 1:
            activations = tf.reshape(activations, [1, -1, 6])
        glimpses, windows = self.glimpse(frame, activations)
        glimpses = self.scaled(glimpses, frame.dtype)
        glimpses = tf.reshape(glimpses, [-1, count, *self.glimpse_shape])
        return glimpses, tf.reshape(windows, [-1, count, 6])

    def scaled(self, glimpses: tf.Tensor, frame_dtype: tf.DType) -> tf.Tensor:
        """Scales glimpses to 0..1, as features and objectives see them.

        Args:
            glimpses: floating tensor, in the range of the frames' values.
            frame_dtype: the frames', uint8 for 0..255 or floating for 0..1.

        Returns:
            The glimpses in 0..1, float32.
        """
        glimpses = tf.cast(glimpses, tf.float32)
        return glimpses / 255.0 if frame_dtype == tf.uint8 else glimpses
