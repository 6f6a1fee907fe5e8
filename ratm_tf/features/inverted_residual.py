"""The block that mobile networks are made of."""

import keras
import tensorflow as tf

from ratm_tf.attention.fused_op import fused_op
from ratm_tf.attention.implementation import check_implementation
from ratm_tf.types import Implementation, Shape, TensorLike


@keras.saving.register_keras_serializable(package="ratm_tf")
class InvertedResidual(keras.layers.Layer):
    """An inverted residual (Sandler and others, *MobileNetV2*, 2018), as one op.

    It expands the maps that come in, convolves each of the many by itself, and projects
    them on few again. Where these have the shape of the ones that came in, it adds
    them. Expanded and convolved maps are clipped to 0..6; padding is Keras's "same".
    There is no normalisation: one that has been learnt is part of the weights.

    On CPUs, three rows of the many maps are there at a time, so that they stay near.

    Args:
        expanded: how many maps there are in between.
        filters: how many go out.
        kernel_size: rows and columns of the kernel that expands: 1, as in the paper; a
            network's first convolution has more.
        expand_strides: strides of the expansion.
        strides: strides of the convolution of each map, whose kernels are 3 x 3.
        implementation: `"auto"`, `"fused"` or `"tf"`, as in `ratm_tf.gaussian_glimpse`;
            it can be set.

    Call arguments:
        maps: floating `[B, N, M, C]`.

    Returns:
        `[B, N', M', filters]`, of the layer's dtype; `N'` is `N` over both strides,
        rounded up each time.

    Raises:
        ValueError: a number is not a positive integer, or maps have another rank.

    Example:
    >>> layer = ratm_tf.features.InvertedResidual(expanded=96, filters=24, strides=2)
    >>> layer(tf.zeros([1, 32, 32, 16])).shape
    TensorShape([1, 16, 16, 24])
    """

    def __init__(
        self,
        expanded: int,
        filters: int,
        kernel_size: int = 1,
        expand_strides: int = 1,
        strides: int = 1,
        implementation: Implementation = "auto",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {
            "expanded": expanded,
            "filters": filters,
            "kernel_size": kernel_size,
            "expand_strides": expand_strides,
            "strides": strides,
        }
        for name, size in sizes.items():
            if not isinstance(size, int) or size < 1:
                raise ValueError(
                    f"Expected `{name}` to be a positive integer. Received: {size!r}"
                )
            setattr(self, name, size)
        self.implementation = check_implementation(implementation)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "Expected `maps` of shape [B, N, M, C] with a known C. Received shape: "
                f"{tuple(input_shape)}"
            )
        window, channels = [self.kernel_size] * 2, input_shape[-1]
        shapes = {
            "expand": [*window, channels, self.expanded],
            "depthwise": [3, 3, self.expanded],
            "project": [self.expanded, self.filters],
        }
        for name, shape in shapes.items():
            kernel = self.add_weight(shape, name=f"{name}_kernel")
            bias = self.add_weight(shape[-1:], "zeros", name=f"{name}_bias")
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)

    def call(self, maps: TensorLike) -> tf.Tensor:
        weights = (
            self.expand_kernel,
            self.expand_bias,
            self.depthwise_kernel,
            self.depthwise_bias,
            self.project_kernel,
            self.project_bias,
        )
        return _inverted_residual(
            self.implementation,
            tf.convert_to_tensor(maps),
            *map(keras.ops.convert_to_tensor, weights),
            expand_strides=self.expand_strides,
            strides=self.strides,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def half(size):
            for strides in (self.expand_strides, self.strides):
                size = size and -(-size // strides)
            return size

        batch, rows, columns, _ = input_shape
        return (batch, half(rows), half(columns), self.filters)

    def get_config(self) -> dict[str, object]:
        names = ["expanded", "filters", "kernel_size", "expand_strides", "strides"]
        own = {name: getattr(self, name) for name in [*names, "implementation"]}
        return super().get_config() | own


@fused_op("InvertedResidual")
def _inverted_residual(
    maps,
    expand,
    expand_bias,
    depthwise,
    depthwise_bias,
    project,
    project_bias,
    *,
    expand_strides,
    strides,
):
    x = tf.nn.conv2d(maps, expand, expand_strides, "SAME") + expand_bias
    x = tf.nn.depthwise_conv2d(
        tf.nn.relu6(x), depthwise[..., tf.newaxis], [1, strides, strides, 1], "SAME"
    )
    x = tf.nn.relu6(x + depthwise_bias)
    x = tf.nn.conv2d(x, project[tf.newaxis, tf.newaxis], 1, "SAME") + project_bias
    same = expand_strides == strides == 1 and maps.shape[-1] == project.shape[-1]
    return x + maps if same else x
