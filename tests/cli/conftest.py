import os

import cv2
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from ratm_tf.cli import (  # noqa: F401  (define the flags)
    compare,
    program,
    report,
    tracker,
    video,
)


@pytest.fixture
def set_flags():
    """Sets flags for the length of a test."""
    flags.FLAGS.mark_as_parsed()
    saved = flagsaver.save_flag_values()

    def set_flags(**values):
        for name, value in values.items():
            setattr(flags.FLAGS, name, value)

    yield set_flags
    flagsaver.restore_flag_values(saved)


@pytest.fixture
def no_display(monkeypatch):
    if os.name != "posix":
        pytest.skip("others have their own display")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def write_clip():
    """Writes a video whose frames become brighter."""

    def write(path, count=6, rate=10, size=(48, 40)):
        code = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path), code, rate, size)
        for number in range(count):
            writer.write(np.full([size[1], size[0], 3], 30 * number, np.uint8))
        writer.release()
        return path

    return write


@pytest.fixture
def clip(write_clip, tmp_path):
    return write_clip(tmp_path / "clip.avi")
