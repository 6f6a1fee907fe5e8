import json
import subprocess

import cv2
import numpy as np
import pytest


def test_tracks_a_video(run, tracker, video, tmp_path):
    path, frames, expected = video
    tracker.save(tmp_path / "disc.keras")
    flags = {"model": tmp_path / "disc.keras", "video": path}
    output = tmp_path / "tracked.mp4"
    result = run("track.py", initial_box="20,30,20,20", output=output, **flags)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(5))
    np.testing.assert_allclose([line["box"] for line in lines], expected, atol=1e-3)
    drawn = cv2.VideoCapture(str(output))
    assert drawn.get(cv2.CAP_PROP_FPS) == 10
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)

    with pytest.raises(subprocess.CalledProcessError) as error:
        run("track.py", **flags)
    assert "Error: " in error.value.stderr and "Traceback" not in error.value.stderr
    assert "initial_box" in error.value.stderr
