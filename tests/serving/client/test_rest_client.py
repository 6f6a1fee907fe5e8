"""What is REST's own: overloaded servers, slow ones, and other kinds."""

import contextlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from ratm_tf import serving


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


@pytest.mark.parametrize(
    "answer", [{}, {"metadata": {"signature_def": {"signature_def": {"track": 1}}}}]
)
def test_rest_from_a_server_of_other_metadata(answer):
    with http_server((200, json.dumps(answer).encode())) as (address, _):
        with pytest.raises(serving.ServingError, match="answered no signatures"):
            serving.RestClient(address, "free").signatures()


def test_the_time_is_that_of_all_attempts():
    """A third would end later than the time allows."""
    with http_server(*[(503, b"{}")] * 5) as (address, remaining):
        client = serving.RestClient(address, "free", timeout=1.2)
        with pytest.raises(serving.ServingError, match="answered 503"):
            client.signatures()
        assert len(remaining) >= 3


def test_an_answer_that_never_ends():
    """Each byte comes soon; that does not give the server more time."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with contextlib.suppress(OSError):
                while not stop.wait(0.02):
                    self.wfile.write(b" ")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = serving.RestClient(f"127.0.0.1:{server.server_port}", "free", 0.3)
        with pytest.raises(serving.ServingError, match="did not answer within 0.3 s"):
            client.signatures()
        stop.set()
        server.shutdown()
        thread.join()


def test_needs_neither_tensorflow_nor_its_messages(server, tracker, tmp_path):
    """A small machine with a camera calls a server: requests and NumPy are enough."""
    frames = np.random.default_rng(0).integers(0, 256, [2, 20, 24], np.uint8)
    for index, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame)
    code = f"""
import pathlib, sys
heavy = ["tensorflow", "keras", "google.protobuf", "grpc", "tensorflow_serving"]
sys.modules |= dict.fromkeys(heavy)  # Importing one of them fails.
from ratm_tf import serving
paths = sorted(pathlib.Path({str(tmp_path)!r}).iterdir())
images = [path.read_bytes() for path in paths]
with serving.RestClient({server.rest_address!r}, "free") as client:
    remote = serving.RemoteTracker(client)
    remote.start(frame_size=(20, 24))
    print([remote.step(image).tolist() for image in images])
    assert remote.track(images).shape == (2, 4)
"""
    root = pathlib.Path(serving.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    expected = tracker({"frames": frames[None, ..., None]})["boxes"][0]
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-3)


def test_urls():
    for address in ("127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1/"):
        client = serving.RestClient(address, "a b/c?ü")
        assert client._url == "http://127.0.0.1:1/v1/models/a%20b%2Fc%3F%C3%BC"
