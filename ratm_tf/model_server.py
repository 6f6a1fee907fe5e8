"""The files that TensorFlow Serving reads beside a SavedModel.

They are made of TensorFlow Serving's own messages, which the extra `serving` installs:
`pip install "ratm-tf[serving]"`.
"""

import pathlib

import tensorflow as tf
from google.protobuf import text_format


def write_warmup_requests(folder, requests):
    """Writes requests that a server replays before it takes a SavedModel into use.

    Args:
        folder: the SavedModel's.
        requests: dict of the inputs of signatures, themselves dicts of tensors by name,
            by the signatures' names.

    Raises:
        ImportError: `tensorflow-serving-api` is not installed.

    Example:
    >>> import tempfile
    >>> write_warmup_requests(tempfile.mkdtemp(), {"square": {"x": tf.ones([1, 2])}})
    """
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = pathlib.Path(folder) / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            log = PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def write_configuration(directory):
    """Writes `models.config` and `batching.config` into a model's folder.

    The model is served under the folder's name and expected at `/models/NAME`, where
    the images of TensorFlow Serving keep models. The server takes the files with
    `--model_config_file` and, if it is to run requests of several clients as one,
    `--enable_batching --batching_parameters_file`.

    Args:
        directory: the model's folder, which holds its versions.

    Raises:
        ImportError: `tensorflow-serving-api` is not installed.

    Example:
    >>> import tempfile
    >>> directory = pathlib.Path(tempfile.mkdtemp()) / "digits"
    >>> directory.mkdir()
    >>> write_configuration(directory)
    >>> print((directory / "models.config").read_text())
    model_config_list {
      config {
        name: "digits"
        base_path: "/models/digits"
        model_platform: "tensorflow"
      }
    }
    """
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    directory = pathlib.Path(directory).resolve()
    config = ModelServerConfig()
    config.model_config_list.config.add(
        name=directory.name,
        base_path=f"/models/{directory.name}",
        model_platform="tensorflow",
    )
    (directory / "models.config").write_text(text_format.MessageToString(config))
    (directory / "batching.config").write_text(BATCHING)


BATCHING = """\
max_batch_size { value: 32 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 2 }
"""
