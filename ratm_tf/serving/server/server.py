"""The embedded server: TensorFlow Serving's two protocols in a Python process."""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import socket
import threading

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from .grpc_services import ModelService, PredictionService
from .request_memory import RequestMemory
from .rest_app import rest_app
from .served_model import ServedModel

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
        grpc_port: TCP port of gRPC; 0 chooses a free one.
        rest_port: likewise, of REST.
        workers: how many requests run at a time; others wait. Default: as many as there
            are processors, or enough for two batches if the model has them.
        max_bytes: of a request, of each of its tensors, and of the answer's tensors. Of
            requests that run or wait there are together `MOST_AT_A_TIME` times as many
            in memory; more are asked to try again.
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
    (1, 200)
    """

    grpc_address: str
    rest_address: str

    def __init__(
        self,
        model: ServedModel,
        host: str = "127.0.0.1",
        grpc_port: int = 8500,
        rest_port: int = 8501,
        workers: int | None = None,
        max_bytes: int = 64 * 2**20,
        poll_seconds: float = 1.0,
        grace_seconds: float = 10.0,
    ) -> None:
        for name, port in (("grpc_port", grpc_port), ("rest_port", rest_port)):
            if not 0 <= port <= 65535:
                raise ValueError(
                    f"Expected `{name}` to be in 0..65535. Received: {port}"
                )
        self._model = model
        self._host = host
        self._ports = grpc_port, rest_port
        self._workers = workers or max(os.cpu_count() or 1, 2 * model.max_batch_size)
        self._max_bytes = max_bytes
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self.grpc_address = self.rest_address = None  # type: ignore[assignment]

    def __enter__(self) -> "Server":
        started = concurrent.futures.Future()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started))
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes no more requests, and waits for those under way."""
        with contextlib.suppress(RuntimeError):  # It is closed already.
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def _serve(self, started):
        self._loop = asyncio.get_running_loop()
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._start(stack)
                started.set_result(None)
                await self._closing.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _start(self, stack):
        """Starts everything; the stack undoes it, the last first."""
        grpc_port, rest_port = self._ports
        pool = concurrent.futures.ThreadPoolExecutor(self._workers)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        memory = RequestMemory(self._max_bytes)

        listener = stack.enter_context(_listen(self._host, rest_port))
        self.rest_address = _address(self._host, listener.getsockname()[1])
        grpc_server = self._grpc_server(pool, memory)
        rest_server = self._rest_server(pool, memory)
        await self._refresh()
        # What is bound and not started stays bound.
        address = _address(self._host, grpc_port)
        try:
            port = grpc_server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"Could not listen on {address}.") from error
        await grpc_server.start()
        self.grpc_address = _address(self._host, port)
        rest = asyncio.ensure_future(rest_server.serve([listener]))
        following = asyncio.ensure_future(self._follow_versions())

        async def stop():
            following.cancel()
            await self._health.enter_graceful_shutdown()
            rest_server.should_exit = True
            await asyncio.gather(rest, grpc_server.stop(self._grace_seconds))

        stack.push_async_callback(stop)

    def _rest_server(self, pool, memory):
        return uvicorn.Server(
            uvicorn.Config(
                rest_app(self._model, pool, memory),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_keep_alive=60,
                timeout_graceful_shutdown=self._grace_seconds,
            )
        )

    def _grpc_server(self, pool, memory):
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._max_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._model, pool, memory), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self._model), server
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    async def _follow_versions(self):
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self._refresh()

    async def _refresh(self):
        try:
            await asyncio.to_thread(self._model.refresh)
        # Whatever is wrong with the folder now, it may be better later.
        except Exception:
            _LOGGER.exception("Looking for new versions")
        status = health_pb2.HealthCheckResponse
        await self._health.set(
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
