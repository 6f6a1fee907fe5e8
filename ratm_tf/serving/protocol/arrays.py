"""Arrays of the types that a signature asks for."""

import numpy as np
import tensorflow as tf

from .errors import invalid_argument


def array_of_type(name, value, dtype):
    r"""Makes an array of a type, if its values fit.

    Args:
        name: the tensor's, for errors.
        value: a scalar, nested lists, an array or a tensor. Strings are bytes, or text,
            which becomes UTF-8.
        dtype: the `tf.DType` to make of it. Integers become floating numbers, which
            may round them, and not the other way round; only booleans become booleans.

    Returns:
        NumPy array of the type; of bytes objects for strings.

    Raises:
        tf.errors.InvalidArgumentError: lists differ in length, or values do not fit.

    Example:
    >>> from ratm_tf.serving.protocol.arrays import array_of_type
    >>> array_of_type("image", [["a", b"b\0"]], tf.string)
    array([[b'a', b'b\x00']], dtype=object)
    >>> array_of_type("x", [1, 2.5], tf.float32)
    array([1. , 2.5], dtype=float32)
    """
    array = _array(name, value)
    if array.dtype == dtype.as_numpy_dtype and dtype != tf.string:
        return array
    kinds = {array.dtype.kind}
    if kinds == {"O"}:
        kinds = {np.dtype(kind).kind for kind in set(map(type, array.ravel()))}
    if not kinds <= _accepted_kinds(dtype):
        raise invalid_argument(
            f'Expected the values of input "{name}" to be {dtype.name}, and its lists '
            "to be of one length. Received others."
        )
    if dtype == tf.string:
        return _encoded(array)
    if dtype.is_bool:
        return array.astype(bool)
    if dtype.is_integer:
        if array.size and not dtype.min <= array.min() <= array.max() <= dtype.max:
            raise _out_of_range(name, dtype)
        return array.astype(dtype.as_numpy_dtype)
    try:
        exact = array.astype(np.float64)
    except OverflowError:  # Of Python's integers, which have no bound.
        raise _out_of_range(name, dtype) from None
    with np.errstate(over="ignore"):
        array = exact.astype(dtype.as_numpy_dtype)
    if np.isinf(array).sum() > np.isinf(exact).sum():
        raise _out_of_range(name, dtype)
    return array


def _array(name, value):
    if hasattr(value, "__array__"):
        return np.asarray(value)
    try:
        # Of Python's own objects: otherwise NumPy takes True for 1, and cuts zeros off
        # the ends of bytes.
        return np.array(value, object)
    except ValueError:
        raise invalid_argument(
            f'Expected the lists of input "{name}" to be of one length.'
        ) from None


def _accepted_kinds(dtype):
    if dtype == tf.string:
        return set("SU")
    if dtype.is_bool:
        return set("b")
    return set("iu") if dtype.is_integer else set("iufV")  # V: bfloat16.


def _encoded(array):
    encoded = np.empty(array.size, object)
    encoded[:] = [
        element.encode() if isinstance(element, str) else element
        for element in array.ravel()
    ]
    return encoded.reshape(array.shape)


def _out_of_range(name, dtype):
    return invalid_argument(
        f'Expected the values of input "{name}" to be in the range of {dtype.name}.'
    )
