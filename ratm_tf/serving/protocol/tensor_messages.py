"""Tensors in TensorFlow's messages."""

import math

import numpy as np
import tensorflow as tf

_STRING_BYTES = 24
"""What TensorFlow needs for a string, beside its characters."""


def message_from_tensor(tensor):
    """Turns a tensor into a message.

    Args:
        tensor: tensor or NumPy array; strings are arrays of bytes objects.

    Returns:
        A `TensorProto` message.

    Example:
    >>> from ratm_tf.serving.protocol.tensor_messages import message_from_tensor
    >>> message_from_tensor(tf.constant([b"a", b"b"])).string_val
    [b'a', b'b']
    """
    return tf.make_tensor_proto(tensor)


def tensors_from_messages(messages, max_bytes=None):
    """Turns messages into tensors, as TensorFlow Serving does.

    Args:
        messages: mapping of `TensorProto` by name.
        max_bytes: of a tensor; a short message can stand for a large one.

    Returns:
        Dict of `tf.Tensor`.

    Raises:
        tf.errors.ResourceExhaustedError: a tensor is larger than `max_bytes`.
        tf.errors.InvalidArgumentError: a message does not hold a tensor.

    Example:
    >>> from ratm_tf.serving.protocol.tensor_messages import tensors_from_messages
    >>> tensors_from_messages({"x": tf.make_tensor_proto([1.0, 2.0])})["x"].numpy()
    array([1., 2.], dtype=float32)
    """
    return {
        name: _tensor(name, message, max_bytes) for name, message in messages.items()
    }


def _tensor(name, message, max_bytes):
    shape = [axis.size for axis in message.tensor_shape.dim]
    try:
        dtype = tf.as_dtype(message.dtype)
        size = _bytes(message, dtype, shape)
        if max_bytes is not None and size > max_bytes:
            raise tf.errors.ResourceExhaustedError(
                None,
                None,
                f'Input "{name}" takes {size:.0f} bytes, the limit is {max_bytes}.',
            )
        if message.tensor_content and dtype != tf.string:
            values = np.frombuffer(message.tensor_content, dtype.as_numpy_dtype)
            return tf.constant(values.reshape(shape))
        return tf.io.parse_tensor(message.SerializeToString(), dtype)
    except (KeyError, TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise tf.errors.InvalidArgumentError(
            None,
            None,
            f'Input "{name}" does not hold a tensor of its type, '
            f"{message.dtype}, and shape, {shape}.",
        ) from error


def _bytes(message, dtype, shape):
    """What the tensor takes; the last of too few values stands for all that follow."""
    if message.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError("The shape is not known.")
    elements = math.prod(map(float, shape))
    if dtype != tf.string:
        return elements * np.dtype(dtype.as_numpy_dtype).itemsize
    values = message.string_val
    repeated = max(elements - len(values), 0.0)
    length = sum(map(len, values)) + repeated * (len(values[-1]) if values else 0)
    return _STRING_BYTES * (repeated + len(values)) + length
