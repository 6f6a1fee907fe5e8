"""Tensors in JSON, as TensorFlow Serving's REST API writes them."""

import base64
import binascii

import numpy as np
import tensorflow as tf

from .model_version import invalid_argument


def inputs_from_json(request, specs):
    """Takes a signature's inputs from the body of a `:predict` request.

    Args:
        request: decoded JSON with either `instances` (row form: a list of objects, one
            for each element of the batch) or `inputs` (column form: an object of whole
            tensors). A signature with one input can do without naming it. Strings
            that are not text are objects `{"b64": ...}`.
        specs: dict of `tf.TensorSpec` by name.

    Returns:
        `(inputs, form)`: dict of arrays by name, and `"instances"` or `"inputs"`.

    Raises:
        tf.errors.InvalidArgumentError: the request has another form, or values do not
            fit their types.

    Example:
    >>> from ratm_tf.serving.json_tensors import inputs_from_json
    >>> specs = {"x": tf.TensorSpec([None, 2], tf.float32)}
    >>> inputs_from_json({"instances": [{"x": [1, 2]}]}, specs)
    ({'x': array([[1., 2.]], dtype=float32)}, 'instances')
    """
    forms = request.keys() & {"instances", "inputs"}
    if len(forms) != 1:
        raise invalid_argument(
            "Expected either 'inputs' or 'instances' in the request. Received: "
            f"{sorted(request)}"
        )
    form = forms.pop()
    values = request[form]
    if form == "instances":
        values = _columns(values, specs)
    elif not isinstance(values, dict) or _is_base64(values):
        values = {_only_name(specs, form): values}
    unknown = values.keys() - specs.keys()
    if unknown:
        raise invalid_argument(
            f"The signature has no input {', '.join(sorted(unknown))}; it has "
            f"{', '.join(sorted(specs))}."
        )
    return {
        name: array_from_json(name, value, specs[name].dtype)
        for name, value in values.items()
    }, form


def outputs_to_json(outputs, form):
    """Puts a signature's outputs into the body of the answer.

    Args:
        outputs: dict of arrays by name.
        form: `"instances"` or `"inputs"`, as the request had it.

    Returns:
        Object to encode as JSON, with `predictions` (row form) or `outputs` (column
        form). A single output is not named. Strings of outputs whose names end in
        `_bytes` are objects `{"b64": ...}`.

    Raises:
        tf.errors.InvalidArgumentError: outputs differ in their first axis and so have
            no row form, or are strings that are neither text nor named `_bytes`.

    Example:
    >>> from ratm_tf.serving.json_tensors import outputs_to_json
    >>> outputs_to_json({"y": np.float32([1, 2])}, "instances")
    {'predictions': [1.0, 2.0]}
    """
    lists = {
        name: array_to_json(name, array, binary=name.endswith("_bytes"))
        for name, array in outputs.items()
    }
    if form == "inputs":
        return {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}
    sizes = {name: array.shape[:1] for name, array in outputs.items()}
    if len(set(sizes.values())) != 1 or () in sizes.values():
        raise invalid_argument(
            "Outputs differ in batch size, so that they have no row form; send 'inputs'"
            f" instead of 'instances'. Their first axes: {sizes}"
        )
    if len(lists) == 1:
        return {"predictions": next(iter(lists.values()))}
    rows = zip(*lists.values(), strict=True)
    return {"predictions": [dict(zip(lists, row, strict=True)) for row in rows]}


def _columns(instances, specs):
    if not isinstance(instances, list) or not instances:
        raise invalid_argument("Expected 'instances' to be a list with elements.")
    named = [isinstance(row, dict) and not _is_base64(row) for row in instances]
    if not any(named):
        return {_only_name(specs, "instances"): instances}
    for index, row in enumerate(instances):
        if not named[index] or row.keys() != specs.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. Expected an "
                f"object with the keys {', '.join(sorted(specs))}."
            )
    return {name: [row[name] for row in instances] for name in specs}


def _only_name(specs, form):
    if len(specs) != 1:
        raise invalid_argument(
            f"'{form}' does not name the inputs. The signature has several: "
            f"{', '.join(sorted(specs))}."
        )
    return next(iter(specs))


def array_from_json(name, value, dtype):
    """Turns nested lists into an array.

    Args:
        name: the tensor's, for errors.
        value: decoded JSON: a scalar or nested lists.
        dtype: the `tf.DType` to make of it.

    Returns:
        Array of the type; of bytes objects for strings.

    Raises:
        tf.errors.InvalidArgumentError: lists differ in length, or values do not fit.

    Example:
    >>> from ratm_tf.serving.json_tensors import array_from_json
    >>> array_from_json("image", [{"b64": "YWI="}], tf.string)
    array([b'ab'], dtype=object)
    """
    if dtype == tf.string:
        array = np.array(_as_bytes(name, value), object)
        if not all(isinstance(element, bytes) for element in array.ravel()):
            raise invalid_argument(f'Lists of input "{name}" differ in length.')
        return array
    try:
        array = np.array(value)
    except ValueError:
        raise invalid_argument(f'Lists of input "{name}" differ in length.') from None
    accepted = "b" if dtype.is_bool else "iu" if dtype.is_integer else "iuf"
    if array.size and array.dtype.kind not in accepted:
        raise invalid_argument(
            f'JSON values of input "{name}" are not of expected type: {dtype.name}'
        )
    if dtype.is_integer and array.size:
        if array.min() < dtype.min or array.max() > dtype.max:
            raise invalid_argument(
                f'Values of input "{name}" are not in the range of {dtype.name}.'
            )
    with np.errstate(over="ignore"):
        return array.astype(dtype.as_numpy_dtype)


def _as_bytes(name, value):
    if isinstance(value, list):
        return [_as_bytes(name, element) for element in value]
    if isinstance(value, str):
        return value.encode()
    if not _is_base64(value):
        raise invalid_argument(
            f'JSON values of input "{name}" are not of expected type: string, or '
            '{"b64": base64-encoded string} for binary data.'
        )
    try:
        padding = "=" * (-len(value["b64"]) % 4)  # Which may be left out.
        return base64.b64decode(value["b64"] + padding, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument(
            f'Unable to base64 decode input "{name}": {error}'
        ) from None


def _is_base64(value):
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
        tf.errors.InvalidArgumentError: a string is neither `binary` nor text.

    Example:
    >>> from ratm_tf.serving.json_tensors import array_to_json
    >>> array_to_json("image", np.array([b"ab"]), binary=True)
    [{'b64': 'YWI='}]
    """

    def as_json(value):
        if binary:
            return {"b64": base64.b64encode(value).decode()}
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise invalid_argument(
                f'Output "{name}" is not text, and its name does not end in "_bytes".'
            ) from None

    if array.dtype.kind not in "OS" or not array.size:
        return array.tolist()
    return np.vectorize(as_json, otypes=[object])(array).tolist()
