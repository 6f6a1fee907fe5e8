"""TensorFlow Serving's REST API."""

import asyncio
import html
import json
import logging
import math
import pathlib
import re
import threading
import urllib.parse

import tensorflow as tf
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec

from ..protocol.json_predictions import inputs_from_json, outputs_to_json
from .errors import invalid_argument
from .request_bodies import decompressed, read_body

_LOGGER = logging.getLogger(__name__)
_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?"
    r"(/metadata|:predict|:classify|:regress)?"
)
_PAGE = pathlib.Path(__file__).with_name("page")
MOST_VALUES = 2**20
"""Values in the JSON of a request, and of an answer: to read and write them keeps
Python from all else."""

_MOST_DETAILS = 1000
"""Characters of an error, which may quote the request."""

_CODES = {
    tf.errors.CANCELLED: 499,
    tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.DEADLINE_EXCEEDED: 504,
    tf.errors.NOT_FOUND: 404,
    tf.errors.ALREADY_EXISTS: 409,
    tf.errors.PERMISSION_DENIED: 403,
    tf.errors.RESOURCE_EXHAUSTED: 429,
    tf.errors.FAILED_PRECONDITION: 400,
    tf.errors.ABORTED: 409,
    tf.errors.OUT_OF_RANGE: 400,
    tf.errors.UNIMPLEMENTED: 501,
    tf.errors.UNAVAILABLE: 503,
    tf.errors.UNAUTHENTICATED: 401,
}


def rest_app(model, pool, memory):
    """Makes the ASGI application that answers for a model.

    | | |
    |---|---|
    | `GET /v1/models/NAME[/versions/N]` | the state of its versions |
    | `GET /v1/models/NAME[/versions/N]/metadata` | its signatures |
    | `POST /v1/models/NAME[/versions/N]:predict` | runs a signature |
    | `GET /health` | 200 if a version is in use, otherwise 503 |
    | `GET /` | a page that tracks a clip, a video or a camera through these calls |

    Errors are `{"error": message}` with TensorFlow Serving's status codes.

    Args:
        model: a `ServedModel`.
        pool: the executor that runs requests. One whose client leaves before its turn
            is not begun.
        memory: a `RequestMemory`; its `max_bytes` also bounds all outputs of a request.

    Returns:
        A `starlette.applications.Starlette`.
    """
    answers = _Answers(model, memory.max_bytes)

    async def answer(request):
        try:
            with memory.hold() as take:
                body = await read_body(request, take, memory.max_bytes)
                encoding = request.headers.get("content-encoding")
                arguments = request.method, _path(request), body, encoding
                if request.method != "POST":  # It takes no time.
                    return answers.answer(*arguments)
                loop = asyncio.get_running_loop()
                job = loop.run_in_executor(pool, answers.answer, *arguments)
                return await _while_there(request, job)
        except asyncio.CancelledError:  # By uvicorn, when its time to stop is over.
            raise HTTPException(503, "The server stops.") from None

    async def health(request):
        if model.available:
            return _json({"status": "available"})
        return _error("No version of the model is in use.", 503)

    async def page(request):
        text = (_PAGE / "index.html").read_text()
        return HTMLResponse(text.replace("{model}", html.escape(model.name)))

    async def failed(request, error):
        if error.status_code == 405:  # As TensorFlow Serving answers.
            return _error(f"Malformed request: {request.method} {_path(request)}", 400)
        return _error(error.detail, error.status_code)

    async def refused(request, error):
        return _error(error.message, _CODES[error.error_code])

    async def left(request, error):
        return Response(status_code=_CODES[tf.errors.CANCELLED])

    return Starlette(
        routes=[
            Route("/", page),
            Mount("/page", StaticFiles(directory=_PAGE)),
            Route("/health", health),
            Route("/v1/{path:path}", answer, methods=["GET", "POST"]),
        ],
        exception_handlers={
            HTTPException: failed,
            tf.errors.UnavailableError: refused,
            ClientDisconnect: left,
        },
    )


