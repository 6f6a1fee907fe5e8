"""Calling a model server over gRPC."""

import json

import grpc
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ..protocol.signature import Signature
from ..protocol.tensor_messages import message_from_tensor
from .client import Client
from .serving_error import ServingError


class GrpcClient(Client):
    """Calls a model of a TensorFlow Serving, or of `Server`, over gRPC.

    Calls that meet no server are repeated with growing pauses.

    Args:
        address: `host:port`.
        model: the model's name.
        timeout: seconds for a call, repetitions included.
        attempts: how often to try, in 1..5.

    Raises:
        ValueError: `timeout` or `attempts` is another.

    Example:
    >>> from ratm_tf import serving
    >>> client = serving.GrpcClient("127.0.0.1:1", "digits", attempts=1)
    >>> client.signatures()
    Traceback (most recent call last):
    ratm_tf.serving.client.serving_error.ServingError: No server answers at ...
    """

    def __init__(
        self, address: str, model: str, timeout: float = 30.0, attempts: int = 5
    ) -> None:
        super().__init__(address, model, timeout, attempts)
        if attempts > 5:
            raise ValueError(
                f"Expected `attempts` to be 5 or less. Received: {attempts}"
            )
        options: list[tuple[str, object]] = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            # Servers that come back are found within a second.
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if attempts > 1:
            policy = {
                "maxAttempts": attempts,
                "initialBackoff": "0.5s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            }
            config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
            options.append(("grpc.service_config", json.dumps(config)))
        self._channel = grpc.insecure_channel(address, options)
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._version = None

    def close(self) -> None:
        self._channel.close()

    def _ask_signatures(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = self.model
        request.metadata_field.append("signature_def")
        response = self._call(self._service.GetModelMetadata, request)
        self._version = response.model_spec.version.value
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        in_json = json_format.MessageToDict(
            signatures, preserving_proto_field_name=True
        )
        return {
            name: Signature.from_json(definition)
            for name, definition in in_json.get("signature_def", {}).items()
        }

    def _run(self, signature, inputs, dtypes):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(message_from_tensor(array))
        response = self._call(self._service.Predict, request)
        if response.model_spec.version.value != self._version:
            self._signatures = None
        return {name: tf.make_ndarray(out) for name, out in response.outputs.items()}

    def _call(self, method, request):
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            code, reason = error.code(), error.details()
            if code == grpc.StatusCode.UNAVAILABLE:
                raise ServingError.no_answer(self._address, reason) from error
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise ServingError.too_late(self._address, self._timeout) from error
            if code == grpc.StatusCode.NOT_FOUND:
                raise ServingError.no_model(
                    self._address, self.model, reason
                ) from error
            raise ServingError.refused(self._address, code.name, reason) from error
