"""The embedded server: TensorFlow Serving's two protocols in a Python process."""

import concurrent.futures
import contextlib
import logging
import socket
import threading

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from .grpc_services import ModelService, PredictionService
from .rest_app import rest_app

_LOGGER = logging.getLogger(__name__)


class Server:
    """Serves a model over gRPC and REST until it is closed.

    A context manager: it answers inside the `with` statement, where new versions are
    taken into use as their folders appear. On leaving, it takes no more requests and
    waits for those under way.

    Args:
        model: a `ServedModel`.
        host: address to listen on, of IP's version 4 or 6; `"0.0.0.0"` or `"::"` for
            all of the machine's.
        grpc_port, rest_port: TCP ports; 0 chooses free ones.
        workers: how many requests are received and answered at a time on each port;
            others wait. Default: 16, or enough for two batches if the model has them.
        max_bytes: of a request, of each of its tensors, and of the answer's tensors.
        poll_seconds: how often to look for new versions.
        grace_seconds: how long requests under way may take when the server closes.

    Attributes:
        grpc_address, rest_address: `host:port` while it serves.

    Raises:
        ValueError: a port is not in 0..65535.
        OSError: when it starts: a port is taken, or the host is not this machine's.

    Example:
    >>> import tempfile
    >>> from ratm_tf import serving
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> folder = tempfile.mkdtemp()
    >>> _ = ratm_tf.export_saved_model(tracker, folder)
    >>> model = serving.ServedModel(folder, name="digits")
    >>> with serving.Server(model, grpc_port=0, rest_port=0) as server:
    ...     client = serving.RestClient(server.rest_address, "digits")
    ...     client.predict("start", {"frame_size": [[100, 100]]})["state_0"].shape
    (1, 100)
    """

    def __init__(
        self,
        model,
        host="127.0.0.1",
        grpc_port=8500,
        rest_port=8501,
        workers=None,
        max_bytes=64 * 2**20,
        poll_seconds=1.0,
        grace_seconds=10.0,
    ):
        for name, port in (("grpc_port", grpc_port), ("rest_port", rest_port)):
            if not 0 <= port <= 65535:
                raise ValueError(
                    f"Expected `{name}` to be in 0..65535. Received: {port}"
                )
        self._model = model
        self._host = host
        self._ports = grpc_port, rest_port
        self._workers = workers or max(16, 2 * model.max_batch_size)
        self._max_bytes = max_bytes
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._closing = threading.Event()
        self.grpc_address = self.rest_address = None

    def __enter__(self):
        grpc_port, rest_port = self._ports
        self._rest = self._rest_server()
        self._health = health.HealthServicer()
        self._grpc = self._grpc_server()
        with contextlib.ExitStack() as unless_it_starts:
            unless_it_starts.callback(self._grpc.stop, None)
            listener = _listen(self._host, rest_port)
            unless_it_starts.callback(listener.close)
            self.rest_address = _address(self._host, listener.getsockname()[1])
            address = _address(self._host, grpc_port)
            try:
                port = self._grpc.add_insecure_port(address)
            except RuntimeError as error:
                raise OSError(f"Could not listen on {address}.") from error
            self.grpc_address = _address(self._host, port)
            self._refresh()
            self._grpc.start()
            unless_it_starts.pop_all()
        self._threads = [
            threading.Thread(target=self._rest.run, args=([listener],)),
            threading.Thread(target=self._follow_versions),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._health.enter_graceful_shutdown()
        self._closing.set()
        self._rest.should_exit = True
        stopped = self._grpc.stop(self._grace_seconds)
        for thread in self._threads:
            thread.join()
        stopped.wait()

    def _rest_server(self):
        return uvicorn.Server(
            uvicorn.Config(
                rest_app(self._model, self._workers, self._max_bytes),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_keep_alive=60,
                timeout_graceful_shutdown=self._grace_seconds,
            )
        )

    def _grpc_server(self):
        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(self._workers),
            options=[
                ("grpc.max_receive_message_length", self._max_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._model, self._max_bytes), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self._model), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    def _follow_versions(self):
        while not self._closing.wait(self._poll_seconds):
            self._refresh()

    def _refresh(self):
        try:
            self._model.refresh()
        # Whatever is wrong with the folder now, it may be better later.
        except Exception:
            _LOGGER.exception("Looking for new versions")
        status = health_pb2.HealthCheckResponse
        self._health.set(
            "", status.SERVING if self._model.available else status.NOT_SERVING
        )


def _address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(
            error.errno, f"Could not listen on {_address(host, port)}: {error.strerror}"
        ) from error
    # Answers of two packets must not wait for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
