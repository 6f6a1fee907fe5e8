"""TensorFlow Serving's gRPC services."""

import functools
import logging

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ..protocol.errors import invalid_argument
from ..protocol.tensor_messages import message_from_tensor, tensors_from_messages

_LOGGER = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MOST_DETAILS = 1000
"""Characters of a status; gRPC loses statuses of some kilobytes."""


def _with_status(method):
    """Turns errors into the call's status."""

    @functools.wraps(method)
    def answer(self, request, context):
        try:
            return method(self, request, context)
        except tf.errors.OpError as error:
            code, details = _CODES[error.error_code], error.message
        except Exception:
            _LOGGER.exception(method.__name__)
            code, details = grpc.StatusCode.INTERNAL, "Internal error."
        context.abort(code, details[:_MOST_DETAILS])

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` and `GetModelMetadata`; the rest is not implemented.

    Args:
        model: a `ServedModel`.
        max_bytes: of an input tensor, and of all outputs of a request.
    """

    def __init__(self, model, max_bytes):
        self._model = model
        self._max_bytes = max_bytes

    @_with_status
    def Predict(self, request, context):
        """Runs a signature."""
        version = self._model.version(request.model_spec)
        signature = request.model_spec.signature_name or "serving_default"
        inputs = tensors_from_messages(request.inputs, self._max_bytes)
        outputs = version.run(signature, inputs, self._max_bytes, context.is_active)
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
    def GetModelMetadata(self, request, context):
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
    def GetModelStatus(self, request, context):
        """Lists the versions."""
        return self._model.status(request.model_spec)
