"""The REST API over real HTTP, for a really exported tracker."""

import base64
import gzip
import json
import socket

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
    assert "at most 1048576 bytes" in answer.json()["error"]
    url = f"http://{server.rest_address}/v1/models/free:predict"
    parts = (b"x" * 2**18 for _ in range(8))  # Sent without saying how much.
    assert requests.post(url, data=parts, timeout=30).status_code == 413


def test_other_methods(server):
    url = f"http://{server.rest_address}/v1/models/free"
    answer = requests.delete(url, timeout=30)
    assert answer.status_code == 400 and answer.json().keys() == {"error"}


def test_other_methods_of_http(server):
    """As TensorFlow Serving answers them."""
    url = f"http://{server.rest_address}/v1/models/free"
    for method in ("PUT", "PATCH", "OPTIONS", "HEAD", "ANYTHING"):
        for path in ("", ":predict", "/metadata"):
            answer = requests.request(method, url + path, timeout=30)
            assert answer.status_code == 400, (method, path)


@pytest.mark.parametrize(
    "path, code",
    [
        ("/v1/models/free?x=1", 404),
        ("/v1/models/free?x=1:predict", 400),
        ("/v1/models/free/metadata?x=1", 400),
        ("/v1/models/fr%65e", 200),
        ("/v1/models/free%3Ax", 404),
        ("/v1/models//metadata", 400),
        ("/v1/models/free/versions/1", 200),
        ("/v1/models/free/versions/999999999999999999", 404),
        ("/v1/models/free/versions/9999999999999999999", 400),
    ],
)
def test_paths(path, code, get):
    answer = get(path)
    assert answer.status_code == code
    assert code == 200 or answer.json().keys() == {"error"}


@pytest.mark.parametrize("name", [{}, {"signature_name": ""}])
def test_the_default_signature(name, predict, expected):
    answer = predict({"inputs": FRAMES.tolist()} | name)
    np.testing.assert_allclose(
        answer.json()["outputs"]["boxes"], expected["boxes"], atol=1e-3
    )


@pytest.mark.parametrize("name", [None, 0, [], False])
def test_signature_names_that_are_none(name, predict):
    assert predict({"inputs": VIDEO, "signature_name": name}).status_code == 400


def test_other_named_inputs_are_ignored(predict, expected):
    body = {"inputs": {"frames": FRAMES.tolist(), "more": [["anything"], 3]}}
    outputs = predict(body).json()["outputs"]
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=1e-3)
    rows = [{"frames": video, "more": 1} for video in FRAMES.tolist()]
    assert predict({"instances": rows}).status_code == 400


def test_gzip(predict, server, expected):
    def post(body, encoding="gzip"):
        url = f"http://{server.rest_address}/v1/models/free:predict"
        headers = {"Content-Encoding": encoding}
        return requests.post(url, data=body, headers=headers, timeout=30)

    body = json.dumps({"inputs": FRAMES.tolist()}).encode()
    packed = gzip.compress(body)
    outputs = post(packed).json()["outputs"]
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=1e-3)
    assert post(packed[:-9]).status_code == 400
    assert post(b"no gzip").status_code == 400
    assert post(body).status_code == 400
    assert post(body, "identity").status_code == 200
    assert post(packed + b"more").status_code == 200
    bomb = gzip.compress(bytes(2**24))
    assert len(bomb) < 2**20 and post(bomb).status_code == 413


@pytest.fixture
def state(predict):
    """What `step` takes, of which a test changes one number."""

    def body(number):
        start = predict({"signature_name": "start", "inputs": [[20, 24]]})
        inputs = start.json()["outputs"] | {"frame": VIDEO[0][:1]}
        inputs["state_0"][0][0] = "NUMBER"
        request = {"signature_name": "step", "inputs": inputs}
        return json.dumps(request).replace('"NUMBER"', number)

    return body


@pytest.mark.parametrize(
    "number",
    ["1", "-0", "1e3", "NaN", "Infinity", "-Infinity", str(2**70), "1" * 30, "1e-400"],
)
def test_numbers(number, predict, state):
    assert predict(state(number)).status_code == 200


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "1e39", "1" * 400, "true", "null", '"1"', "[1]", "{}"]
)
def test_what_is_no_number(number, predict, state):
    answer = predict(state(number))
    assert answer.status_code == 400 and answer.json().keys() == {"error"}


@pytest.mark.parametrize("number", ["true", "1.0", "1e0", "-1", "256", "null"])
def test_what_is_no_uint8(number, predict):
    assert predict('{"inputs": [[[[[1]]]]]}').status_code == 200
    assert predict('{"inputs": [[[[[' + number + "]]]]]}").status_code == 400


def test_floats_are_written_shortly(predict, expected):
    answer = predict({"inputs": {"frames": FRAMES.tolist()}})
    (number,) = {answer.json()["outputs"]["boxes"][0][1][0]}
    assert repr(number) == repr(float(str(np.float32(number))))
    assert len(answer.text) < 16 * sum(values.size for values in expected.values())


def test_text_in_other_encodings(predict):
    body = json.dumps({"inputs": VIDEO})
    assert predict(body.encode("utf-16")).status_code == 400
    assert predict(b"\xff" + body.encode()).status_code == 400


def test_many_values(predict, monkeypatch):
    monkeypatch.setattr("ratm_tf.serving.server.rest_app.MOST_VALUES", 3000)
    assert predict({"inputs": FRAMES.tolist()}).status_code == 413
    assert predict({"inputs": VIDEO}).status_code == 200  # 1440 numbers, in lists.
    answer = predict({"signature_name": "start", "inputs": [[20, 24]] * 140})
    assert answer.status_code == 200
    answer = predict({"signature_name": "start", "inputs": [[20, 24]] * 160})
    assert answer.status_code == 400  # 20 numbers for each.
    assert "answer holds at most 3000 values" in answer.json()["error"]


def test_errors_are_short(predict):
    for body in (
        {"x" * 100_000: 1},
        {"signature_name": "x" * 100_000, "inputs": 1},
        {"inputs": {"frames": VIDEO}, "instances": ["x" * 100_000]},
    ):
        answer = predict(body)
        assert answer.status_code == 400 and len(answer.json()["error"]) <= 1000
    answer = predict({}, f"/v1/models/{'x' * 5000}:predict")
    assert answer.status_code == 404 and len(answer.json()["error"]) <= 1000


def test_clients_that_vanish(server, get, caplog):
    host, port = server.rest_address.split(":")
    for sent in (b"", b"POST /v1/models/fr", HEAD, HEAD + b'{"inputs": [['):
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(sent)
    assert get("/health").status_code == 200
    assert not caplog.records


HEAD = (
    b"POST /v1/models/free:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"
)
