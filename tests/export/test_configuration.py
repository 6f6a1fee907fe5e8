"""The files that configure a TensorFlow Serving."""

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from ratm_tf import serving
from ratm_tf.export.configuration import BATCHING_PARAMETERS, write_configuration


def test_models_config(tmp_path):
    directory = tmp_path / 'one "model"'
    directory.mkdir()
    write_configuration(directory)
    text = (directory / "models.config").read_text()
    (model,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert model.name == 'one "model"'
    assert model.base_path == '/models/one "model"'
    assert model.model_platform == "tensorflow"


def test_batching_config_is_what_our_server_reads(tmp_path):
    write_configuration(tmp_path)
    parameters = serving.read_batching_parameters(tmp_path / "batching.config")
    assert parameters == BATCHING_PARAMETERS
    assert all(value >= 1 for value in parameters.values())
