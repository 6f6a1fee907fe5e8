"""Starting, new versions, concurrency and stopping, with real SavedModels."""

import concurrent.futures
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc

import ratm_tf
from ratm_tf import serving
from ratm_tf.attention import library

FREE = {"grpc_port": 0, "rest_port": 0, "poll_seconds": 0.05}


def save(folder, number, during=None):
    """Writes a model that says its number, and calls `during` of this process."""

    def call(x):
        if during is not None:
            x = tf.ensure_shape(tf.numpy_function(during, [x], tf.float32), [None])
        return {"y": x * 0.0 + float(number)}

    module = tf.Module()
    module.call = tf.function(call, [tf.TensorSpec([None], tf.float32, "x")])
    # Elsewhere first: a version appears in one go.
    tf.saved_model.save(module, folder.parent / f"new{number}", module.call)
    (folder.parent / f"new{number}").rename(folder / str(number))
    return module


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "numbers").mkdir()
    return tmp_path / "numbers"


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def number_of(server):
    client = serving.GrpcClient(server.grpc_address, "numbers")
    return client.predict("serving_default", {"x": np.float32([0.0])})["y"][0]


def states(server):
    url = f"http://{server.rest_address}/v1/models/numbers"
    answer = requests.get(url, timeout=30).json()
    return {
        int(version["version"]): (version["state"], version["status"])
        for version in answer.get("model_version_status", [])
    }


