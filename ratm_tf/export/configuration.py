"""The files that configure a TensorFlow Serving for an export.

They are made of TensorFlow Serving's own messages, which the extra `serving` installs:
`pip install "ratm-tf[serving]"`.
"""

import pathlib

from google.protobuf import text_format

BATCHING_PARAMETERS = {
    "max_batch_size": 32,
    "batch_timeout_micros": 1000,
    "max_enqueued_batches": 100,
    "num_batch_threads": 2,
}


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

    from ratm_tf.serving.server.batching_parameters import write_batching_parameters

    directory = pathlib.Path(directory).resolve()
    config = ModelServerConfig()
    config.model_config_list.config.add(
        name=directory.name,
        base_path=f"/models/{directory.name}",
        model_platform="tensorflow",
    )
    (directory / "models.config").write_text(text_format.MessageToString(config))
    write_batching_parameters(directory / "batching.config", BATCHING_PARAMETERS)
