"""TensorFlow Serving's REST API."""

import json
import logging
import re

import anyio
import tensorflow as tf
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec

from .json_tensors import inputs_from_json, outputs_to_json
from .model_version import invalid_argument

_LOGGER = logging.getLogger(__name__)
_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?"
    r"(/metadata|:predict|:classify|:regress)?"
)
_HTTP_CODES = {
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


def rest_app(model, workers, max_bytes):
    """Makes the ASGI application that answers for a model.

    | | |
    |---|---|
    | `GET /v1/models/NAME[/versions/N]` | the state of its versions |
    | `GET /v1/models/NAME[/versions/N]/metadata` | its signatures |
    | `POST /v1/models/NAME[/versions/N]:predict` | runs a signature |
    | `GET /health` | 200 if a version is in use, otherwise 503 |

    Errors are `{"error": message}` with TensorFlow Serving's status codes.

    Args:
        model: a `ServedModel`.
        workers: how many requests run at a time; others wait.
        max_bytes: of the body of a request.

    Returns:
        A `starlette.applications.Starlette`.
    """
    limiter = anyio.CapacityLimiter(workers)

    async def answer(request):
        body = await _body(request, max_bytes)
        return await anyio.to_thread.run_sync(
            _answer, model, request.method, request.url.path, body, limiter=limiter
        )

    async def health(request):
        if model.available:
            return _json({"status": "available"})
        return _json({"error": "No version of the model is in use."}, 503)

    async def failed(request, error):
        if isinstance(error, HTTPException):
            return _json({"error": error.detail}, error.status_code)
        _LOGGER.exception("%s %s", request.method, request.url.path, exc_info=error)
        return _json({"error": "Internal error."}, 500)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/{path:path}", answer, methods=["GET", "POST"]),
        ],
        exception_handlers={HTTPException: failed, Exception: failed},
    )


async def _body(request, max_bytes):
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise HTTPException(
                413, f"The request is larger than the limit of {max_bytes} bytes."
            )
    return b"".join(parts)


def _answer(model, method, path, body):
    try:
        return _json(_result(model, method, path, body))
    except tf.errors.OpError as error:
        code = _HTTP_CODES.get(error.error_code, 500)
        return _json({"error": error.message}, code)


def _result(model, method, path, body):
    match = _PATH.fullmatch(path)
    if match is None or (method == "POST") != (match[4] or "").startswith(":"):
        raise invalid_argument(f"Malformed request: {method} {path}")
    name, number, label, verb = match.groups()
    spec = ModelSpec(name=name, version_label=label)
    if number:
        spec.version.value = int(number)
    if verb == ":predict":
        return _predict(model.version(spec), body)
    if verb == "/metadata":
        return _metadata_json(model.metadata(spec))
    if verb is None:
        return json_format.MessageToDict(
            model.status(spec), always_print_fields_with_no_presence=True
        )
    raise tf.errors.UnimplementedError(None, None, f"{verb[1:]} is not implemented.")


def _predict(version, body):
    try:
        request = json.loads(body)
        if not isinstance(request, dict):
            raise invalid_argument("JSON Value: Is not object")
        signature = request.get("signature_name", "serving_default")
        if not isinstance(signature, str):
            raise invalid_argument("'signature_name' key must be a string value.")
        inputs, form = inputs_from_json(request, version.specs(signature))
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    return outputs_to_json(version.run(signature, inputs), form)


def _metadata_json(response):
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


def _json(content, status_code=200):
    # Unlike Starlette's own, with NaN and Infinity, as TensorFlow Serving has them.
    return Response(json.dumps(content), status_code, media_type="application/json")
