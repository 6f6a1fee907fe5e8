import cv2
import numpy as np
import pytest


def write_video(path, count=6, size=(40, 60), code="MJPG"):
    """Writes frames whose left half is dark; frame `n` is brighter by 20 `n`."""
    height, width = size
    fourcc = cv2.VideoWriter.fourcc(*code)
    writer = cv2.VideoWriter(str(path), fourcc, 10, (width, height))
    assert writer.isOpened()
    for number in range(count):
        frame = np.full([height, width, 3], 100 + 20 * number, np.uint8)
        frame[:, : width // 2] = 20 * number
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture
def clip(tmp_path):
    """Six frames of 40x60, and a box in the frames 1, 2 and 4."""
    (tmp_path / "clip.csv").write_text(
        "frame,x,y,w,h\n4,10,20,6,4\n1,4,8,6,4\n2,6,8,6,4\n"
    )
    return write_video(tmp_path / "clip.avi")
