"""The clients against real servers, and where there is none that answers."""

import socket
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf import serving
from tests.serving.client.conftest import CLIENTS, free_port

VIDEO = np.random.default_rng(0).integers(0, 256, [4, 20, 24, 1], np.uint8)


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


def save(folder, number, outputs):
    """Writes a version whose signatures say what these functions of two inputs do."""
    module = tf.Module()
    specs = [
        tf.TensorSpec([None], tf.float32, "x"),
        tf.TensorSpec([None], tf.string, "text"),
    ]
    signatures = {
        name: tf.function(function, specs) for name, function in outputs.items()
    }
    tf.saved_model.save(module, folder.parent / f"new{number}", signatures)
    (folder.parent / f"new{number}").rename(folder / str(number))


@pytest.fixture(params=["echo", "a b?c#d%20/ü:e"])
def echo(request, tmp_path):
    """A server of a model of this name, and the model, with its folder."""
    (tmp_path / "echo").mkdir()
    save(tmp_path / "echo", 1, {"echo": lambda x, text: {"x": x, "text_bytes": text}})
    model = serving.ServedModel(tmp_path / "echo", name=request.param)
    options = {"grpc_port": 0, "rest_port": 0, "poll_seconds": 60.0}
    with serving.Server(model, **options) as server:
        yield server, model, tmp_path / "echo"


def test_values_arrive(connect, echo):
    """Whatever they come in; ends of strings are kept, and names quoted."""
    server, model, _ = echo
    client = connect(server, model.name)
    texts = [b"a\0", b"\0", b"", b"\xff"]
    for x in ([1, 2.5, 3, 4], np.float64([1, 2.5, 3, 4]), tf.constant([1, 2.5, 3, 4])):
        for text in (texts, np.array(texts, object), tf.constant(texts)):
            outputs = client.predict("echo", {"x": x, "text": text})
            assert outputs["x"].dtype == np.float32
            assert outputs["x"].tolist() == [1, 2.5, 3, 4]
            assert outputs["text_bytes"].tolist() == texts


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({"x": ["1"], "text": ["a"]}, '"x" to be float32'),
        ({"x": [True], "text": ["a"]}, '"x" to be float32'),
        ({"x": [1e39], "text": ["a"]}, '"x" to be in the range of float32'),
        ({"x": [1], "text": [1]}, '"text" to be string'),
        ({"x": [1], "text": ["a"], "y": 1}, "Expected `inputs` to be text, x.*: y"),
    ],
)
def test_values_that_do_not_fit(connect, echo, inputs, message):
    server, model, _ = echo
    client = connect(server, model.name)
    for _ in range(2):  # The second time, it knows the signatures.
        with pytest.raises(ValueError, match=message):
            client.predict("echo", inputs)


def test_a_new_version_has_other_signatures(connect, echo):
    server, model, folder = echo
    client = connect(server, model.name)
    inputs = {"x": [1.5], "text": ["a"]}
    assert client.predict("echo", inputs)["x"] == [1.5]

    # The same name with other outputs, and a new name.
    save(
        folder,
        2,
        {
            "echo": lambda x, text: {"x": tf.cast(2 * x, tf.int32), "y": text},
            "more": lambda x, text: {"more": text},
        },
    )
    model.refresh()
    outputs = client.predict("echo", inputs)
    assert outputs["x"] == [3] and outputs["y"] == [b"a"]
    assert client.predict("more", inputs)["more"] == [b"a"]
    assert client.predict("echo", inputs)["x"].dtype == np.int32

    save(folder, 3, {"more": lambda x, text: {"x": x}})
    model.refresh()
    with pytest.raises(serving.ServingError, match="no signature 'echo'. It has: more"):
        client.predict("echo", inputs)
    assert client.predict("more", inputs)["x"] == [1.5]


def test_closes(protocol, echo):
    server, model, _ = echo
    address = getattr(server, f"{protocol}_address")
    with CLIENTS[protocol](address, model.name) as client:
        assert "echo" in client.signatures()
    client.close()  # Twice is once.


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": -1.0}, {"attempts": 0}])
def test_arguments_that_cannot_be(protocol, wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"Expected `{name}`"):
        CLIENTS[protocol]("127.0.0.1:1", "free", **wrong)
