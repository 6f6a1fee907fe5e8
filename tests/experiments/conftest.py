import pathlib

import cv2
import keras
import numpy as np
import pytest

import ratm_tf
from tests import programs

EXPERIMENTS = pathlib.Path(ratm_tf.__file__).parents[1] / "experiments"


@pytest.fixture
def run():
    """Runs a program of the experiments with flags."""

    def run(program, *given, **flags):
        arguments = [*given, *(f"--{name}={value}" for name, value in flags.items())]
        result = programs.run(EXPERIMENTS / program, *arguments)
        print(result.stderr)  # seen where a test fails
        result.check_returncode()
        return result

    return run


@pytest.fixture(scope="session")
def tracker():
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(units=8, glimpse_size=(6, 6), initial_window="given")
    )
    tracker.build({"frames": (None, None, None, None, 1)})
    return tracker


@pytest.fixture(scope="session")
def video(tracker, tmp_path_factory):
    """A file, its frames as it decodes, and their boxes from (20, 30, 20, 20) on."""
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
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in decoded]
    inputs = {
        "frames": np.array(grey)[None, ..., None],
        "initial_box": np.float32([[19.5, 29.5, 39.5, 49.5]]),
    }
    boxes = tracker.predict(inputs, verbose=0)["boxes"][0]
    return path, np.array(decoded), boxes
