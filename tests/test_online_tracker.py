import keras
import numpy as np
import pytest

import ratm_tf

VIDEO = np.random.default_rng(0).integers(0, 256, [6, 20, 24, 1], np.uint8)


@pytest.fixture(params=["learned", "given"])
def tracker(request):
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=keras.layers.GRUCell(8),
            glimpse_size=(8, 8),
            initial_window=request.param,
        )
    )
    tracker.build({"frames": (None, None, None, None, 1)})
    tracker.cell.window.kernel.assign(tracker.cell.window.kernel * 50)
    return tracker


def start(tracker):
    """OpenCV's box for the first frame, and the tracker's."""
    if tracker.cell.initial_window == "learned":
        return {}, {}
    return {"box": (3, 4, 10, 8)}, {"initial_box": np.float32([[2.5, 3.5, 12.5, 11.5]])}


def test_frame_by_frame_is_the_whole_video(tracker):
    opencv_box, box = start(tracker)
    whole = tracker.predict({"frames": VIDEO[None]} | box, verbose=0)["boxes"][0]
    assert np.ptp(whole[:, 0]) > 0.5
    online = ratm_tf.OnlineTracker(tracker)
    for _ in range(2):
        assert online.init(VIDEO[0], **opencv_box) is None
        boxes = [online.box]
        for frame in VIDEO[1:]:
            ok, rectangle = online.update(frame)
            boxes.append(online.box)
            x1, y1, x2, y2 = online.box
            assert ok
            np.testing.assert_allclose(
                rectangle, (x1 + 0.5, y1 + 0.5, x2 - x1, y2 - y1), atol=0.51
            )
            assert all(isinstance(number, int) for number in rectangle)
        np.testing.assert_allclose(boxes, whole, atol=1e-4)


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame[..., 0],
        lambda frame: np.repeat(frame, 3, axis=-1),
        lambda frame: frame / np.float32(255),
    ],
    ids=["grey", "bgr", "float"],
)
def test_frames_as_opencv_reads_them(tracker, convert):
    boxes = []
    for frames in (VIDEO, [convert(frame) for frame in VIDEO]):
        online = ratm_tf.OnlineTracker(tracker)
        online.init(frames[0], **start(tracker)[0])
        for frame in frames[1:]:
            online.update(frame)
        boxes.append(online.box)
    np.testing.assert_allclose(*boxes, atol=0.05)


def test_not_ok_off_the_frame(tracker):
    online = ratm_tf.OnlineTracker(tracker)
    online.init(VIDEO[0], **start(tracker)[0])
    for x, ok in ((-200.0, False), (10.0, True), (np.nan, False)):
        box = np.float32([x, 5, x + 6, 12])
        online._advance = lambda frame, box=box: setattr(online, "box", box)
        assert online.update(VIDEO[1])[0] is ok


def test_clear_errors(tracker):
    online = ratm_tf.OnlineTracker(tracker)
    with pytest.raises(RuntimeError, match="init"):
        online.update(VIDEO[0])
    online.init(VIDEO[0], **start(tracker)[0])
    with pytest.raises(ValueError, match="shape"):
        online.update(VIDEO[0][:-1])
    with pytest.raises(ValueError, match="frame"):
        online.init(np.zeros([4, 4, 2], np.uint8), **start(tracker)[0])
    with pytest.raises(ValueError, match="box"):
        online.init(VIDEO[0], box=(3, 4, 0, 5))
    with pytest.raises(ValueError, match="initial_box"):
        online.init(VIDEO[0], **({} if start(tracker)[0] else {"box": (1, 1, 5, 5)}))
