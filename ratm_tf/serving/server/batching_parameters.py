"""The file that says how requests of several clients run as one batch."""

import os
import pathlib
import re

NAMES = (
    "max_batch_size",
    "batch_timeout_micros",
    "max_enqueued_batches",
    "num_batch_threads",
)
_FIELD = re.compile(
    rf"\s*({'|'.join(NAMES)})\s*:?\s*{{\s*value\s*:\s*(\d+)\s*}}\s*|\s*#.*"
)


def read_batching_parameters(path: str | os.PathLike[str]) -> dict[str, int]:
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
    if parameters.keys() != set(NAMES):
        raise ValueError(
            f"{path}: expected all of {sorted(NAMES)}. Received: {sorted(parameters)}"
        )
    return parameters


def write_batching_parameters(path, parameters):
    """Writes what `read_batching_parameters` reads.

    Args:
        path: text file.
        parameters: dict of integers by the four names.

    Example:
    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "batching.config"
    >>> write_batching_parameters(path, dict.fromkeys(NAMES, 2))
    >>> print(path.read_text().splitlines()[0])
    max_batch_size { value: 2 }
    """
    lines = (f"{name} {{ value: {parameters[name]} }}\n" for name in NAMES)
    pathlib.Path(path).write_text("".join(lines))
