"""TensorFlow Serving's gRPC services."""

import asyncio
import functools
import logging

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ..protocol.tensor_messages import message_from_tensor, tensors_from_messages
from .errors import invalid_argument

_LOGGER = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MOST_DETAILS = 1000
"""Characters of a status; gRPC loses statuses of some kilobytes."""


def _with_status(method):
    """Turns errors into the call's status."""

    @functools.wraps(method)
    async def answer(self, request, context):
        try:
            return await method(self, request)
        except tf.errors.OpError as error:
            code, details = _CODES[error.error_code], error.message
        except Exception:
            _LOGGER.exception(method.__name__)
            code, details = grpc.StatusCode.INTERNAL, "Internal error."
        await context.abort(code, details[:_MOST_DETAILS])

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` and `GetModelMetadata`; the rest is not implemented.

    Args:
        model: a `ServedModel`.
        pool: the executor that runs requests. A call that is cancelled, or whose time
            is over, before its turn is not begun.
        memory: a `RequestMemory`; its `max_bytes` also bounds each input tensor, and
            all outputs of a request.
    """

    def __init__(self, model, pool, memory):
        self._model = model
        self._pool = pool
        self._memory = memory

    @_with_status
    async def Predict(self, request):
        """Runs a signature."""
        loop = asyncio.get_running_loop()
        with self._memory.hold() as take:
            take(request.ByteSize())
            return await loop.run_in_executor(self._pool, self._predict, request)

    def _predict(self, request):
        version = self._model.version(request.model_spec)
        signature = request.model_spec.signature_name or "serving_default"
        max_bytes = self._memory.max_bytes
        inputs = tensors_from_messages(request.inputs, max_bytes)
        outputs = version.run(signature, inputs, max_bytes)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self._model.name
        response.model_spec.version.value = version.number
        response.model_spec.signature_name = signature
        for name in request.output_filter or outputs:
            if name not in outputs:
                raise invalid_argument(
                    f"Expected output_filter to hold some of {', '.join(outputs)}. "
                    f"Received: {name}"
                )
            response.outputs[name].CopyFrom(message_from_tensor(outputs[name]))
        return response

    @_with_status
    async def GetModelMetadata(self, request):
        """Describes the signatures."""
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid_argument(
                "Expected metadata_field to be ['signature_def']. Received: "
                f"{list(request.metadata_field)}"
            )
        return self._model.metadata(request.model_spec)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """`GetModelStatus`; the rest is not implemented.

    Args:
        model: a `ServedModel`.
    """

    def __init__(self, model):
        self._model = model

    @_with_status
    async def GetModelStatus(self, request):
        """Lists the versions."""
        return self._model.status(request.model_spec)
