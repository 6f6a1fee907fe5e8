"""Requests and answers of `:predict` in JSON, as TensorFlow Serving has them."""

from .json_tensors import array_from_json, array_to_json, is_base64


def inputs_to_json(signature, inputs):
    """Puts a signature's inputs into the body of a request, in column form.

    Args:
        signature: its name.
        inputs: dict of arrays by name.

    Returns:
        Object to encode as JSON.

    Example:
    >>> from ratm_tf.serving.protocol.json_predictions import inputs_to_json
    >>> inputs_to_json("square", {"x": np.float32([1, 2])})
    {'signature_name': 'square', 'inputs': {'x': [1.0, 2.0]}}
    """
    return {
        "signature_name": signature,
        "inputs": {
            name: array_to_json(name, array, binary=True)
            for name, array in inputs.items()
        },
    }


def inputs_from_json(request, dtypes):
    """Takes a signature's inputs from the body of a request.

    Args:
        request: decoded JSON with either `instances` (row form: a list of objects, one
            for each element of the batch) or `inputs` (column form: an object of whole
            tensors, where others than the signature's are ignored). A signature with
            one input can do without naming it. Strings that are not text are objects
            `{"b64": ...}`.
        dtypes: dict of NumPy dtypes of the signature's inputs by name.

    Returns:
        `(inputs, form)`: dict of arrays by name, and `"instances"` or `"inputs"`.

    Raises:
        ValueError: the request has another form, or values do not
            fit their types.

    Example:
    >>> from ratm_tf.serving.protocol.json_predictions import inputs_from_json
    >>> inputs_from_json({"instances": [{"x": [1, 2]}]}, {"x": "float32"})
    ({'x': array([[1., 2.]], dtype=float32)}, 'instances')
    """
    forms = request.keys() & {"instances", "inputs"}
    if len(forms) != 1:
        raise ValueError(
            "Expected the request to have either 'inputs' or 'instances'. Received: "
            f"{sorted(request)}"
        )
    form = forms.pop()
    values = request[form]
    if form == "instances":
        values = _columns(values, dtypes)
    elif not isinstance(values, dict) or is_base64(values):
        values = {_only_name(dtypes, form): values}
    return {
        name: array_from_json(name, values[name], dtype)
        for name, dtype in dtypes.items()
        if name in values
    }, form


def _columns(instances, dtypes):
    if not isinstance(instances, list) or not instances:
        raise ValueError("Expected 'instances' to be a list with elements.")
    named = [isinstance(row, dict) and not is_base64(row) for row in instances]
    if not any(named):
        return {_only_name(dtypes, "instances"): instances}
    for index, row in enumerate(instances):
        if not named[index] or row.keys() != dtypes.keys():
            raise ValueError(
                f"Expected element {index} of 'instances' to be an object with the "
                f"keys {', '.join(sorted(dtypes))}."
            )
    return {name: [row[name] for row in instances] for name in dtypes}


def _only_name(dtypes, form):
    if len(dtypes) != 1:
        raise ValueError(
            f"Expected '{form}' to name the inputs, of which the signature has "
            f"several: {', '.join(sorted(dtypes))}."
        )
    return next(iter(dtypes))


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
        ValueError: outputs differ in their first axis and so have
            no row form, or are strings that are neither text nor named `_bytes`.

    Example:
    >>> from ratm_tf.serving.protocol.json_predictions import outputs_to_json
    >>> outputs_to_json({"y": np.float32([1, 2])}, "instances")
    {'predictions': [1.0, 2.0]}
    """
    if form == "instances":
        sizes = {name: array.shape[:1] for name, array in outputs.items()}
        if len(set(sizes.values())) != 1 or () in sizes.values():
            raise ValueError(
                "Expected outputs of one batch size, without which they have no row "
                "form; send 'inputs' instead of 'instances'. Their first axes: "
                f"{sizes}"
            )
    columns = {
        name: array_to_json(name, array, binary=name.endswith("_bytes"))
        for name, array in outputs.items()
    }
    key, named = ("predictions", _rows) if form == "instances" else ("outputs", dict)
    if len(columns) == 1:
        return {key: next(iter(columns.values()))}
    return {key: named(columns)}


def _rows(columns):
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def outputs_from_json(answer, dtypes):
    """Takes a signature's outputs from an answer in column form.

    Args:
        answer: decoded JSON.
        dtypes: dict of NumPy dtypes of the signature's outputs by name.

    Returns:
        Dict of arrays by name.

    Raises:
        ValueError: these are other outputs, or values do not fit their types.

    Example:
    >>> from ratm_tf.serving.protocol.json_predictions import outputs_from_json
    >>> outputs_from_json({"outputs": [1.5]}, {"y": "float32"})
    {'y': array([1.5], dtype=float32)}
    """
    outputs = answer.get("outputs")
    if len(dtypes) == 1:  # An only output has no name.
        outputs = {next(iter(dtypes)): outputs}
    if not isinstance(outputs, dict) or outputs.keys() != dtypes.keys():
        raise ValueError(f"Expected the outputs {', '.join(sorted(dtypes))}.")
    return {
        name: array_from_json(name, outputs[name], dtype)
        for name, dtype in dtypes.items()
    }
