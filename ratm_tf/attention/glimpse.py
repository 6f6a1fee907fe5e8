"""The glimpse as a Keras layer."""

import numbers

import keras
import numpy as np
import tensorflow as tf

from ratm_tf.attention.functional import gaussian_glimpse
from ratm_tf.attention.implementation import check_implementation, fallback_reason
from ratm_tf.attention.window import window_from_activations
from ratm_tf.types import Implementation, Shape, Size, TensorLike


@keras.saving.register_keras_serializable(package="ratm_tf")
class GaussianGlimpse(keras.layers.Layer):
    """Reads a small window of each image through Gaussian filters (Eq. 4-12).

    Six raw activations an image are scaled to a window in pixels (Eq. 6-8), the window
    places a grid of Gaussian filters on the image (Eq. 9, 11), and the filters read the
    glimpse (Eq. 4). Gradients reach the images and the activations. Window arithmetic
    is done in float32 whatever the layer's dtype policy.

    Args:
        glimpse_size: `(N, M)`, rows and columns of the glimpse, or one integer for
            both.
        min_sigma: smallest standard deviation of a filter, in pixels. The gradient with
            respect to a filter's position grows like `1 / sigma**2` where the filter
            sits between two pixels: 16 times the difference of their values at 0.25,
            the default.
        implementation: `"auto"`, `"fused"` or `"tf"`, as in
            `ratm_tf.gaussian_glimpse`.
        return_window: whether to return `(glimpses, window)`.

    Call arguments:
        images: `[B, H, W, C]`, uint8, bfloat16, float16, float32 or float64. Floating
            images are cast to the layer's compute dtype.
        activations: floating `[B, 6]` (or `[B, K, 6]` to look at each image through
            `K` windows): `g~x, g~y, s~x, s~y, d~x, d~y` of Eq. 5.

    Both can be given as one list, `[images, activations]`. For each image of a sequence
    there is `keras.layers.TimeDistributed`, which takes layers of one input: a model
    that makes the activations from the image.

    Returns:
        Glimpses `[B, N, M, C]` (or `[B, K, N, M, C]`) in the layer's compute dtype and
        in the images' range of values; with `return_window` also the window in pixels,
        float32 `[B, 6]` (or `[B, K, 6]`).

    Raises:
        ValueError: if an argument has the wrong rank, size or dtype.

    Example:
    >>> layer = ratm_tf.GaussianGlimpse(glimpse_size=(28, 28))
    >>> images = tf.random.uniform([2, 100, 100, 1])
    >>> whole_image = tf.constant([[0.0, 0.0, 1.8, 1.8, 1.0, 1.0]] * 2)
    >>> layer(images, whole_image).shape
    TensorShape([2, 28, 28, 1])
    """

    def __init__(
        self,
        glimpse_size: int | Size = (28, 28),
        min_sigma: float = 0.25,
        implementation: Implementation = "auto",
        return_window: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.glimpse_size = _checked_size(glimpse_size)
        if not min_sigma >= 0:
            raise ValueError(
                f"Expected `min_sigma` to be 0 pixels or more. Received: {min_sigma}"
            )
        self.min_sigma = float(min_sigma)
        self.implementation = implementation
        self.return_window = return_window

    @property
    def implementation(self) -> Implementation:
        """`"auto"`, `"fused"` or `"tf"`; set, it holds for what is traced then."""
        return self._implementation

    @implementation.setter
    def implementation(self, implementation: Implementation) -> None:
        self._implementation = check_implementation(implementation)
        # XLA cannot compile the fused op: keep `jit_compile="auto"` from asking it to.
        self.supports_jit = fallback_reason(implementation) is not None

    def build(
        self, images_shape: Shape, activations_shape: Shape | None = None
    ) -> None:
        _, activations_shape = _as_pair(images_shape, activations_shape)
        if activations_shape[-1] not in (None, 6):
            raise ValueError(
                "Expected `activations` to hold 6 numbers a window. Received shape: "
                f"{tuple(activations_shape)}"
            )

    def call(
        self, images: TensorLike, activations: TensorLike | None = None
    ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        images, activations = _as_pair(images, activations)
        images = tf.convert_to_tensor(images)
        if images.dtype.is_floating:
            images = tf.cast(images, self.compute_dtype)
        sizes = zip(images.shape[1:3], tf.unstack(tf.shape(images)[1:3]), strict=True)
        window = window_from_activations(
            activations,
            [dynamic if static is None else static for static, dynamic in sizes],
            self.glimpse_size,
            self.min_sigma,
        )
        glimpses = gaussian_glimpse(
            images, window, self.glimpse_size, self.implementation
        )
        glimpses = tf.cast(glimpses, self.compute_dtype)
        return (glimpses, window) if self.return_window else glimpses

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "glimpse_size": self.glimpse_size,
            "min_sigma": self.min_sigma,
            "implementation": self.implementation,
            "return_window": self.return_window,
        }


def _as_pair(images, activations):
    if activations is None and isinstance(images, list) and len(images) == 2:
        images, activations = images
    if activations is None:
        raise ValueError(
            "Expected `images` and `activations`. Received no `activations`."
        )
    return images, activations


def _checked_size(glimpse_size):
    size = tuple(glimpse_size) if np.iterable(glimpse_size) else (glimpse_size,) * 2
    if len(size) != 2 or not all(_is_positive_integer(n) for n in size):
        raise ValueError(
            "Expected `glimpse_size` to be two positive integers, (rows, columns). "
            f"Received: {glimpse_size!r}"
        )
    return tuple(int(n) for n in size)


def _is_positive_integer(number):
    return isinstance(number, numbers.Real) and number % 1 == 0 and number >= 1
