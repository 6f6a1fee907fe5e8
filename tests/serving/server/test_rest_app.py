"""The REST API over real HTTP, for a really exported tracker."""

import base64
import json

import cv2
import numpy as np
import pytest
import requests

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, [2, 3, 20, 24, 1], np.uint8)
OUTPUTS = ("boxes", "corner_boxes", "windows")


def png(frame):
    data = cv2.imencode(".png", frame)[1].tobytes()
    return {"b64": base64.b64encode(data).decode()}


@pytest.fixture
def get(server):
    return lambda path: requests.get(f"http://{server.rest_address}{path}", timeout=30)


@pytest.fixture
def predict(server):
    def post(body, path="/v1/models/free:predict"):
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        url = f"http://{server.rest_address}{path}"
        return requests.post(url, data=data, timeout=30)

    return post


@pytest.fixture(scope="module")
def expected(tracker):
    outputs = tracker.predict({"frames": FRAMES}, verbose=0)
    return {name: outputs[name] for name in OUTPUTS}


def test_column_form(predict, expected):
    answer = predict({"inputs": {"frames": FRAMES.tolist()}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"outputs"}
    outputs = answer.json()["outputs"]
    assert outputs.keys() == set(OUTPUTS)
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values, atol=1e-3)


def test_column_form_without_names(predict, expected):
    outputs = predict({"inputs": FRAMES.tolist()}).json()["outputs"]
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=1e-3)


@pytest.mark.parametrize("named", [True, False])
def test_row_form(named, predict, expected):
    rows = [{"frames": video} if named else video for video in FRAMES.tolist()]
    predictions = predict({"instances": rows}).json()["predictions"]
    assert len(predictions) == 2
    for index, prediction in enumerate(predictions):
        assert prediction.keys() == set(OUTPUTS)
        for name, values in expected.items():
            np.testing.assert_allclose(prediction[name], values[index], atol=1e-3)


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_images_in_base64(form, predict, expected):
    images = [[png(frame) for frame in video] for video in FRAMES]
    body = {"signature_name": "track_encoded", form: images}
    answer = predict(body, "/v1/models/free/versions/1:predict").json()
    if form == "inputs":
        boxes = answer["outputs"]["boxes"]
    else:
        boxes = [prediction["boxes"] for prediction in answer["predictions"]]
    np.testing.assert_allclose(boxes, expected["boxes"], atol=1e-3)


def test_stream_in_row_form(predict, expected):
    def run(signature, rows):
        body = {"signature_name": signature, "instances": rows}
        return predict(body).json()["predictions"]

    states = run("start", [{"frame_size": [20, 24]}] * 2)
    assert all(name.startswith("state_") for name in states[0])
    for index in range(FRAMES.shape[1]):
        rows = [
            {"frame": png(video[index])} | {name: s[name] for name in states[0]}
            for video, s in zip(FRAMES, states, strict=True)
        ]
        states = run("step_encoded", rows)
        boxes = [state.pop("boxes") for state in states]
        np.testing.assert_allclose(boxes, expected["boxes"][:, index], atol=1e-3)
        for state in states:
            del state["corner_boxes"], state["windows"]


def test_status(get):
    available = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    for path in ("/v1/models/free", "/v1/models/free/versions/1"):
        answer = get(path)
        assert answer.status_code == 200
        assert answer.json() == {"model_version_status": [available]}


def test_metadata(get):
    answer = get("/v1/models/free/metadata").json()
    assert answer["model_spec"]["name"] == "free"
    assert answer["model_spec"]["version"] == "1"
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "track_encoded", "step"} < signatures.keys()
    frames = signatures["track"]["inputs"]["frames"]
    assert frames["dtype"] == "DT_UINT8"
    sizes = [axis["size"] for axis in frames["tensor_shape"]["dim"]]
    assert sizes == ["-1", "-1", "-1", "-1", "1"]
    assert signatures["track"]["method_name"] == "tensorflow/serving/predict"


def test_health(get):
    assert get("/health").status_code == 200


