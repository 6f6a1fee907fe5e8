import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf import online_tracker
from ratm_tf.training.score import _with_score

VIDEO = np.random.default_rng(0).integers(0, 256, [6, 20, 24, 1], np.uint8)


@pytest.fixture(
    params=[{}, {"initial_window": "given", "sees_window": True, "scales": (1, 3)}],
    ids=["learned", "given"],
)
def tracker(request):
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=keras.layers.GRUCell(8),
            glimpse_size=(8, 8),
            **request.param,
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
        np.testing.assert_allclose(boxes, whole, atol=1e-3)


def test_the_quick_call_is_that_of_the_function():
    variable = tf.Variable([2.0, 3.0])
    function = tf.function(lambda x: x * variable).get_concrete_function(
        tf.TensorSpec([None], tf.float32)
    )
    quick = online_tracker._flat(function)
    assert quick is not function
    for value in (1.0, 5.0):
        variable.assign_add([value, 1.0])
        ones = np.ones(2, np.float32)
        np.testing.assert_array_equal(quick(ones), function(tf.constant(ones)))


def test_where_there_is_no_quick_call_it_is_the_function():
    found = online_tracker._flat(lambda tensor: tensor + 1)(np.ones(2))
    np.testing.assert_array_equal(found, [2, 2])


@pytest.mark.parametrize("shift", [0, 1, 3])
@pytest.mark.parametrize("writable", [False, True])
def test_frames_lie_in_memory_as_they_like(shift, writable):
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, (8, 8)))
    tracker.build({"frames": (None, None, None, None, 1)})
    memory = np.zeros(VIDEO.nbytes + shift, np.uint8)
    video = memory[shift:].reshape(VIDEO.shape)
    video[...] = VIDEO
    video.flags.writeable = writable
    boxes = []
    for frames in (VIDEO, video, np.ascontiguousarray(VIDEO[:, :, ::-1])[:, :, ::-1]):
        online = ratm_tf.OnlineTracker(tracker)
        online.init(frames[0])
        for frame in frames[1:]:
            online.update(frame)
        boxes.append(online.box)
    np.testing.assert_array_equal(boxes[1:], [boxes[0]] * 2)


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame[..., 0],
        lambda frame: np.repeat(frame, 3, axis=-1),
        lambda frame: np.repeat(frame, 4, axis=-1),
        lambda frame: frame / np.float32(255),
        lambda frame: np.repeat(frame, 3, axis=-1) / np.float64(255),
        lambda frame: (frame / 255).astype(np.float16),
    ],
    ids=["grey", "bgr", "bgra", "float", "float64 bgr", "float16"],
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


def test_colours_are_in_the_order_of_opencv(tracker):
    """Grey as OpenCV has it; RGB for trackers of colour frames."""
    bgr = np.random.default_rng(1).integers(0, 256, [3, 20, 24, 3], np.uint8)
    rgb = bgr[..., ::-1]
    coloured = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=keras.layers.GRUCell(8),
            glimpse_size=(8, 8),
            initial_window=tracker.cell.initial_window,
        )
    )
    coloured.build({"frames": (None, None, None, None, 3)})
    coloured.cell.window.kernel.assign(coloured.cell.window.kernel * 50)
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in bgr])
    bgra = np.insert(bgr, 3, 7, axis=-1)
    for subject, frames, given in (
        (tracker, grey[..., None], (bgr, bgra)),
        (coloured, rgb, (bgr, bgra)),
        (coloured, np.stack([grey] * 3, axis=-1), (grey,)),
    ):
        box = start(tracker)[1]
        whole = subject.predict({"frames": frames[None]} | box, verbose=0)["boxes"][0]
        for colours in given:
            online = ratm_tf.OnlineTracker(subject)
            online.init(colours[0], **start(tracker)[0])
            for frame in colours[1:]:
                online.update(frame)
            np.testing.assert_allclose(online.box, whole[-1], atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_that_is_not_finite_is_passed_over(tracker, value):
    frames = VIDEO / np.float32(255)
    boxes = []
    for damaged in (False, True):
        online = ratm_tf.OnlineTracker(tracker)
        online.init(frames[0], **start(tracker)[0])
        online.update(frames[1])
        if damaged:
            before = online.box
            frame = frames[2].copy()
            frame[3, 4] = value
            assert online.update(frame)[0] is False
            np.testing.assert_array_equal(online.box, before)
        assert online.update(frames[3])[0] is True
        boxes.append(online.box)
    np.testing.assert_array_equal(*boxes)
    with pytest.raises(ValueError, match="finite `frame`"):
        online.init(frames[0] * np.float32(np.nan), **start(tracker)[0])


def test_what_is_refused_changes_nothing(tracker):
    boxes = []
    for refused in (False, True):
        online = ratm_tf.OnlineTracker(tracker)
        online.init(VIDEO[0], **start(tracker)[0])
        if refused:
            for frame, box in (
                (VIDEO[0], (3, 4, 0, 5)),
                (VIDEO[0], (3, 4, np.nan, 5)),
                (VIDEO[0], (1, 2, 3, 4, 5)),
                (VIDEO[0], (30, 4, 5, 5)),
                (np.zeros([4, 4, 2], np.uint8), (1, 1, 2, 2)),
                (VIDEO[0], None if start(tracker)[0] else (1, 1, 5, 5)),
            ):
                with pytest.raises(ValueError, match="box|frame"):
                    online.init(frame, box)
        online.update(VIDEO[1])
        boxes.append(online.box)
    np.testing.assert_array_equal(*boxes)


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda frame: frame.astype(np.int64), "uint8.*int64"),
        (lambda frame: frame.astype(np.uint16), "uint8.*uint16"),
        (lambda frame: frame > 100, "uint8.*bool"),
        (lambda frame: frame.astype(np.float32), r"in 0\.\.1.*25\d"),
        (lambda frame: frame / np.float32(255) - 1, r"in 0\.\.1.*-"),
        (lambda frame: frame[:0], "frame"),
    ],
    ids=["int", "uint16", "bool", "float in 0..255", "negative", "empty"],
)
def test_frames_of_another_kind_are_refused(tracker, convert, message):
    online = ratm_tf.OnlineTracker(tracker)
    with pytest.raises(ValueError, match=message):
        online.init(convert(VIDEO[0]), **start(tracker)[0])


