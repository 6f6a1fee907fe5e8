"""TensorFlow Serving's own messages over real gRPC, for a really exported tracker."""

import asyncio

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ratm_tf.serving.server import grpc_services

FRAMES = np.random.default_rng(0).integers(0, 256, [2, 3, 20, 24, 1], np.uint8)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def service(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request_of(signature="", model="free", version=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.mark.parametrize("signature", ["", "track"])
def test_predict(signature, service, tracker):
    response = service.Predict(request_of(signature, version=1, frames=FRAMES))
    assert response.model_spec.name == "free"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == (signature or "serving_default")
    expected = tracker.predict({"frames": FRAMES}, verbose=0)
    assert response.outputs.keys() == {"boxes", "corner_boxes", "windows"}
    for name, output in response.outputs.items():
        np.testing.assert_allclose(
            tf.make_ndarray(output), expected[name], atol=1e-3, err_msg=name
        )


def test_output_filter(service):
    request = request_of(frames=FRAMES)
    request.output_filter.append("windows")
    assert service.Predict(request).outputs.keys() == {"windows"}
    request.output_filter.append("colours")
    with pytest.raises(grpc.RpcError) as error:
        service.Predict(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "colours" in error.value.details()


@pytest.mark.parametrize(
    "request_, code, message",
    [
        (request_of(model="cats"), "NOT_FOUND", "Latest(cats)"),
        (request_of(version=7), "NOT_FOUND", "Specific(free, 7)"),
        (
            request_of("hop"),
            "FAILED_PRECONDITION",
            'Expected signature "hop" to be one',
        ),
        (request_of(), "INVALID_ARGUMENT", "Missing: frames"),
        (request_of(frames=FRAMES, box=1), "INVALID_ARGUMENT", "Not expected: box"),
        (request_of(frames=FRAMES / 2), "INVALID_ARGUMENT", '"frames" of signature'),
        (request_of(frames=FRAMES[0]), "INVALID_ARGUMENT", "[3, 20, 24, 1]"),
        (
            request_of("track_encoded", frames=[[b"no image"]]),
            "INVALID_ARGUMENT",
            "[0 0]",
        ),
        (request_of(frames=np.zeros(2**20 + 1, np.uint8)), "RESOURCE_EXHAUSTED", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors(request_, code, message, service):
    with pytest.raises(grpc.RpcError) as error:
        service.Predict(request_)
    assert error.value.code().name == code
    assert message in error.value.details()


@pytest.mark.parametrize("name", ["x" * 16_000, "ü" * 8_000])
def test_long_names(name, service):
    """Statuses of many kilobytes would not arrive."""
    for request in (
        request_of(model=name),
        request_of(name),
        request_of(**{name: FRAMES}),
        request_of(frames=FRAMES),
    ):
        request.output_filter.append(name)
        with pytest.raises(grpc.RpcError) as error:
            service.Predict(request)
        assert error.value.code().name in (
            *("NOT_FOUND", "FAILED_PRECONDITION", "INVALID_ARGUMENT"),
        )
        assert 50 < len(error.value.details()) <= 1000


def test_requests_without_a_name(service, channel):
    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata.metadata_field.append("signature_def")
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    for call, request in (
        (service.Predict, predict_pb2.PredictRequest()),
        (service.GetModelMetadata, metadata),
        (models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()),
    ):
        with pytest.raises(grpc.RpcError, match="to name a model") as error:
            call(request)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_small_integers_wrap_as_in_tensorflow_serving(service, tracker):
    request = request_of(frames=FRAMES)
    proto = request.inputs["frames"]
    proto.tensor_content = b""
    proto.int_val.extend(np.int64(FRAMES.ravel()) + 256)
    response = service.Predict(request)
    expected = tracker.predict({"frames": FRAMES}, verbose=0)["boxes"]
    boxes = tf.make_ndarray(response.outputs["boxes"])
    np.testing.assert_allclose(boxes, expected, atol=1e-3)


@pytest.mark.parametrize("dtype", [tf.resource, tf.variant, tf.complex64])
def test_other_types(dtype, service):
    request = request_of(frames=FRAMES)
    request.inputs["frames"].Clear()
    request.inputs["frames"].dtype = dtype.as_datatype_enum
    with pytest.raises(grpc.RpcError) as error:
        service.Predict(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_few_strings_for_many(service):
    """A megabyte that would become six gigabytes."""
    request = request_of("track_encoded")
    proto = request.inputs["frames"]
    proto.dtype = tf.string.as_datatype_enum
    for size in (1, 6000):
        proto.tensor_shape.dim.add(size=size)
    proto.string_val.append(b"x" * 500_000)
    with pytest.raises(grpc.RpcError, match="the limit is 1048576") as error:
        service.Predict(request)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_answer_larger_than_the_limit(service):
    """A short request: 20 numbers for each of 20,000 pairs."""
    request = request_of("start", frame_size=np.full([20_000, 2], 20, np.int32))
    with pytest.raises(grpc.RpcError, match="at most 1048576 bytes") as error:
        service.Predict(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_faults_of_the_server(caplog):
    """They are logged, and the client learns no more than that."""

    class Context:
        async def abort(self, code, details):
            raise grpc.RpcError(code, details)

    class Model:
        def status(self, spec):
            raise KeyError("/secret/path")

    service = grpc_services.ModelService(Model())
    with pytest.raises(grpc.RpcError) as error:
        asyncio.run(service.GetModelStatus(request_of(), Context()))
    assert error.value.args == (grpc.StatusCode.INTERNAL, "Internal error.")
    assert "/secret/path" in caplog.text


def test_tensors_that_are_none(service):
    request = request_of(frames=FRAMES)
    request.inputs["frames"].tensor_content = b"\0"
    with pytest.raises(grpc.RpcError, match="does not hold a tensor") as error:
        service.Predict(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_short_message_for_a_large_tensor(service):
    request = request_of(frames=FRAMES)
    proto = request.inputs["frames"]
    proto.Clear()
    proto.dtype = tf.uint8.as_datatype_enum
    proto.int_val.append(0)
    for _ in range(5):
        proto.tensor_shape.dim.add(size=100_000)
    with pytest.raises(grpc.RpcError, match="the limit is 1048576") as error:
        service.Predict(request)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata(service):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "free"
    with pytest.raises(grpc.RpcError, match="metadata_field"):
        service.GetModelMetadata(request)
    request.metadata_field.append("signature_def")
    response = service.GetModelMetadata(request)
    assert response.model_spec.version.value == 1
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    inputs = signatures.signature_def["track_encoded"].inputs
    assert inputs["frames"].dtype == tf.string.as_datatype_enum


def test_status(channel):
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "free"
    (status,) = service.GetModelStatus(request).model_version_status
    assert status.version == 1
    assert status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    request.model_spec.name = "cats"
    with pytest.raises(grpc.RpcError) as error:
        service.GetModelStatus(request)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as error:
        service.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest())
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_health(channel):
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