@pytest.mark.parametrize(
    "path, code, message",
    [
        ("/v1/models/cats", 404, "Could not find any versions of model cats"),
        ("/v1/models/free/versions/7", 404, "Could not find version 7 of model free"),
        ("/v1/models/cats/metadata", 404, "Servable not found for request: Latest(cat"),
        ("/v1/models/free/labels/stable", 400, "no version label. Received: stable"),
        ("/v1/models/free:predict", 400, "Malformed request: GET"),
        ("/v1/models", 400, "Malformed request: GET /v1/models"),
        ("/elsewhere", 404, "Not Found"),
    ],
)
def test_errors_of_get(path, code, message, get):
    answer = get(path)
    assert answer.status_code == code
    assert answer.json().keys() == {"error"} and message in answer.json()["error"]


VIDEO = FRAMES[:1].tolist()


@pytest.mark.parametrize(
    "body, message",
    [
        ("", "JSON Parse error"),
        ("[" * 100_000, "JSON Parse error"),
        (
            '{"signature_name": "track_encoded", "inputs": '
            + "[" * 900
            + "]" * 900
            + "}",
            "",  # Too deep for Python to read, or for NumPy: it depends on the Python.
        ),
        (
            '{"signature_name": "track_encoded", "inputs": '
            + "[" * 40
            + '"no"'
            + "]" * 40
            + "}",
            "to be string of shape (None,",
        ),
        ([1], "JSON to be an object"),
        ({}, "either 'inputs' or 'instances'"),
        ({"inputs": [], "instances": []}, "either 'inputs' or 'instances'"),
        ({"instances": []}, "a list with elements"),
        ({"instances": VIDEO, "signature_name": 3}, "to be a string"),
        (
            {"instances": VIDEO, "signature_name": "hop"},
            'signature "hop" to be one of: serving_default, start',
        ),
        ({"instances": [{"frame": VIDEO[0]}]}, "element 0 of 'instances'"),
        ({"instances": [{"frames": VIDEO[0]}, 3]}, "element 1 of 'instances'"),
        ({"inputs": {"frame": VIDEO}}, "Missing: frames"),
        ({"inputs": {}}, "Missing: frames"),
        ({"inputs": [[1], [2, 3]]}, "lists to be of one length"),
        ({"inputs": [[[[["1"]]]]]}, '"frames" to be uint8'),
        ({"inputs": [[[[[1.5]]]]]}, '"frames" to be uint8'),
        ({"inputs": [[[[[None]]]]]}, '"frames" to be uint8'),
        ({"inputs": [[[[[256]]]]]}, '"frames" to be in the range of uint8'),
        ({"inputs": [[[1]]]}, "Received: uint8 of shape [1, 1, 1]"),
        (
            {"inputs": [[{"b64": "no"}]], "signature_name": "track_encoded"},
            "[0 0]",
        ),
        (
            {"inputs": [[{"b64": "?"}]], "signature_name": "track_encoded"},
            'Unable to base64 decode input "frames"',
        ),
        (
            {"inputs": [[{"c64": "no"}]], "signature_name": "track_encoded"},
            '"frames" are not of expected type: string',
        ),
        (
            {"inputs": [["a"], ["a", "b"]], "signature_name": "track_encoded"},
            "lists to be of one length",
        ),
        (
            {"inputs": {"frame": VIDEO[0]}, "signature_name": "step"},
            "Missing: state_0",
        ),
    ],
)
def test_errors_of_predict(body, message, predict):
    answer = predict(body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error"}
    assert message in answer.json()["error"]
    assert "Traceback" not in answer.json()["error"]


@pytest.mark.parametrize(
    "path, code",
    [
        ("/v1/models/cats:predict", 404),
        ("/v1/models/free/versions/2:predict", 404),
        ("/v1/models/free:classify", 400),
        ("/v1/models/free:regress", 400),
        ("/v1/models/free", 400),
    ],
)
def test_paths_of_post(path, code, predict):
    answer = predict({"inputs": VIDEO}, path)
    assert answer.status_code == code and answer.json().keys() == {"error"}


def test_too_large_a_request(predict, server):
    answer = predict({"inputs": "x" * 2**20})
    assert answer.status_code == 413
    assert "limit of 1048576 bytes" in answer.json()["error"]
    url = f"http://{server.rest_address}/v1/models/free:predict"
    parts = (b"x" * 2**18 for _ in range(8))  # Sent without saying how much.
    assert requests.post(url, data=parts, timeout=30).status_code == 413


def test_other_methods(server):
    url = f"http://{server.rest_address}/v1/models/free"
    answer = requests.delete(url, timeout=30)
    assert answer.status_code == 400 and answer.json().keys() == {"error"}