def test_frames_of_many_sizes_share_a_graph(tracker):
    online = ratm_tf.OnlineTracker(tracker)
    traces = online._step.experimental_get_tracing_count()
    for size in range(12, 20):
        online.init(VIDEO[0, :size], **start(tracker)[0])
        online.update(VIDEO[1, :size])
    assert online._step.experimental_get_tracing_count() == traces


def test_unbuilt_tracker_is_named():
    with pytest.raises(ValueError, match="built `tracker`"):
        ratm_tf.OnlineTracker(ratm_tf.Tracker(ratm_tf.RATMCell(8)))


def test_not_ok_off_the_frame(tracker):
    online = ratm_tf.OnlineTracker(tracker)
    online.init(VIDEO[0], **start(tracker)[0])
    for x, ok in ((-200.0, False), (10.0, True), (np.nan, False)):
        window = tracker.window_from_box(np.float32([[x, 5, x + 6, 12]]))
        online._by_graph = lambda frame, window=window: [window.numpy()]
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


def test_says_when_it_is_not_sure():
    """Bright glimpses are what it looks for; black frames show nothing."""
    score = keras.Sequential(
        [
            keras.Input([8, 8, 1]),
            keras.layers.Flatten(),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    score.set_weights([np.full([64, 1], 0.25, np.float32), np.float32([-2])])
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(4, glimpse_size=(8, 8)), score=score)
    tracker.build({"frames": (None, None, None, None, 1)})
    video = np.full([4, 20, 24, 1], 255, np.uint8)
    video[2:] = 0
    online = ratm_tf.OnlineTracker(tracker)
    online.init(video[0])
    scores = [online.score]
    for frame, expected in zip(video[1:], [True, False, False], strict=True):
        ok, _ = online.update(frame)
        assert ok is expected
        scores.append(online.score)
    whole = tracker({"frames": video[None]})["scores"][0]
    np.testing.assert_allclose(scores, whole, atol=1e-5)
    assert scores[0] > 0.9 and scores[-1] < 0.2

    easy = ratm_tf.OnlineTracker(tracker, threshold=0.0)
    easy.init(video[0])
    assert easy.update(video[-1])[0] is True
    for threshold in (-0.1, 1.1):
        with pytest.raises(ValueError, match="`threshold` to be in 0..1"):
            ratm_tf.OnlineTracker(tracker, threshold)


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 3.0)])
def test_several_targets_are_as_many_trackers(scales):
    keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(
        recurrent_cell=keras.layers.GRUCell(8),
        glimpse_size=(8, 8),
        initial_window="given",
        scales=scales,
    )
    score = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")])
    tracker = ratm_tf.Tracker(cell, score=score)
    tracker.build({"frames": (None, None, None, None, 1)})
    cell.window.kernel.assign(cell.window.kernel * 50)
    targets = [(3, 4, 10, 8), (8, 2, 9, 12), (1, 1, 5, 6)]
    together = ratm_tf.OnlineTracker(tracker)
    for count in (3, 1, 2):  # One tracker, whatever it followed before.
        alone = [ratm_tf.OnlineTracker(tracker) for _ in range(count)]
        together.init(VIDEO[0], targets[:count])
        for one, box in zip(alone, targets, strict=False):
            one.init(VIDEO[0], box)
        for frame in VIDEO[1:]:
            oks, boxes = together.update(frame)
            told = [one.update(frame) for one in alone]
            assert oks == [ok for ok, _ in told]
            assert boxes == [box for _, box in told]
        assert together.box.shape == (count, 4)
        np.testing.assert_allclose(together.box, [one.box for one in alone], atol=1e-3)
        np.testing.assert_allclose(
            together.score, [one.score for one in alone], atol=1e-4
        )
    assert np.ptp(together.box[:, 0]) > 0.5
    together.init(VIDEO[0], targets[0])
    assert together.box.shape == (4,) and together.update(VIDEO[1])[1]