def health(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status = stub.Check(health_pb2.HealthCheckRequest()).status
    rest = requests.get(f"http://{server.rest_address}/health", timeout=30)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(status), rest.status_code


def test_versions_come_and_go(folder):
    with serving.Server(serving.ServedModel(folder), **FREE) as server:
        assert states(server) == {} and health(server) == ("NOT_SERVING", 503)
        (folder / "models.config").touch()
        (folder / "1").mkdir()  # Not a SavedModel yet.
        time.sleep(0.2)
        assert states(server) == {}
        (folder / "1").rmdir()

        save(folder, 0)
        wait_until(lambda: health(server) == ("SERVING", 200))
        assert number_of(server) == 0
        save(folder, 10)  # Greater than 9, as numbers go.
        wait_until(lambda: number_of(server) == 10)
        save(folder, 9)
        time.sleep(0.2)
        assert number_of(server) == 10
        assert {n: state for n, (state, _) in states(server).items()} == {
            0: "END",
            10: "AVAILABLE",
        }

        shutil.rmtree(folder / "10")
        wait_until(lambda: number_of(server) == 9)
        shutil.rmtree(folder)
        wait_until(lambda: health(server) == ("NOT_SERVING", 503))


def test_a_version_that_does_not_load(folder):
    save(folder, 1)
    with serving.Server(serving.ServedModel(folder), **FREE) as server:
        broken = folder / "2"
        broken.mkdir()
        (broken / "saved_model.pb").write_bytes(b"broken")
        wait_until(lambda: 2 in states(server) and states(server)[2][0] == "END")
        assert states(server)[2][1]["error_message"]
        assert number_of(server) == 1 and health(server) == ("SERVING", 200)
        shutil.rmtree(broken)
        save(folder, 2)  # Mended, and tried again.
        wait_until(lambda: number_of(server) == 2)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_requests_under_way_are_answered(protocol, folder):
    running = threading.Event()

    def slowly(x):
        running.set()
        time.sleep(0.5)
        return x

    module = save(folder, 1, slowly)  # Keeps the function alive.
    with serving.Server(serving.ServedModel(folder), **FREE) as server:
        make = {"grpc": serving.GrpcClient, "rest": serving.RestClient}[protocol]
        client = make(getattr(server, f"{protocol}_address"), "numbers")
        client.signatures()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            x = {"x": np.float32([0])}
            answer = pool.submit(client.predict, "serving_default", x)
            assert running.wait(30) and not answer.done()
            server.__exit__(None, None, None)
            assert answer.result(30)["y"] == [1]
    del module
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{server.rest_address}/health", timeout=5)


def test_many_streams_at_once(server, tracker):
    """Eight clients of both protocols, whose states stay apart."""
    videos = np.random.default_rng(1).integers(0, 256, [8, 6, 20, 24, 1], np.uint8)
    expected = tracker.predict({"frames": videos}, verbose=0)["boxes"]
    together = threading.Barrier(8)

    def stream(index):
        if index % 2:
            client = serving.GrpcClient(server.grpc_address, "free")
        else:
            client = serving.RestClient(server.rest_address, "free")
        state = client.predict("start", {"frame_size": [[20, 24]]})
        boxes = []
        together.wait(30)
        for frame in videos[index]:
            outputs = client.predict("step", {"frame": frame[None]} | state)
            state = {name: outputs[name] for name in state}
            boxes.append(outputs["boxes"][0])
        return boxes

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        np.testing.assert_allclose(
            list(pool.map(stream, range(8))), expected, atol=1e-3
        )


@pytest.mark.parametrize("port", ["grpc_port", "rest_port"])
def test_a_taken_port(port, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = FREE | {port: taken.getsockname()[1]}
        with (
            pytest.raises(OSError),
            serving.Server(serving.ServedModel(folder), **ports),
        ):
            pass


@pytest.mark.parametrize("port", ["grpc_port", "rest_port"])
@pytest.mark.parametrize("number", [-1, 65_536, 99_999])
def test_ports_that_cannot_be(port, number, folder):
    with pytest.raises(ValueError, match=f"`{port}` to be in 0..65535"):
        serving.Server(serving.ServedModel(folder), **{port: number})


def test_a_host_that_is_not_here(folder):
    with (
        pytest.raises(OSError, match="Could not listen on 192.0.2.1:0"),
        serving.Server(serving.ServedModel(folder), host="192.0.2.1", **FREE),
    ):
        pass


@pytest.mark.parametrize(
    "fails",
    [
        (grpc.aio._server.Server, "add_insecure_port"),
        (serving.Server, "_refresh"),
        (serving.Server, "_rest_server"),
    ],
    ids=lambda fails: fails[1],
)
def test_a_start_that_fails_late_leaves_nothing(fails, folder, monkeypatch):
    """Its ports are free again, and its threads have ended."""
    threads = threading.active_count()
    model = serving.ServedModel(folder)
    ports = {"grpc_port": free_port(), "rest_port": free_port()}
    server = serving.Server(model, **ports)

    def failing(*_, **__):
        raise KeyError("on purpose")

    monkeypatch.setattr(*fails, failing)
    with pytest.raises(KeyError, match="on purpose"):
        server.__enter__()
    monkeypatch.undo()
    assert threading.active_count() == threads
    save(folder, 1)
    with server:
        assert number_of(server) == 1


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_ip_version_6(host, folder):
    save(folder, 1)
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"there is no IPv6: {error}")
    with serving.Server(serving.ServedModel(folder), host=host, **FREE) as server:
        assert server.rest_address.startswith(f"[{host}]:")
        for make, address in (
            (serving.GrpcClient, server.grpc_address),
            (serving.RestClient, server.rest_address),
        ):
            port = address.rpartition(":")[2]
            with make(f"[::1]:{port}", "numbers") as client:
                y = client.predict("serving_default", {"x": [0.0]})["y"]
                assert y == [1]


def test_it_goes_on_watching(folder, monkeypatch, caplog):
    """Whatever goes wrong as it looks for versions."""
    model = serving.ServedModel(folder)
    refresh = model.refresh
    with serving.Server(model, **FREE) as server:
        looked = threading.Event()

        def fails():
            looked.set()
            raise ValueError("unheard of")

        monkeypatch.setattr(model, "refresh", fails)
        assert looked.wait(30)
        monkeypatch.setattr(model, "refresh", refresh)
        (folder / ("9" * 20)).mkdir()
        (folder / ("9" * 20) / "saved_model.pb").touch()
        save(folder, 1)
        wait_until(lambda: health(server) == ("SERVING", 200))
        assert number_of(server) == 1
    assert "unheard of" in caplog.text


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no .*nowhere"):
        serving.ServedModel(tmp_path / "nowhere")


@pytest.mark.skipif(
    library.unavailable_reason() is not None, reason=str(library.unavailable_reason())
)
def test_without_this_package(models, tracker, tmp_path):
    """The folder `serving` alone, with TensorFlow, serves a tracker.

    One that needs the fused op says so.
    """
    shutil.copytree(pathlib.Path(serving.__file__).parent, tmp_path / "serving")
    ratm_tf.export_saved_model(tracker, tmp_path / "fused", ops="fused")
    program = """if True:
        import sys
        sys.modules["ratm_tf"] = None  # Importing it fails.
        import numpy as np
        import serving
        from tensorflow_serving.apis.model_pb2 import ModelSpec
        model = serving.ServedModel(sys.argv[1])
        with serving.Server(model, grpc_port=0, rest_port=0) as server:
            for client in (
                serving.GrpcClient(server.grpc_address, "free"),
                serving.RestClient(server.rest_address, "free"),
            ):
                frames = np.zeros([1, 2, 20, 24, 1], np.uint8)
                print(client.predict("track", {"frames": frames})["boxes"].shape)
        fused = serving.ServedModel(sys.argv[2])
        fused.refresh()
        print(fused.status(ModelSpec(name="fused")))
    """
    result = subprocess.run(
        [sys.executable, "-c", program, models / "free", tmp_path / "fused"],
        cwd=tmp_path,
        env={"PATH": "", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("(1, 2, 4)\n" * 2), result.stderr
    assert "state: END" in result.stdout
    assert "Ratm>GaussianGlimpse" in result.stdout
    assert "tf.load_op_library" in result.stdout


@pytest.fixture
def one_at_a_time(folder):
    """A server that runs one request at a time, which waits; and what it was asked."""
    asked, begun, go_on = [], threading.Semaphore(0), threading.Event()

    def wait(x):
        asked.append(float(x[0]))
        begun.release()
        go_on.wait(60)
        return x

    module = save(folder, 0, wait)
    model = serving.ServedModel(folder)
    with serving.Server(model, **FREE, workers=1, max_bytes=2**20) as server:
        yield server, asked, begun, go_on
        go_on.set()
    del module


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_what_nobody_waits_for_is_not_begun(protocol, one_at_a_time):
    """The queue drains: of those that leave before their turn, none runs."""
    server, asked, begun, go_on = one_at_a_time
    make = {"grpc": serving.GrpcClient, "rest": serving.RestClient}[protocol]
    address = getattr(server, f"{protocol}_address")

    def call(x, timeout=60.0):
        with make(address, "numbers", timeout, attempts=1) as client:
            client.signatures()
            return client.predict("serving_default", {"x": [x]})["y"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = pool.submit(call, 1)
        assert begun.acquire(timeout=30)
        for left in [pool.submit(call, x, 0.5) for x in range(2, 7)]:
            with pytest.raises(serving.ServingError, match="did not answer within"):
                left.result(30)
        last = pool.submit(call, 7)
        time.sleep(0.5)  # The server sees that they left.
        go_on.set()
        assert first.result(30) == 0 and last.result(30) == 0
    assert asked == [1, 7]


def test_clients_that_never_finish_do_not_hold_up_others(folder, caplog):
    """They began a request, of which the rest does not come."""
    save(folder, 1)
    stop = threading.Event()
    request = b"POST /v1/models/numbers:predict HTTP/1.1\r\nHost: x\r\n"

    def never():
        stop.wait(60)
        yield from ()

    with (
        serving.Server(
            serving.ServedModel(folder), **FREE, grace_seconds=0.1
        ) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
        contextlib.ExitStack() as sockets,
    ):
        host, port = server.rest_address.split(":")
        predict = "/tensorflow.serving.PredictionService/Predict"
        for _ in range(50):
            channel.stream_unary(predict).future(never())
            half = sockets.enter_context(socket.create_connection((host, int(port))))
            half.sendall(request + b"Content-Length: 99\r\n\r\n{")
        for make, address in (
            (serving.GrpcClient, server.grpc_address),
            (serving.RestClient, server.rest_address),
        ):
            with make(address, "numbers") as client:
                assert client.predict("serving_default", {"x": [0.0]})["y"] == [1]
        assert health(server) == ("SERVING", 200)
        server.close()
        stop.set()
    assert "Traceback" not in caplog.text


def test_too_many_requests_are_asked_to_try_again(one_at_a_time):
    server, _, begun, go_on = one_at_a_time
    body = json.dumps({"inputs": [0.0], "more": "x" * (2**20 - 100)})
    url = f"http://{server.rest_address}/v1/models/numbers:predict"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = []

        def one_is_refused():
            asked.append(pool.submit(requests.post, url, body, timeout=60))
            answers = [answer.result() for answer in asked if answer.done()]
            return any(answer.status_code == 503 for answer in answers)

        wait_until(one_is_refused)
        assert begun.acquire(timeout=30)
        client = serving.GrpcClient(server.grpc_address, "numbers", 30, attempts=1)
        with pytest.raises(serving.ServingError, match="too many requests. Try again"):
            client.predict("serving_default", {"x": np.zeros(1000, np.float32)})
        client.close()
        go_on.set()
        statuses = [answer.result(60).status_code for answer in asked]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 4
    assert requests.post(url, body, timeout=60).status_code == 200
