"""Glimpses of objects that are as bright as each other."""

import keras
import tensorflow as tf

from ratm_tf.types import Shape, TensorLike


@keras.saving.register_keras_serializable(package="ratm_tf")
class EvenBrightness(keras.layers.Layer):
    """Scales each glimpse to one mean brightness.

    Where something bright lies in a dark glimpse is then a linear function of the
    pixels, their mean place, whether it is of thin strokes or of thick ones: what a
    recurrent cell can learn exactly.

    Args:
        mean: mean brightness of the scaled glimpses. Those that are darker than a
            thousandth hardly become brighter.

    Call arguments:
        glimpses: floating `[B, N, M, C]` in 0..1.

    Returns:
        `[B, N, M, C]`, of the layer's dtype.

    Raises:
        ValueError: if `mean` is not greater than 0.

    Example:
    >>> layer = ratm_tf.features.EvenBrightness(mean=0.1)
    >>> glimpses = layer(tf.random.uniform([2, 28, 28, 1]))
    >>> keras.ops.mean(glimpses, axis=(1, 2, 3)).numpy().round(3)
    array([0.1, 0.1], dtype=float32)
    """

    def __init__(self, mean: float = 0.1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not mean > 0:
            raise ValueError(f"Expected `mean` > 0. Received: {mean!r}")
        self.mean = mean

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4:
            raise ValueError(
                "Expected `glimpses` of shape [B, N, M, C]. Received shape: "
                f"{tuple(input_shape)}"
            )

    def call(self, glimpses: TensorLike) -> tf.Tensor:
        brightness = keras.ops.mean(glimpses, axis=(1, 2, 3), keepdims=True)
        return glimpses * (self.mean / (brightness + 1e-3))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"mean": self.mean}
