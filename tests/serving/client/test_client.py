"""The clients against real servers, and where there is none that answers."""

import contextlib
import http.server
import json
import socket
import threading
import time

import cv2
import numpy as np
import pytest

from ratm_tf import serving

CLIENTS = {"grpc": serving.GrpcClient, "rest": serving.RestClient}
VIDEO = np.random.default_rng(0).integers(0, 256, [4, 20, 24, 1], np.uint8)
IMAGES = [cv2.imencode(".png", frame)[1].tobytes() for frame in VIDEO]
BOX = (4.0, 5.0, 14.0, 12.0)


@pytest.fixture(params=list(CLIENTS))
def protocol(request):
    return request.param


@pytest.fixture
def connect(protocol):
    def make(server, model="free", **options):
        address = getattr(server, f"{protocol}_address")
        return CLIENTS[protocol](address, model, **options)

    return make


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_tracks_videos_and_streams(connect, server, tracker):
    expected = tracker.predict({"frames": VIDEO[None]}, verbose=0)["boxes"][0]
    remote = serving.RemoteTracker(connect(server))
    np.testing.assert_allclose(remote.track(IMAGES), expected, atol=1e-3)
    remote.start(VIDEO.shape[1:3])
    boxes = [remote.step(image) for image in IMAGES]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)
    assert np.ptp(expected, axis=0).min() > 0.1  # There was something to follow.


def test_tracks_given_targets(connect, given_server, given_tracker):
    inputs = {"frames": VIDEO[None], "initial_box": np.float32([BOX])}
    expected = given_tracker.predict(inputs, verbose=0)["boxes"][0]
    remote = serving.RemoteTracker(connect(given_server, "given"))
    np.testing.assert_allclose(remote.track(IMAGES, BOX), expected, atol=1e-3)
    remote.start(VIDEO.shape[1:3], BOX)
    boxes = [remote.step(image) for image in IMAGES]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)
    for call in (lambda: remote.track(IMAGES), lambda: remote.start((20, 24))):
        with pytest.raises(ValueError, match="Expected `initial_box`"):
            call()


def test_a_target_that_is_not_expected(connect, server):
    remote = serving.RemoteTracker(connect(server))
    with pytest.raises(ValueError, match="Expected no `initial_box`"):
        remote.track(IMAGES, BOX)
    with pytest.raises(ValueError, match="at least one"):
        remote.track([])
    with pytest.raises(RuntimeError, match="`start` before `step`"):
        remote.step(IMAGES[0])


def test_a_stream_goes_on_after_a_bad_frame(connect, server):
    remote = serving.RemoteTracker(connect(server))
    remote.start((20, 24))
    first = [remote.step(image) for image in IMAGES]
    remote.start((20, 24))
    again = []
    for image in IMAGES:
        with pytest.raises(serving.ServingError, match=r"does not decode|Does not dec"):
            remote.step(b"no image")
        again.append(remote.step(image))
    np.testing.assert_array_equal(again, first)


def test_tensors_arrive_as_they_are(connect, server):
    client = connect(server)
    outputs = client.predict("track", {"frames": VIDEO[None]})
    assert outputs["boxes"].dtype == np.float32
    assert outputs["windows"].shape == (1, 4, 6)
    (state,) = {client.predict("start", {"frame_size": [[20, 24]]})["state_0"].shape}
    assert state == (1, 8)


def test_says_what_is_missing(connect, server):
    with pytest.raises(serving.ServingError, match="serves no model 'cats'"):
        connect(server, "cats").predict("track", {})
    with pytest.raises(
        serving.ServingError,
        match="Model 'free' has no signature 'hop'. It has: .*step_encoded.*track",
    ):
        connect(server).predict("hop", {})
    with pytest.raises(serving.ServingError, match=r"answered .*Missing: frames"):
        connect(server).predict("track", {})


def test_no_server(protocol):
    address = f"127.0.0.1:{free_port()}"
    client = CLIENTS[protocol](address, "free", attempts=2)
    with pytest.raises(serving.ServingError, match=f"No server answers at {address}"):
        client.signatures()


def test_a_server_that_comes_late(protocol, models, tracker):
    ports = {"grpc_port": free_port(), "rest_port": free_port()}
    client = CLIENTS[protocol](f"127.0.0.1:{ports[f'{protocol}_port']}", "free")
    model = serving.ServedModel(models / "free")
    model.refresh()
    server = serving.Server(model, **ports)
    start = threading.Timer(0.2, server.__enter__)
    start.start()
    try:
        assert "track" in client.signatures()
    finally:
        start.join()
        server.__exit__(None, None, None)


def test_a_server_that_never_answers(protocol):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        client = CLIENTS[protocol](address, "free", timeout=0.5)
        started = time.monotonic()
        with pytest.raises(serving.ServingError, match="did not answer within 0.5 s"):
            client.signatures()
        assert time.monotonic() - started >= 0.5


@contextlib.contextmanager
def http_server(*answers):
    """Gives these answers, `(code, body)`, in turn; counts requests."""
    remaining = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = remaining.pop(0)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", remaining
        server.shutdown()
        thread.join()


def test_rest_repeats_what_an_overloaded_server_refuses():
    metadata = json.dumps({"metadata": {"signature_def": {"signature_def": {}}}})
    answers = [(503, b"{}"), (429, b"{}"), (200, metadata.encode())]
    with http_server(*answers) as (address, remaining):
        assert serving.RestClient(address, "free").signatures() == {}
        assert not remaining


def test_rest_from_another_kind_of_server():
    with http_server((200, b"<html>"), (200, b"[]")) as (address, _):
        client = serving.RestClient(address, "free")
        for _ in range(2):
            with pytest.raises(serving.ServingError, match="answered no JSON"):
                client.signatures()
