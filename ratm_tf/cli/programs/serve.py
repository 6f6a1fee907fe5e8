r"""Serves an exported tracker over TensorFlow Serving's gRPC and REST protocols.

For those who have no TensorFlow Serving, with the same model folders and clients.

ratm-tf serve --model=serving/digits

Takes new versions into use as their folders appear, and stops when interrupted, after
the requests under way.
"""

import gc
import signal
import threading

from absl import flags, logging

from ratm_tf import serving

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "The model's folder, which holds its versions; its name is the served one.",
    required=True,
)
_HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "Address to listen on; 0.0.0.0 for all of the machine's."
)
_PORT = {"help": "TCP port; 0 chooses a free one.", "lower_bound": 0}
_GRPC_PORT = flags.DEFINE_integer("grpc_port", 8500, **_PORT, upper_bound=65535)
_REST_PORT = flags.DEFINE_integer("rest_port", 8501, **_PORT, upper_bound=65535)
_BATCHING = flags.DEFINE_string(
    "batching_parameters_file",
    None,
    "How to run the requests of several clients as one, in TensorFlow Serving's "
    "format (default: each runs alone).",
)
_MAX_REQUEST = flags.DEFINE_integer(
    "max_request_mebibytes",
    64,
    "Larger requests, tensors and answers are refused.",
    lower_bound=1,
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    None,
    "How many requests run at a time (default: as many as there are processors, or "
    "enough for two batches).",
    lower_bound=1,
)


def main(_):
    """Serves until it is interrupted."""
    from ratm_tf.attention import library

    logging.set_verbosity(logging.INFO)
    library.unavailable_reason()  # Exports with the fused op need it loaded.
    batching = None
    if _BATCHING.value is not None:
        batching = serving.read_batching_parameters(_BATCHING.value)
    model = serving.ServedModel(_MODEL.value, batching=batching)
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    # The many short lists of a request in JSON start the search for garbage often; it
    # need not go through what TensorFlow keeps. What a version keeps ends with it.
    gc.freeze()
    with serving.Server(
        model,
        _HOST.value,
        _GRPC_PORT.value,
        _REST_PORT.value,
        workers=_WORKERS.value,
        max_bytes=_MAX_REQUEST.value * 2**20,
    ) as server:
        print(
            f"Serving {model.name}: gRPC at {server.grpc_address}, "
            f"REST at http://{server.rest_address}/v1/models/{model.name}",
            flush=True,
        )
        interrupted.wait()
        print("Stopping", flush=True)
