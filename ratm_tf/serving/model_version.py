"""One version of a served model: a SavedModel in memory."""

import pathlib
import re

import numpy as np
import tensorflow as tf
from google.protobuf import struct_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from .batching import batched

_PYTHON = re.compile(
    r"^Graph execution error:.*?<stack traces unavailable>\s*| \[Op:\w*\]", re.DOTALL
)


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
            if batching and all(spec.shape.rank != 0 for spec in specs.values()):
                function = batched(function, specs, batching)
            self._specs[name], self._functions[name] = specs, function
        self._warm_up(folder / "assets.extra" / "tf_serving_warmup_requests")

    def run(self, signature, inputs):
        """Runs a signature.

        Args:
            signature: its name.
            inputs: dict of arrays by name; strings are arrays of bytes objects.

        Returns:
            Dict of arrays by name.

        Raises:
            tf.errors.FailedPreconditionError: there is no such signature.
            tf.errors.InvalidArgumentError: inputs are missing, are not expected, or
                have another type or shape.
            tf.errors.OpError: what TensorFlow raises as it runs.
        """
        specs = self.specs(signature)
        if inputs.keys() != specs.keys():
            missing = ", ".join(sorted(specs.keys() - inputs.keys())) or "none"
            extra = ", ".join(sorted(inputs.keys() - specs.keys())) or "none"
            raise invalid_argument(
                f'Inputs do not match signature "{signature}". Missing: {missing}. '
                f"Not expected: {extra}."
            )
        tensors = {}
        for name, array in inputs.items():
            spec, dtype = specs[name], tf.as_dtype(array.dtype)
            if dtype != spec.dtype or not spec.shape.is_compatible_with(array.shape):
                raise invalid_argument(
                    f'Input "{name}" of signature "{signature}" is {dtype.name} of '
                    f"shape {list(array.shape)}; expected {spec.dtype.name} of shape "
                    f"{spec.shape}."
                )
            tensors[name] = tf.constant(array, spec.dtype)
        try:
            outputs = self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            raise _plain(error) from error
        return {name: output.numpy() for name, output in outputs.items()}

    def specs(self, signature):
        """Dict of `tf.TensorSpec` of a signature's inputs; raises as `run` does."""
        if signature not in self._specs:
            raise tf.errors.FailedPreconditionError(
                None,
                None,
                f'Serving signature key "{signature}" not found. There are: '
                f"{', '.join(sorted(self._specs))}.",
            )
        return self._specs[signature]

    def _warm_up(self, path):
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = PredictionLog.FromString(record).predict_log.request
            self.run(request.model_spec.signature_name, arrays(request.inputs))


def arrays(protos, max_bytes=None):
    """Turns `TensorProto` messages into arrays.

    Args:
        protos: mapping of messages.
        max_bytes: of a tensor; a short message can stand for a large one.

    Returns:
        Dict of NumPy arrays, of bytes objects for strings.

    Raises:
        tf.errors.ResourceExhaustedError: a tensor is larger than `max_bytes`.
        tf.errors.InvalidArgumentError: a message does not hold a tensor.

    Example:
    >>> from ratm_tf.serving.model_version import arrays
    >>> arrays({"x": tf.make_tensor_proto([1.0, 2.0])})
    {'x': array([1., 2.], dtype=float32)}
    """
    converted = {}
    for name, proto in protos.items():
        try:
            dtype = tf.as_dtype(proto.dtype)
            size = dtype.size * np.prod(
                [float(axis.size) for axis in proto.tensor_shape.dim]
            )
            if max_bytes is not None and size > max_bytes:
                raise tf.errors.ResourceExhaustedError(
                    None,
                    None,
                    f'Input "{name}" takes {size:.0f} bytes, the limit is {max_bytes}.',
                )
            converted[name] = np.asarray(tf.make_ndarray(proto))
        except (TypeError, ValueError) as error:
            raise invalid_argument(
                f'Input "{name}" does not hold a tensor: {error}'
            ) from error
    return converted


def invalid_argument(message):
    """An `InvalidArgumentError` of TensorFlow's, which both protocols have codes for.

    Example:
    >>> from ratm_tf.serving.model_version import invalid_argument
    >>> invalid_argument("Expected less.").message
    'Expected less.'
    """
    return tf.errors.InvalidArgumentError(None, None, message)


def _plain(error):
    """The error without what Python adds to a server's message."""
    message = _PYTHON.sub("", error.message)
    return type(error)(None, None, message)


def _serving_graph(folder):
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return graph
    raise ValueError(f"{path} holds no graph with the tag {tf.saved_model.SERVING!r}.")


def _hint(graph):
    """What the exporter wrote of how to load the model."""
    notes = struct_pb2.Struct()
    graph.meta_info_def.any_info.Unpack(notes)
    return "".join(f" {note}" for name, note in notes.items() if name.endswith("hint"))
