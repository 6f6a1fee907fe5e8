import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf import CorrelationCell, Tracker
from ratm_tf.boxes import iou

HEIGHT, WIDTH = 96, 128
RNG = np.random.default_rng(0)


def texture(height, width, channels=3):
    """Something with edges that differ from place to place."""
    coarse = RNG.uniform(size=[height // 4 + 2, width // 4 + 2, channels])
    fine = coarse.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return np.uint8(255 * fine)


BACKGROUND, TARGET = texture(HEIGHT, WIDTH), texture(40, 24)


def film(places, target=TARGET):
    """Frames with the target's first pixel at places (x, y); nothing where None."""
    frames, boxes = [], []
    for place in places:
        frame = BACKGROUND.copy()
        if place is not None:
            x, y = place
            height, width = target.shape[:2]
            frame[y : y + height, x : x + width] = target
            boxes.append([x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5])
        else:
            boxes.append(boxes[-1])
        frames.append(frame)
    return np.stack(frames)[np.newaxis], np.float32(boxes)[np.newaxis]


def features(channels=3):
    keras.utils.set_random_seed(0)
    return ratm_tf.features.target_features(channels)


@pytest.fixture(scope="module")
def tracker():
    return made()


def made(channels=3, **options):
    tracker = Tracker(CorrelationCell(features(channels), units=4, **options))
    tracker.build({"frames": (None, None, None, None, channels)})
    frame = tf.TensorSpec([None, None, None, channels], tf.uint8)
    tracker.quick_step = tf.function(tracker.step, [frame, tracker.state_spec])
    return tracker


def track(tracker, frames, boxes):
    """Outputs `[B, T, ...]`, step by step, by one graph."""
    states = tracker.initial_state(len(frames), (HEIGHT, WIDTH), boxes[:, 0])
    outputs = []
    for frame in np.moveaxis(frames, 1, 0):
        output, states = tracker.quick_step(frame, states)
        outputs.append(output)
    return {name: np.stack([o[name] for o in outputs], axis=1) for name in outputs[0]}


WALK = [(20 + 3 * t, 20 + t) for t in range(12)]


def test_it_follows_what_it_was_shown(tracker):
    frames, boxes = film(WALK)
    tracked = track(tracker, frames, boxes)
    np.testing.assert_allclose(tracked["boxes"][:, 0], boxes[:, 0], atol=1e-3)
    overlaps = iou(boxes, tracked["boxes"]).numpy()
    assert overlaps.min() > 0.6, overlaps
    assert overlaps.mean() > 0.8, overlaps
    np.testing.assert_allclose(tracked["scores"][:, 0], 1)
    assert tracked["glimpses"].shape == (1, len(WALK), 64, 64, 3)


def test_windows_are_as_much_wider_as_they_say(tracker):
    frames, boxes = film(WALK[:2])
    tracked = track(tracker, frames, boxes)
    stride = tracked["windows"][0, 1, 4:]
    size = tracked["boxes"][0, 1, 2:] - tracked["boxes"][0, 1, :2]
    np.testing.assert_allclose(64 * stride, 3.5 * size, rtol=1e-5)
    assert tracker.box_scale == 3.5


def test_it_looks_around_where_it_does_not_see_its_target(tracker):
    place, far = (20, 20), (62, 20)  # One and three quarters of its width away.
    frames, boxes = film([place] * 4 + [far] * 2)
    overlaps = iou(boxes, track(tracker, frames, boxes)["boxes"]).numpy()[0]
    assert overlaps[-1] > 0.7, overlaps


def test_it_keeps_the_first_frame_and_learns_nothing_of_what_hides_its_target(tracker):
    frames, boxes = film(WALK[:5])
    frames[0, 4] = 128
    states = tracker.initial_state(1, (HEIGHT, WIDTH), boxes[:, 0])
    memories = []
    for frame in frames[0]:
        _, states = tracker.quick_step(frame[np.newaxis], states)
        memories.append([state.numpy()[0] for state in states[3:]])
    first, late = np.stack(memories, axis=1)
    np.testing.assert_array_equal(first, np.tile(first[:1], [5, 1]))
    np.testing.assert_array_equal(first[0], late[0])
    changes = np.abs(np.diff(late, axis=0)).max(axis=1)
    assert changes[1] > 0
    # Between, it learns every second time; and then nothing.
    np.testing.assert_array_equal(changes[[0, 2, 3]], 0)


def test_it_grows_with_its_target(tracker):
    frames, boxes = [], []
    for height in range(40, 64, 2):
        width = height * 24 // 40
        rows, columns = np.arange(height) * 40 // height, np.arange(width) * 24 // width
        place = (60 - width // 2, 48 - height // 2)
        frame, box = film([place], TARGET[rows][:, columns])
        frames.append(frame[:, 0])
        boxes.append(box[:, 0])
    tracked = track(tracker, np.stack(frames, axis=1), np.stack(boxes, axis=1))
    first, last = tracked["boxes"][0, 0], tracked["boxes"][0, -1]
    grown = (last[3] - last[1]) / (first[3] - first[1])
    assert 1.1 < grown < 1.7, grown


def test_sequences_do_not_know_of_each_other(tracker):
    here, boxes_here = film(WALK)
    there, boxes_there = film([(70, 40)] * 6 + [None] * 6)
    frames, boxes = (
        np.concatenate([here, there]),
        np.concatenate([boxes_here, boxes_there]),
    )
    together = track(tracker, frames, boxes)
    for index in range(2):
        one = slice(index, index + 1)
        alone = track(tracker, frames[one], boxes[one])
        for name in ("boxes", "scores", "windows"):
            np.testing.assert_allclose(together[name][one], alone[name], 1e-4, 1e-3)


def test_several_targets_share_a_frame(tracker):
    frames, _ = film(WALK)
    boxes = np.float32([[19.5, 19.5, 43.5, 59.5], [80, 50, 100, 80]])
    states = tracker.initial_state(2, (HEIGHT, WIDTH), boxes)
    step = tf.function(tracker.step)
    for frame in frames[0]:
        shared, states = step(frame[np.newaxis], states)
    both = np.concatenate([frames, frames])
    apart = track(tracker, both, boxes[:, np.newaxis])
    np.testing.assert_allclose(shared["boxes"], apart["boxes"][:, -1], 1e-4, 1e-3)


def test_all_its_parts_have_one_form():
    block = ratm_tf.features.InvertedResidual(6, 4, strides=2)
    features = keras.Sequential([keras.Input([16, 16, 1]), block])
    cell = ratm_tf.CorrelationCell(features, implementation="tf")
    parts = [block, cell.glimpse, cell.filter, cell.inner_filter, cell.likelihood]
    assert [part.implementation for part in parts] == ["tf"] * 5
    cell.implementation = "auto"
    assert [part.implementation for part in parts] == ["auto"] * 5


@pytest.mark.parametrize("channels", [1, 3])
def test_implementations_agree(channels):
    frames, boxes = film(WALK)
    frames = frames[..., :channels]
    fused, ours = (
        track(made(channels, implementation=name), frames, boxes)["boxes"]
        for name in ("auto", "tf")
    )
    np.testing.assert_allclose(fused, ours, atol=0.01)


def test_floating_frames_are_the_same(tracker):
    frames, boxes = film(WALK)
    inputs = {"frames": np.float32(frames) / 255, "initial_box": boxes[:, 0]}
    floating = tracker(inputs)
    expected = track(tracker, frames, boxes)
    np.testing.assert_allclose(floating["boxes"], expected["boxes"], atol=0.01)


def test_a_target_of_a_few_pixels_is_not_read_below_their_size(tracker):
    frames, _ = film(WALK)
    tracked = track(tracker, frames, np.float32([[[30, 30, 31, 32]]]))
    size = tracked["boxes"][..., 2:] - tracked["boxes"][..., :2]
    assert size.min() > 5.9
    assert np.isfinite(tracked["boxes"]).all()


def test_steps_are_what_a_whole_video_gives(tracker):
    frames, boxes = film(WALK)
    expected = track(tracker, frames, boxes)
    online = ratm_tf.OnlineTracker(tracker, threshold=0)
    x1, y1, x2, y2 = boxes[0, 0]
    bgr = frames[0, ..., ::-1]
    online.init(bgr[0], (x1 + 0.5, y1 + 0.5, x2 - x1, y2 - y1))
    for index in range(1, len(WALK)):
        ok, _ = online.update(bgr[index])
        assert ok
        np.testing.assert_allclose(online.box, expected["boxes"][0, index], atol=0.01)
        np.testing.assert_allclose(
            online.score, expected["scores"][0, index], atol=1e-3
        )


def test_it_learns_how_sure_it_is_and_nothing_else_moves():
    cell = CorrelationCell(features(), units=4)
    tracker = Tracker(cell)
    tracker.compile(keras.optimizers.Adam(0.1), {"scores": "binary_crossentropy"})
    seen, boxes = film(WALK[:6])
    hidden = seen.copy()
    hidden[:, 2:] = 128
    frames, boxes = np.concatenate([seen, hidden]), np.concatenate([boxes, boxes])
    inputs = {"frames": frames, "initial_box": boxes[:, 0]}
    before = tracker(inputs)["boxes"]
    kernels = cell.features.get_weights()
    # Where the true box is not told, but hits are.
    hits = np.float32(np.arange(6)[None] < [[6], [2]])
    fit = tracker.fit(inputs, {"scores": hits}, epochs=8, verbose=0)
    assert fit.history["loss"][-1] < 0.3 * fit.history["loss"][0]
    scores = tracker(inputs)["scores"].numpy()
    assert scores[0].min() > 0.6 and scores[1, 3:].max() < 0.4, scores
    np.testing.assert_array_equal(tracker(inputs)["boxes"], before)
    for kernel, expected in zip(cell.features.get_weights(), kernels, strict=True):
        np.testing.assert_array_equal(kernel, expected)


def test_a_score_is_taught_by_overlaps_with_true_boxes():
    tracker = Tracker(CorrelationCell(features(), units=4))
    tracker.compile("sgd", {"scores": "binary_crossentropy"})
    frames, boxes = film(WALK[:3])
    inputs = {"frames": frames, "initial_box": boxes[:, 0]}
    scores = tracker(inputs)["scores"].numpy()[0]

    def loss(true_boxes):
        return tracker.evaluate(inputs, {"boxes": true_boxes}, verbose=0)

    np.testing.assert_allclose(loss(boxes), -np.log(scores).mean(), rtol=1e-4)
    elsewhere = boxes + np.float32([[[0], [40], [40]]])
    expected = -np.log([scores[0], 1 - scores[1], 1 - scores[2]]).mean()
    np.testing.assert_allclose(loss(elsewhere), expected, rtol=1e-4)


def test_it_comes_back_from_a_file(tracker, tmp_path):
    frames, boxes = film(WALK)
    expected = track(tracker, frames, boxes)
    tracker.save(tmp_path / "tracker.keras")
    loaded = keras.saving.load_model(tmp_path / "tracker.keras")
    found = loaded({"frames": frames, "initial_box": boxes[:, 0]})
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-3)


@pytest.mark.parametrize(
    "unfit",
    [
        keras.layers.Conv2D(4, 3),
        keras.Sequential([keras.Input([64, 64, 3]), keras.layers.Flatten()]),
        keras.Sequential([keras.Input([64, 64, 3]), keras.layers.Conv2D(4, 3)]),
        keras.Sequential(
            [keras.Input([64, 48, 3]), keras.layers.Conv2D(4, 3, 2, "same")]
        ),
    ],
)
def test_unfit_features_are_refused(unfit):
    with pytest.raises(ValueError, match="Expected `features`"):
        CorrelationCell(unfit)


def test_frames_of_other_channels_are_refused(tracker):
    frames, boxes = film(WALK)
    inputs = {"frames": frames[..., :1], "initial_box": boxes[:, 0]}
    with pytest.raises(ValueError, match="Expected `frames` of shape .* 3"):
        tracker(inputs)
