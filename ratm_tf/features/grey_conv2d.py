"""Convolution of grey images with a fast gradient to the images."""

import keras
import tensorflow as tf

from ratm_tf.types import Shape, TensorLike


@keras.saving.register_keras_serializable(package="ratm_tf")
class GreyConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` of one-channel images, for gradients to the images.

    A classifier in a tracker's objective sends its gradient on to the glimpse. On CPUs,
    oneDNN's gradient to one channel takes several times as long as the convolution: it
    is vectorised over that channel. Where padding is spelt out, as it is here for that
    gradient alone, TensorFlow takes its own, a matrix product and three times as fast.
    Values and weights are `Conv2D`'s.

    Args:
        filters: number of filters.
        kernel_size: rows and columns of the filters.
        **kwargs: as `keras.layers.Conv2D` has them, without strides, dilation, groups
            or channels first.

    Call arguments:
        images: floating `[B, H, W, 1]`.

    Returns:
        `[B, H', W', filters]`.

    Raises:
        ValueError: if the images have more than one channel, or an option is one of
            those left out.

    Example:
    >>> layer = ratm_tf.features.GreyConv2D(32, 5)
    >>> layer(tf.zeros([2, 28, 28, 1])).shape
    TensorShape([2, 24, 24, 32])
    """

    def build(self, input_shape: Shape) -> None:
        options = {"strides": (1, 1), "dilation_rate": (1, 1), "groups": 1}
        options["data_format"] = "channels_last"
        for name, expected in options.items():
            if getattr(self, name) != expected:
                raise ValueError(
                    f"Expected `{name}` of a GreyConv2D to be {expected!r}. Received: "
                    f"{getattr(self, name)!r}"
                )
        if input_shape[-1] != 1:
            raise ValueError(
                "Expected images of shape [B, H, W, 1]. Received shape: "
                f"{tuple(input_shape)}"
            )
        super().build(input_shape)

    def convolution_op(
        self, inputs: TensorLike, kernel: TensorLike
    ) -> keras.KerasTensor:
        padding = self.padding.upper()
        sizes = (1, *self.kernel_size, 1) if padding == "SAME" else (1, 1, 1, 1)
        around = [pixels for n in sizes for pixels in ((n - 1) // 2, n // 2)]

        @tf.custom_gradient
        def convolve(images, kernel):
            def gradient(upstream):
                to_images = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(images),
                    filter=kernel,
                    out_backprop=upstream,
                    strides=[1, 1, 1, 1],
                    padding="EXPLICIT",
                    explicit_paddings=around,
                )
                to_kernel = tf.raw_ops.Conv2DBackpropFilter(
                    input=images,
                    filter_sizes=tf.shape(kernel),
                    out_backprop=upstream,
                    strides=[1, 1, 1, 1],
                    padding=padding,
                )
                return to_images, to_kernel

            return tf.nn.conv2d(images, kernel, 1, padding), gradient

        return convolve(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel))