def test_each_of_several_boxes_is_checked():
    tracker = ratm_tf.load_pretrained("people")
    online = ratm_tf.OnlineTracker(tracker)
    for boxes in ([(3, 4, 10, 8), (3, 4, 0, 8)], [(3, 4, 10)], [], [[(3, 4, 10, 8)]]):
        with pytest.raises(ValueError, match="Expected `box` to be finite"):
            online.init(VIDEO[0], boxes)


@pytest.mark.parametrize("scored", [False, True])
def test_what_it_sees_is_kept(tracker, scored):
    if scored:
        network = ratm_tf.training.score_network(tracker.cell.glimpse_shape)
        tracker = _with_score(tracker, network)
    opencv_box, box = start(tracker)
    whole = tracker.predict({"frames": VIDEO[None]} | box, verbose=0)
    online = ratm_tf.OnlineTracker(tracker, keep_glimpse=True)
    for number, frame in enumerate(VIDEO):
        if number == 0:
            online.init(frame, **opencv_box)
        else:
            online.update(frame)
        expected = whole["glimpses"][0, number]
        np.testing.assert_allclose(online.glimpse, expected, atol=1e-4)
        np.testing.assert_allclose(online.box, whole["boxes"][0, number], atol=1e-3)
        assert (online.score is not None) == scored
    if opencv_box:
        online.init(VIDEO[0], [(3, 4, 10, 8), (5, 6, 10, 8)])
        assert online.glimpse.shape == (2, 8, 8, 1)
    assert ratm_tf.OnlineTracker(tracker).glimpse is None


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_plain_cell_goes_on_as_in_the_whole_video(dtype):
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, (8, 8), initial_window="given"))
    tracker.build({"frames": (None, None, None, None, 1)})
    tracker.cell.window.kernel.assign(tracker.cell.window.kernel * 50)
    frames = VIDEO if dtype == "uint8" else (VIDEO / 255).astype(dtype)
    boxes = np.float32([[2.5, 3.5, 12.5, 11.5], [7.5, 1.5, 16.5, 13.5]])
    whole = tracker.predict(
        {"frames": np.stack([frames] * 2), "initial_box": boxes}, verbose=0
    )
    assert np.ptp(whole["boxes"][:, :, 0], axis=1).min() > 0.3
    together = ratm_tf.OnlineTracker(tracker, keep_glimpse=True)
    alone = ratm_tf.OnlineTracker(tracker)
    for _ in range(2):
        together.init(frames[0], [(3, 4, 10, 8), (8, 2, 9, 12)])
        alone.init(frames[0], (8, 2, 9, 12))
        for t, frame in enumerate(frames):
            if t > 0:
                together.update(frame)
                alone.update(frame)
            found = whole["boxes"][:, t]
            np.testing.assert_allclose(together.box, found, atol=1e-3)
            np.testing.assert_allclose(alone.box, found[1], atol=1e-3)
            glimpses = whole["glimpses"][:, t]
            np.testing.assert_allclose(together.glimpse, glimpses, atol=1e-4)
    tracker.cell.window.kernel.assign(tracker.cell.window.kernel * 0)
    alone.init(frames[0], (8, 2, 9, 12))
    assert alone.update(frames[1]) == (True, (8, 2, 9, 12))
