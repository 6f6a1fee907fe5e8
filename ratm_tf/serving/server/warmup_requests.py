"""The requests beside a SavedModel that a server runs before it takes it into use."""

import pathlib

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from ..protocol.tensor_messages import message_from_tensor


def write_warmup_requests(folder, requests):
    """Writes the requests where TensorFlow Serving looks for them.

    Args:
        folder: the SavedModel's.
        requests: dict of the inputs of signatures, themselves dicts of tensors by name,
            by the signatures' names.

    Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_warmup_requests(folder, {"square": {"x": tf.ones([1, 2])}})
    >>> [request] = read_warmup_requests(folder)
    >>> request.model_spec.signature_name
    'square'
    """
    path = _path(folder)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            log = PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(message_from_tensor(value))
            writer.write(log.SerializeToString())


def read_warmup_requests(folder):
    """Reads the requests.

    Args:
        folder: the SavedModel's.

    Yields:
        `PredictRequest` messages; none if there is no file.

    Raises:
        tf.errors.DataLossError, google.protobuf.message.DecodeError: the file holds
            something else.
    """
    path = _path(folder)
    if path.exists():
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield PredictionLog.FromString(record).predict_log.request


def _path(folder):
    return pathlib.Path(folder) / "assets.extra" / "tf_serving_warmup_requests"
