import logging

import cv2
import numpy as np
import pytest

from ratm_tf.datasets.kth.annotations import BadSequence
from ratm_tf.datasets.kth.videos import read_sequences
from tests.datasets.kth.clips import BOX_FILE, DUMMY, JOGGING, block, replace


def test_boxes_fit_the_frames_they_are_for():
    found = list(read_sequences(DUMMY, [1, 2], ["jogging", "walking"]))
    assert [(row.subject, row.sequence, len(frames)) for row, frames in found] == [
        (1, 1, 4),
        (1, 2, 4),
        (2, 1, 4),
        (2, 2, 3),
    ]
    for row, frames in found:
        assert frames.dtype == np.uint8 and frames.shape[1:] == (120, 160, 1)
        blocks = [block(frame) for frame in frames]
        np.testing.assert_allclose(row.boxes, blocks, atol=1)  # JPEG blurs
        assert len({tuple(box) for box in blocks}) == len(frames)


def missing(data):
    (data / JOGGING).unlink()
    return "5, 6", f"{JOGGING}, which is missing"


def truncated(data):
    whole = (data / JOGGING).read_bytes()
    (data / JOGGING).write_bytes(whole[: len(whole) * 4 // 5])
    return "6", "Expected 9 frames in .*, which says it has 9. Received: [4-8]"


def longer(data):
    boxes = " 31 21 90 44" * 5
    replace(data / BOX_FILE, 6, f"1 1 4 2 6 10{boxes}")
    return "6", "Expected 10 frames in .*, which says it has 9. Received: 9"


def no_video(data):
    (data / JOGGING).write_text("nothing")
    return "5, 6", "Expected 9 frames in .*, which says it has 0. Received: 0"


def of_another_size(data):
    writer = cv2.VideoWriter(
        str(data / JOGGING), cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 60)
    )
    for _ in range(9):
        writer.write(np.zeros([60, 80, 3], np.uint8))
    writer.release()
    return "5, 6", r"to have frames of the shape \(120, 160\). Received: \(60, 80\)"


@pytest.mark.parametrize(
    "spoil", [missing, truncated, longer, no_video, of_another_size]
)
def test_a_bad_video_is_named_or_skipped(data, spoil, caplog):
    lines, complaint = spoil(data)
    pattern = f"{data / BOX_FILE}:{lines}: .*{complaint}"
    with pytest.raises(BadSequence, match=pattern):
        list(read_sequences(data, [1, 2], ["jogging", "walking"]))
    with caplog.at_level(logging.WARNING):
        found = read_sequences(data, [1, 2], ["jogging", "walking"], skip_bad=True)
        assert len(list(found)) == 4 - len(lines.split(","))
    assert f"{BOX_FILE}:{lines}: " in caplog.text
