"""Running the requests of several clients as one batch."""

import pathlib
import re

import tensorflow as tf

_FIELD = re.compile(
    r"\s*(max_batch_size|batch_timeout_micros|max_enqueued_batches|num_batch_threads)"
    r"\s*:?\s*\{\s*value\s*:\s*(\d+)\s*\}\s*|\s*#.*"
)


def read_batching_parameters(path):
    """Reads a batching parameters file of TensorFlow Serving.

    Args:
        path: text file with `max_batch_size`, `batch_timeout_micros`,
            `max_enqueued_batches` and `num_batch_threads`, a line each.

    Returns:
        Dict of integers, which `ServedModel` takes.

    Raises:
        ValueError: a line is another thing, or a parameter is missing or given twice.

    Example:
    >>> import tempfile, pathlib
    >>> from ratm_tf.serving import read_batching_parameters
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "batching.config"
    >>> _ = path.write_text('''
    ... max_batch_size { value: 32 }
    ... batch_timeout_micros { value: 1000 }
    ... max_enqueued_batches { value: 100 }
    ... num_batch_threads { value: 2 }
    ... ''')
    >>> read_batching_parameters(path)["max_batch_size"]
    32
    """
    parameters = {}
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if not line.strip():
            continue
        match = _FIELD.fullmatch(line)
        if match is None or match[1] in parameters:
            raise ValueError(
                f"{path}, line {number}: expected one of the parameters this server "
                "knows, once, as in 'max_batch_size { value: 32 }'. Received: "
                f"{line.strip()!r}"
            )
        if match[1]:
            parameters[match[1]] = int(match[2])
    expected = {
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    }
    if parameters.keys() != expected:
        raise ValueError(
            f"{path}: expected all of {sorted(expected)}. Received: "
            f"{sorted(parameters)}"
        )
    return parameters


def batched(function, specs, parameters):
    """Makes concurrent calls of a signature run as one, along the first axis.

    TensorFlow's batch scheduler does it, which is TensorFlow Serving's too. As there,
    the inputs of calls that meet must agree in all other axes. A call that is larger
    than a batch runs alone.

    Args:
        function: maps named tensors to a dict of tensors.
        specs: dict of `tf.TensorSpec` of the inputs, with a first axis, by name.
        parameters: what `read_batching_parameters` returns.

    Returns:
        A function of the same inputs and outputs.
    """
    names = sorted(specs)
    outputs = []

    @tf.function(input_signature=[specs[name] for name in names], autograph=False)
    def run(*tensors):
        @tf.nondifferentiable_batch_function(**parameters)
        def together(*tensors):
            results = function(**dict(zip(names, tensors, strict=True)))
            outputs[:] = sorted(results)
            return [results[name] for name in outputs]

        return together(*tensors)

    run.get_concrete_function()  # Which also finds the names of the outputs.

    def call(**tensors):
        # The scheduler takes no call that is larger than a batch.
        if tensors[names[0]].shape[0] > parameters["max_batch_size"]:
            return function(**tensors)
        results = run(*(tensors[name] for name in names))
        return dict(zip(outputs, results, strict=True))

    return call
