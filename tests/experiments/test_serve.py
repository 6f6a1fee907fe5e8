"""The programs `serve.py` and `serve_client.py`, as a user runs them."""

import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest

import ratm_tf

EXPERIMENTS = pathlib.Path(ratm_tf.__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def tracker():
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(units=8, glimpse_size=(6, 6), initial_window="given")
    )
    tracker.build({"frames": (None, None, None, None, 1)})
    return tracker


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A file, and its frames as it decodes."""
    path = tmp_path_factory.mktemp("video") / "disc.avi"
    frames = np.full([5, 80, 96, 3], 40, np.uint8)
    for index, frame in enumerate(frames):
        cv2.circle(frame, (30 + 5 * index, 40), 9, (220, 220, 220), -1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 80))
    for frame in frames:
        writer.write(frame)
    writer.release()
    capture = cv2.VideoCapture(str(path))
    decoded = [capture.read()[1] for _ in frames]
    return path, np.array(decoded)


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
    return subprocess.run(
        [sys.executable, EXPERIMENTS / "serve_client.py", *arguments],
        capture_output=True,
        text=True,
    )


def test_serves_a_video_and_stops(tracker, video, tmp_path):
    path, frames = video
    ratm_tf.export_saved_model(tracker, tmp_path / "disc")
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    inputs = {
        "frames": np.array(grey)[None, ..., None],
        "initial_box": np.float32([[19.5, 29.5, 39.5, 49.5]]),
    }
    expected = tracker.predict(inputs, verbose=0)["boxes"][0]
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
            np.testing.assert_allclose(boxes, expected, atol=0.02)

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
