"""Tensors in JSON, as TensorFlow Serving's REST API writes them."""

import base64
import binascii

import numpy as np

from .arrays import array_of_type


def array_from_json(name, value, dtype):
    """Turns nested lists into an array.

    Args:
        name: the tensor's, for errors.
        value: decoded JSON: a scalar or nested lists.
        dtype: the NumPy dtype to make of it, `object` for strings.

    Returns:
        Array of the type; of bytes objects for strings.

    Raises:
        ValueError: lists differ in length, or values do not fit.

    Example:
    >>> from ratm_tf.serving.protocol.json_tensors import array_from_json
    >>> array_from_json("image", [{"b64": "YWI="}], object)
    array([b'ab'], dtype=object)
    """
    if np.dtype(dtype).kind == "O":
        value = _as_bytes(name, value)
    return array_of_type(name, value, dtype)


def _as_bytes(name, value):
    if isinstance(value, list):
        return [_as_bytes(name, element) for element in value]
    if isinstance(value, str):
        return value.encode()
    if not is_base64(value):
        raise ValueError(
            f'JSON values of input "{name}" are not of expected type: string, or '
            '{"b64": base64-encoded string} for binary data.'
        )
    try:
        padding = "=" * (-len(value["b64"]) % 4)  # Which may be left out.
        return base64.b64decode(value["b64"] + padding, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f'Unable to base64 decode input "{name}": {error}') from None


def is_base64(value):
    """Says whether decoded JSON is a string that is not text, `{"b64": ...}`.

    Example:
    >>> from ratm_tf.serving.protocol.json_tensors import is_base64
    >>> is_base64({"b64": "YWI="}), is_base64("YWI=")
    (True, False)
    """
    return (
        isinstance(value, dict)
        and value.keys() == {"b64"}
        and isinstance(value["b64"], str)
    )


def array_to_json(name, array, binary):
    """Turns an array into nested lists.

    Args:
        name: the tensor's, for errors.
        array: NumPy array, of bytes objects for strings.
        binary: whether strings become objects `{"b64": ...}` and not text.

    Returns:
        A scalar or nested lists, to encode as JSON.

    Raises:
        ValueError: a string is neither `binary` nor text.

    Example:
    >>> from ratm_tf.serving.protocol.json_tensors import array_to_json
    >>> array_to_json("image", np.array([b"ab"]), binary=True)
    [{'b64': 'YWI='}]
    """

    def as_json(value):
        if binary:
            return {"b64": base64.b64encode(value).decode()}
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(
                f'Output "{name}" is not text, and its name does not end in "_bytes".'
            ) from None

    if not array.size:
        return array.tolist()
    if array.dtype.kind in "OS":
        return np.vectorize(as_json, otypes=[object])(array).tolist()
    if array.dtype.kind in "fV" and array.dtype != np.float64:
        # The shortest text that tells numbers of its own type apart.
        array = np.reshape([float(str(value)) for value in array.flat], array.shape)
    return array.tolist()