async def _while_there(request, job):
    """What a job returns; it is cancelled if the client leaves before."""
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({job, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if job.done():
            return job.result()
        raise ClientDisconnect
    finally:
        job.cancel()
        leaving.cancel()


def _path(request):
    """The path as it came, of which TensorFlow Serving takes the query as a part."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.url.query
    return f"{path}?{query}" if query else path


class _Answers:
    """What a model answers to requests.

    Args:
        model: a `ServedModel`.
        max_bytes: of the outputs of a request.
    """

    def __init__(self, model, max_bytes):
        self._model = model
        self._max_bytes = max_bytes
        # One at a time: threads that read or write JSON do not let others run.
        self._json = threading.Lock()

    def answer(self, method, path, body, encoding):
        """Returns the response to a request, whose body came in an encoding."""
        try:
            return self._result(method, path, body, encoding)
        except tf.errors.OpError as error:
            return _error(error.message, _CODES.get(error.error_code, 500))
        except HTTPException as error:
            return _error(error.detail, error.status_code)
        except Exception:
            _LOGGER.exception("%s %.100s", method, path)
            return _error("Internal error.", 500)

    def _result(self, method, path, body, encoding):
        match = _PATH.fullmatch(path)
        verb = match and match[4] or ""
        if match is None or method != ("POST" if verb.startswith(":") else "GET"):
            raise invalid_argument(f"Malformed request: {method} {path}")
        name, label = (urllib.parse.unquote(match[i] or "") for i in (1, 3))
        spec = ModelSpec(name=name, version_label=label)
        if match[2]:
            spec.version.value = int(match[2])
        if verb == ":predict":
            version = self._model.version(spec)
            return self._predict(version, decompressed(body, encoding, self._max_bytes))
        if verb == "/metadata":
            return _json(_metadata(self._model.metadata(spec)))
        if not verb:
            status = self._model.status(spec)
            return _json(
                json_format.MessageToDict(
                    status, always_print_fields_with_no_presence=True
                )
            )
        raise invalid_argument(f"Expected the method to be predict. Received: {verb}")

    def _predict(self, version, body):
        if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
            raise HTTPException(
                413, f"The request holds more than the limit of {MOST_VALUES} values."
            )
        with self._json:
            signature, inputs, form = _request(version, body)
        outputs = version.run(signature, inputs, self._max_bytes)
        if sum(output.size for output in outputs.values()) > MOST_VALUES:
            raise invalid_argument(
                f"Expected a request whose answer holds at most {MOST_VALUES} values."
            )
        with self._json:
            try:
                return _json(outputs_to_json(outputs, form))
            except ValueError as error:
                raise invalid_argument(str(error)) from None


def _request(version, body):
    try:
        request = json.loads(body.decode(), parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    if not isinstance(request, dict):
        raise invalid_argument("Expected the JSON to be an object.")
    signature = request.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid_argument("Expected 'signature_name' to be a string.")
    signature = signature or "serving_default"
    specs = version.specs(signature)
    dtypes = {name: spec.dtype.as_numpy_dtype for name, spec in specs.items()}
    try:
        return signature, *inputs_from_json(request, dtypes)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(str(error)) from None


def _finite(text):
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.20} is too large for a number.")
    return number


def _metadata(response):
    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    options = {
        "preserving_proto_field_name": True,
        "always_print_fields_with_no_presence": True,
    }
    return {
        "model_spec": json_format.MessageToDict(response.model_spec, **options),
        "metadata": {
            "signature_def": json_format.MessageToDict(signatures, **options),
        },
    }


def _error(message, status_code):
    return _json({"error": message[:_MOST_DETAILS]}, status_code)


def _json(content, status_code=200):
    # Unlike Starlette's own, with NaN and Infinity, as TensorFlow Serving has them.
    return Response(json.dumps(content), status_code, media_type="application/json")
