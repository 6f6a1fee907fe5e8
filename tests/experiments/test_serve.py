"""The programs `serve.py` and `serve_client.py`, as a user runs them."""

import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys

import cv2
import numpy as np

import ratm_tf
from ratm_tf.boxes import xywh_from_xyxy
from tests import programs

EXPERIMENTS = pathlib.Path(ratm_tf.__file__).parents[1] / "experiments"


@contextlib.contextmanager
def serve(folder):
    process = subprocess.Popen(
        [sys.executable, EXPERIMENTS / "serve.py", f"--model={folder}"]
        + ["--grpc_port=0", "--rest_port=0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield dict(re.findall(r"(gRPC|REST) at (?:http://)?([\w.]+:\d+)", line))
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "Stopping\n"
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def client(**flags):
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    return programs.run(EXPERIMENTS / "serve_client.py", *arguments)


def test_serves_a_video_and_stops(tracker, video, tmp_path):
    path, frames, expected = video
    ratm_tf.export_saved_model(tracker, tmp_path / "disc")
    with serve(tmp_path / "disc") as addresses:
        for flags in (
            {"grpc": addresses["gRPC"], "output": tmp_path / "tracked.avi"},
            {"rest": addresses["REST"], "stream": True},
        ):
            flags |= {"model": "disc", "video": path, "image_format": "png"}
            result = client(**flags, initial_box="20,30,20,20")
            assert result.returncode == 0, result.stderr
            lines = [json.loads(line) for line in result.stdout.splitlines()]
            assert [line["frame"] for line in lines] == list(range(5))
            boxes = [line["box"] for line in lines]
            # The two may round a grey level differently.
            np.testing.assert_allclose(boxes, xywh_from_xyxy(expected), atol=0.02)

        drawn = cv2.VideoCapture(str(tmp_path / "tracked.avi"))
        assert drawn.get(cv2.CAP_PROP_FPS) == 10
        images = [drawn.read()[1] for _ in frames]
        assert not drawn.read()[0]
        # The frames are grey, the box is red.
        blue, _, red = np.moveaxis(np.array(images, int), -1, 0)
        assert ((red - blue).max(axis=(1, 2)) > 60).all()


def test_the_client_says_what_is_missing(video):
    address = "127.0.0.1:1"
    result = client(rest=address, model="disc", video=video[0], attempts=1)
    assert result.returncode == 1 and not result.stdout
    assert f"Error: No server answers at {address}" in result.stderr
    assert "Traceback" not in result.stderr


def fails(*arguments, before=""):
    """The one line that the server ends with; `before` is run in its process."""
    code = f"""
import runpy, sys
{before}
sys.argv = ["serve.py", *{list(map(str, arguments))!r}]
runpy.run_path({str(EXPERIMENTS / "serve.py")!r}, run_name="__main__")
"""
    result = programs.run_code(code)
    assert result.returncode == 1 and not result.stdout
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    (line,) = [line for line in lines if line.startswith("Error: ")]
    return line


def test_the_server_says_what_is_wrong(tmp_path):
    assert "There is no" in fails(f"--model={tmp_path / 'nowhere'}")
    model = f"--model={tmp_path}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for flags in (
            (f"--grpc_port={port}", "--rest_port=0"),
            (f"--rest_port={port}", "--grpc_port=0"),
        ):
            assert f"Could not listen on 127.0.0.1:{port}" in fails(model, *flags)
    (tmp_path / "batching.config").write_text("max_batch_size { value: many }")
    config = f"--batching_parameters_file={tmp_path / 'batching.config'}"
    assert "batching.config, line 1" in fails(model, config)
    without = "sys.modules['uvicorn'] = None"
    assert 'pip install "ratm-tf[serving]"' in fails(model, before=without)
