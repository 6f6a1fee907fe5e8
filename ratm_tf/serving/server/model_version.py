"""One version of a served model: a SavedModel in memory."""

import pathlib
import re

import tensorflow as tf
from google.protobuf import struct_pb2
from tensorflow.core.protobuf import saved_model_pb2

from ..protocol.tensor_messages import tensors_from_messages
from .batching import batched
from .errors import invalid_argument
from .warmup_requests import read_warmup_requests

_PYTHON = re.compile(
    r"^Graph execution error:\s+(?:Detected at node .*\n(?:(?:<stack .*|[ \t].*|)\n)*)*"
    r"|\{\{function_node .*?\}\} | \[Op:\w*\]|\n\t \[\[.*\]\]"
)
"""What TensorFlow's Python adds to a message: stacks of calls, and names of nodes."""


class ModelVersion:
    """A SavedModel, checked and warm.

    Args:
        folder: the SavedModel's; its name is the version's number. Requests in its
            `assets.extra/tf_serving_warmup_requests` are run at once.
        batching: how to run concurrent calls as one, see `read_batching_parameters`.

    Attributes:
        number: the version, an integer.
        signature_defs: dict of `SignatureDef` messages by name.

    Raises:
        RuntimeError: the SavedModel has ops that this process lacks.
        tf.errors.OpError, OSError, ValueError: the folder holds no SavedModel, or one
            that cannot run here.
    """

    def __init__(self, folder, batching=None):
        folder = pathlib.Path(folder)
        self.number = int(folder.name)
        graph = _serving_graph(folder)
        self.signature_defs = dict(graph.signature_def)
        try:
            self._model = tf.saved_model.load(folder)
        except Exception as error:  # TensorFlow raises several for a missing op.
            if "not registered" not in str(error):
                raise
            raise RuntimeError(f"{error}{_hint(graph)}") from error
        self._specs, self._functions = {}, {}
        for name, function in self._model.signatures.items():
            specs = function.structured_input_signature[1]
            if batching and specs and all(s.shape.rank != 0 for s in specs.values()):
                function = batched(function, specs, batching)
            self._specs[name], self._functions[name] = specs, function
        for request in read_warmup_requests(folder):
            self.run(
                request.model_spec.signature_name, tensors_from_messages(request.inputs)
            )

    def run(self, signature, inputs, max_bytes=None):
        """Runs a signature.

        Args:
            signature: its name.
            inputs: dict of arrays or tensors by name; strings are arrays of bytes
                objects.
            max_bytes: of the outputs together, beyond which they are not taken out of
                TensorFlow.

        Returns:
            Dict of arrays by name.

        Raises:
            tf.errors.FailedPreconditionError: there is no such signature.
            tf.errors.InvalidArgumentError: inputs are missing, are not expected, or
                have another type or shape, or the outputs are larger than `max_bytes`.
            tf.errors.OpError: what TensorFlow raises as it runs.
        """
        specs = self.specs(signature)
        if inputs.keys() != specs.keys():
            missing = ", ".join(sorted(specs.keys() - inputs.keys())) or "none"
            extra = ", ".join(sorted(inputs.keys() - specs.keys())) or "none"
            raise invalid_argument(
                f'Expected the inputs of signature "{signature}". Missing: {missing}. '
                f"Not expected: {extra}."
            )
        tensors = {}
        for name, value in inputs.items():
            spec, dtype = specs[name], tf.as_dtype(value.dtype)
            if dtype != spec.dtype or not spec.shape.is_compatible_with(value.shape):
                raise invalid_argument(
                    f'Expected input "{name}" of signature "{signature}" to be '
                    f"{spec.dtype.name} of shape {spec.shape}. Received: {dtype.name} "
                    f"of shape {list(value.shape)}"
                )
            tensors[name] = tf.convert_to_tensor(value, spec.dtype)
        try:
            outputs = self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            raise type(error)(None, None, _PYTHON.sub("", error.message)) from error
        size = sum(
            output.shape.num_elements() * output.dtype.size
            for output in outputs.values()
        )
        if max_bytes is not None and size > max_bytes:
            raise invalid_argument(
                f"Expected a request whose answer takes at most {max_bytes} bytes. "
                f"Received one of {size}."
            )
        return {name: output.numpy() for name, output in outputs.items()}

    def specs(self, signature):
        """Dict of `tf.TensorSpec` of a signature's inputs; raises as `run` does."""
        if signature not in self._specs:
            raise tf.errors.FailedPreconditionError(
                None,
                None,
                f'Expected signature "{signature}" to be one of: '
                f"{', '.join(sorted(self._specs))}.",
            )
        return self._specs[signature]


def _serving_graph(folder):
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return graph
    raise ValueError(
        f"Expected {path} to hold a graph with the tag {tf.saved_model.SERVING!r}."
    )


def _hint(graph):
    """What the exporter wrote of how to load the model."""
    notes = struct_pb2.Struct()
    graph.meta_info_def.any_info.Unpack(notes)
    return "".join(f" {note}" for name, note in notes.items() if name.endswith("hint"))
