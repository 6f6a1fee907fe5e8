"""Serving SavedModels over TensorFlow Serving's two protocols, and calling them.

The server runs any SavedModel whose signatures have named inputs and outputs, through
TensorFlow's own loader: it builds no Keras model and uses nothing else of this package.
The clients talk to it and to a TensorFlow Serving alike. They need the extra `serving`:
`pip install "ratm-tf[serving]"`.

| | |
|---|---|
| `ServedModel` | a model's folder of versions, of which the newest is in use |
| `Server` | answers for it on a gRPC port and a REST port |
| `GrpcClient`, `RestClient` | call a model's signatures with arrays |
| `RemoteTracker` | tracks through a client: whole videos, or frame by frame |
"""

from .batching import read_batching_parameters
from .grpc_client import GrpcClient
from .remote_tracker import RemoteTracker
from .rest_client import RestClient
from .served_model import ServedModel
from .server import Server
from .serving_error import ServingError

__all__ = [
    "GrpcClient",
    "RemoteTracker",
    "RestClient",
    "ServedModel",
    "Server",
    "ServingError",
    "read_batching_parameters",
]
