"""Serving SavedModels over TensorFlow Serving's two protocols, and calling them.

The server runs any SavedModel whose signatures have named inputs and outputs, through
TensorFlow's own loader: it builds no Keras model and uses nothing else of this package.
The clients talk to it and to a TensorFlow Serving alike. All this needs the extra
`serving`, `pip install "ratm-tf[serving]"`; but `RestClient` and `RemoteTracker` need
`requests` and NumPy alone, and no TensorFlow.

| | |
|---|---|
| `ServedModel` | a model's folder of versions, of which the newest is in use |
| `Server` | answers for it on a gRPC port and a REST port |
| `GrpcClient`, `RestClient` | call a model's signatures with arrays |
| `RemoteTracker` | tracks through a client: whole videos, or frame by frame |

Clients (`client/`) and server (`server/`) share the protocol (`protocol/`) and know
nothing of each other. Each is loaded when it is used.
"""

import importlib
import typing

_HOMES = {
    "GrpcClient": "client.grpc_client",
    "RemoteTracker": "client.remote_tracker",
    "RestClient": "client.rest_client",
    "ServedModel": "server.served_model",
    "Server": "server.server",
    "ServingError": "client.serving_error",
    "read_batching_parameters": "server.batching_parameters",
}

__all__ = [
    "GrpcClient",
    "RemoteTracker",
    "RestClient",
    "ServedModel",
    "Server",
    "ServingError",
    "read_batching_parameters",
]

if typing.TYPE_CHECKING:  # What tools see; `__getattr__` loads it later.
    from ratm_tf.serving.client.grpc_client import GrpcClient
    from ratm_tf.serving.client.remote_tracker import RemoteTracker
    from ratm_tf.serving.client.rest_client import RestClient
    from ratm_tf.serving.client.serving_error import ServingError
    from ratm_tf.serving.server.batching_parameters import read_batching_parameters
    from ratm_tf.serving.server.served_model import ServedModel
    from ratm_tf.serving.server.server import Server


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f".{_HOMES[name]}", __name__)
    except ImportError as error:
        raise ImportError(
            f"{error}. The extra `serving` has what `{__name__}` needs: "
            'pip install "ratm-tf[serving]"'
        ) from error
    return getattr(module, name)


def __dir__():
    return sorted({*globals(), *_HOMES})
