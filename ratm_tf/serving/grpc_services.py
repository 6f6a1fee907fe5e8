"""TensorFlow Serving's gRPC services."""

import functools

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from .model_version import arrays, invalid_argument

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _with_status(method):
    """Turns TensorFlow's errors into the call's status."""

    @functools.wraps(method)
    def answer(self, request, context):
        try:
            return method(self, request)
        except tf.errors.OpError as error:
            context.abort(_CODES[error.error_code], error.message)

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` and `GetModelMetadata`; the rest is not implemented.

    Args:
        model: a `ServedModel`.
        max_bytes: of an input tensor.
    """

    def __init__(self, model, max_bytes):
        self._model = model
        self._max_bytes = max_bytes

    @_with_status
    def Predict(self, request):
        """Runs a signature."""
        version = self._model.version(request.model_spec)
        signature = request.model_spec.signature_name or "serving_default"
        outputs = version.run(signature, arrays(request.inputs, self._max_bytes))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self._model.name
        response.model_spec.version.value = version.number
        response.model_spec.signature_name = signature
        for name in request.output_filter or outputs:
            if name not in outputs:
                raise invalid_argument(
                    f"output tensor alias not found in signature: {name} Outputs "
                    f"expected to be in the set {{{','.join(sorted(outputs))}}}."
                )
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return response

    @_with_status
    def GetModelMetadata(self, request):
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
    def GetModelStatus(self, request):
        """Lists the versions."""
        return self._model.status(request.model_spec)
