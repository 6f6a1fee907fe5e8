"""Arrays of the types that a signature asks for."""

import numpy as np


def array_of_type(name, value, dtype):
    r"""Makes an array of a type, if its values fit.

    Args:
        name: the tensor's, for errors.
        value: a scalar, nested lists, an array or a tensor. Strings are bytes, or text,
            which becomes UTF-8.
        dtype: the NumPy dtype to make of it, `object` for strings. Integers become
            floating numbers, which may round them, and not the other way round; only
            booleans become booleans.

    Returns:
        NumPy array of the type; of bytes objects for strings.

    Raises:
        ValueError: lists differ in length, or values do not fit.

    Example:
    >>> from ratm_tf.serving.protocol.arrays import array_of_type
    >>> array_of_type("image", [["a", b"b\0"]], object)
    array([[b'a', b'b\x00']], dtype=object)
    >>> array_of_type("x", [1, 2.5], "float32")
    array([1. , 2.5], dtype=float32)
    """
    array, dtype = _array(name, value), np.dtype(dtype)
    if array.dtype == dtype and dtype.kind != "O":
        return array
    kinds = {array.dtype.kind}
    if kinds == {"O"}:
        kinds = {np.dtype(kind).kind for kind in set(map(type, array.ravel()))}
    if not kinds <= _ACCEPTED[dtype.kind]:
        raise ValueError(
            f'Expected the values of input "{name}" to be {_name(dtype)}, and its '
            "lists to be of one length. Received others."
        )
    if dtype.kind == "O":
        return _encoded(array)
    if dtype.kind == "b":
        return array.astype(bool)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if array.size and not bounds.min <= array.min() <= array.max() <= bounds.max:
            raise _out_of_range(name, dtype)
        return array.astype(dtype)
    try:
        exact = array.astype(complex if dtype.kind == "c" else np.float64)
    except OverflowError:  # Of Python's integers, which have no bound.
        raise _out_of_range(name, dtype) from None
    with np.errstate(over="ignore"):
        array = exact.astype(dtype)
    if np.isinf(array).sum() > np.isinf(exact).sum():
        raise _out_of_range(name, dtype)
    return array


_ACCEPTED = {
    "O": set("SU"),
    "b": set("b"),
    "i": set("iu"),
    "u": set("iu"),
    "f": set("iufV"),  # V: bfloat16.
    "V": set("iufV"),
    "c": set("iufVc"),
}


def _name(dtype):
    return "string" if dtype.kind == "O" else dtype.name


def _array(name, value):
    if hasattr(value, "__array__"):
        return np.asarray(value)
    try:
        # Of Python's own objects: otherwise NumPy takes True for 1, and cuts zeros off
        # the ends of bytes.
        return np.array(value, object)
    except ValueError:
        raise ValueError(
            f'Expected the lists of input "{name}" to be of one length.'
        ) from None


def _encoded(array):
    encoded = np.empty(array.size, object)
    encoded[:] = [
        element.encode() if isinstance(element, str) else element
        for element in array.ravel()
    ]
    return encoded.reshape(array.shape)


def _out_of_range(name, dtype):
    return ValueError(
        f'Expected the values of input "{name}" to be in the range of {dtype.name}.'
    )
