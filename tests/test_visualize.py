import cv2
import numpy as np
import pytest

from ratm_tf import one_pass
from ratm_tf.visualize import (
    GREEN,
    RED,
    draw_boxes,
    film_strip,
    filter_banks_plot,
    inset_glimpses,
    iou_plot,
    one_pass_plot,
    reliability_plot,
    save_animation,
    save_image,
    true_boxes_strip,
    window_plot,
)


def test_boxes_lie_where_their_coordinates_say():
    frames = np.zeros([2, 6, 8, 1], np.uint8)
    drawn = draw_boxes(frames, [[0.5, 1.5, 3.75, 4.5], [2, 1, 5, 3]], scale=40)
    assert drawn.shape == (2, 240, 320, 3) and drawn.dtype == np.uint8
    # The left edge of pixel 1 is 1 * 40 enlarged pixels from the frame's edge.
    for image, box in zip(
        drawn, [(40, 80, 170, 200), (100, 60, 220, 140)], strict=True
    ):
        ys, xs = np.nonzero(image[..., 0] > 64)
        np.testing.assert_allclose((xs.min(), ys.min()), box[:2], atol=2)
        np.testing.assert_allclose((xs.max(), ys.max()), box[2:], atol=2)
        assert not image[box[1] + 5 : box[3] - 5, box[0] + 5 : box[2] - 5].any()


def test_frames_are_enlarged_and_in_colour():
    rng = np.random.default_rng(0)
    nowhere = np.full([2, 4], np.nan)
    for channels in (1, 3):
        frames = rng.integers(0, 256, [2, 10, 12, channels]).astype(np.uint8)
        drawn = draw_boxes(frames, nowhere, scale=3)
        expected = np.broadcast_to(frames, [2, 10, 12, 3])
        np.testing.assert_array_equal(drawn[:, 1::3, 1::3], expected)
        np.testing.assert_array_equal(
            draw_boxes(frames / np.float32(255), nowhere, scale=3), drawn
        )
    assert draw_boxes(frames, nowhere).shape == (2, 170, 204, 3)


def test_large_frames_are_reduced_with_their_boxes():
    frames = np.zeros([2, 480, 640, 1], np.uint8)
    frames[:, 100:200, 320:480] = 200
    drawn = draw_boxes(frames, [[319.5, 99.5, 479.5, 199.5]] * 2)
    assert drawn.shape == (2, 150, 200, 3)
    block = np.argwhere(drawn[0, :, :, 2] > 150)  # within the box's red line
    np.testing.assert_allclose(block.min(axis=0), [100 / 3.2, 100], atol=3)
    np.testing.assert_allclose(block.max(axis=0), [200 / 3.2, 150], atol=3)
    lines = np.argwhere((drawn[0] == RED).all(axis=-1))
    middle = (lines.min(axis=0) + lines.max(axis=0)) / 2
    np.testing.assert_allclose(middle, [150 / 3.2, 125], atol=1)
    assert draw_boxes(frames, [[0] * 4] * 2, scale=0.25).shape == (2, 120, 160, 3)


def test_several_boxes_each_have_their_colour():
    boxes = [[[1, 1, 4, 4], [6, 6, 9, 9]]]
    drawn = draw_boxes(np.zeros([1, 12, 12, 1]), boxes, [RED, GREEN], scale=10)[0]
    assert (drawn[:50, :50] == RED).all(axis=-1).any()
    assert (drawn[60:, 60:] == GREEN).all(axis=-1).any()
    assert not (drawn[60:, 60:] == RED).all(axis=-1).any()


def test_boxes_off_the_frame_or_not_finite_do_no_harm():
    boxes = [[-1e30, -1e30, 1e30, 1e30], [np.inf, 0, 1, np.nan], [90, 90, 99, 99]]
    assert not draw_boxes(np.zeros([3, 20, 20, 1]), boxes).any()


def test_frames_stay_untouched():
    frames = np.zeros([1, 20, 20, 3], np.uint8)
    draw_boxes(frames, [[1, 1, 9, 9]], scale=1)
    assert not frames.any()


def test_film_strip_layout():
    frames = np.full([2, 3, 20, 40, 1], 0.2)
    glimpses = np.full([2, 3, 8, 4, 1], 0.6)
    boxes = np.tile([5.0, 5.0, 15.0, 15.0], [2, 3, 1])
    strip = film_strip(frames, glimpses, boxes, boxes + 3, scale=2)
    # Frames of 40 x 80 over glimpses of 160 x 80, with gaps of 4 and 12.
    assert strip.shape == (2 * (40 + 4 + 160) + 12, 3 * 80 + 2 * 4, 3)
    for top in (0, 216):
        for left in (0, 84, 168):
            frame = strip[top : top + 40, left : left + 80]
            assert (frame[0, 0] == 51).all()
            assert (frame == RED).all(axis=-1).any()
            assert (frame == GREEN).all(axis=-1).any()
            assert (strip[top + 44 : top + 204, left : left + 80] == 153).all()
    assert (strip[:, 80:84] == 255).all() and (strip[204:216] == 255).all()

    plain = film_strip(frames, glimpses, boxes, scale=2)
    assert plain.shape == strip.shape
    assert not (plain == GREEN).all(axis=-1).any()


def test_true_boxes_are_shown_where_there_are_some():
    """Three frames of each sequence, from its first box to its last."""
    numbers = np.arange(9, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(numbers, [9, 100, 100, 1])
    box = np.tile([20, 30, 59, 79], [9, 1])
    masked = {"boxes": box, "mask": np.isin(np.arange(9), [2, 3, 7])}
    examples = [{"frames": frames * 20} | masked, {"frames": frames, "boxes": box}]
    strip = true_boxes_strip(examples, columns=3)
    assert strip.shape == (2 * 204 - 4, 3 * 204 - 4, 3)
    for row, levels in enumerate(([40, 60, 140], [0, 4, 8])):
        for column, level in enumerate(levels):
            shown = strip[204 * row :, 204 * column :][:200, :200]
            assert (shown[5, 5] == level).all() and (shown[100, 80] == level).all()
            np.testing.assert_array_equal(shown[110, 40], GREEN)


def test_saved_image_is_read_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, [9, 7, 3]).astype(np.uint8)
    save_image(tmp_path / "new" / "image.png", image)
    read = cv2.imread(str(tmp_path / "new" / "image.png"))
    np.testing.assert_array_equal(read[..., ::-1], image)


def test_saved_animation_is_read_back(tmp_path):
    frames = np.zeros([4, 30, 40, 3], np.uint8)
    for time, frame in enumerate(frames):
        frame[:, 10 * time : 10 * time + 10] = RED
    save_animation(tmp_path / "new" / "animation.gif", frames, frames_per_second=5)
    ok, animation = cv2.imreadanimation(str(tmp_path / "new" / "animation.gif"))
    assert ok and list(animation.durations) == [200] * 4
    for read, frame in zip(animation.frames, frames, strict=True):
        difference = read[..., :3][..., ::-1].astype(int) - frame
        assert np.abs(difference).mean() < 8


FRAMES = np.zeros([2, 20, 20, 1])
BATCH = np.zeros([1, 2, 20, 20, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_boxes(FRAMES[0], [[1, 1, 2, 2]]), "`frames` to have 4 dim"),
        (lambda: draw_boxes(FRAMES.repeat(2, -1), [[1] * 4] * 2), "1 or 3 channels"),
        (
            lambda: draw_boxes(FRAMES, [[1, 1, 2, 2]]),
            r"`boxes`.*Received shape: \[1, 1, 4\]",
        ),
        (lambda: draw_boxes(FRAMES, [[1] * 4] * 2, scale=1.5), "`scale`.* 1.5"),
        (lambda: draw_boxes(FRAMES, [[1] * 4] * 2, scale=0), "`scale`.* 0"),
        (
            lambda: film_strip(BATCH, BATCH[:, :1], np.zeros([1, 2, 4])),
            r"`glimpses`.* \[1, 2\]. Received shape: \[1, 1, 20, 20, 3\]",
        ),
        (
            lambda: film_strip(BATCH, BATCH, np.zeros([1, 2, 4]), np.zeros([2, 4])),
            r"`true_boxes`.*Received shape: \[2, 4\]",
        ),
        (
            lambda: save_image("a.nothing", np.zeros([2, 2, 3], np.uint8)),
            "`path`.*a.nothing",
        ),
        (lambda: save_image("a.png", np.zeros([2, 2, 3])), "`image` to be uint8"),
        (
            lambda: save_animation("a.gif", np.zeros([2, 2, 3], np.uint8)),
            "`frames` to be uint8 with 4 dimensions",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros([1, 8, 8, 1], np.int64), "dtype: int64"),
        (np.zeros([1, 8, 8, 1], np.uint16), "dtype: uint16"),
        (np.full([1, 8, 8, 1], 200.0), "in 0..1.*200"),
    ],
)
def test_frames_of_another_range_are_refused(frames, message):
    """They would be painted white."""
    with pytest.raises(ValueError, match=f"`frames`.*{message}"):
        draw_boxes(frames, [[1, 1, 4, 4]])


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_an_animation_has_a_speed(tmp_path, rate):
    with pytest.raises(ValueError, match="`frames_per_second`"):
        save_animation(tmp_path / "a.gif", np.zeros([2, 9, 9, 3], np.uint8), rate)


def drawn_lines(monkeypatch):
    """The lines of plots, as they are drawn: x, y, label."""
    from matplotlib.axes import Axes

    drawn = []
    plot = Axes.plot

    def listen(axes, *values, **options):
        drawn.append((*values, options.get("label")))
        return plot(axes, *values, **options)

    monkeypatch.setattr(Axes, "plot", listen)
    return drawn


def test_iou_is_drawn_by_sequence_with_their_mean(monkeypatch):
    drawn = drawn_lines(monkeypatch)
    picture = iou_plot({"a": [1.0, 0.5, 0.2], "b": [0.5, 0.5]})
    assert picture.dtype == np.uint8 and picture.shape == (400, 800, 3)
    assert [line[-1] for line in drawn] == ["a", "b", "mean"]
    mean = drawn[2]
    np.testing.assert_allclose(mean[1], [0.75, 0.5])
    assert list(mean[0]) == [1, 2]
    for wrong in ({}, {"a": 0.5}, {"a": [[0.5]]}):
        with pytest.raises(ValueError, match="`curves`"):
            iou_plot(wrong)


def test_trackers_are_drawn_the_best_first(monkeypatch):
    boxes = np.array([[0, 0, 10, 10]] * 4, float)
    good, lost = one_pass.measure(boxes, boxes), one_pass.measure(boxes, boxes + 30)
    drawn = drawn_lines(monkeypatch)
    assert one_pass_plot({"lost": lost, "good": good}).shape == (400, 800, 3)
    labels = [line[-1] for line in drawn]
    assert labels[:2] == ["good [0.952]", "lost [0.238]"]
    assert labels[2:] == ["good [1.000]", "lost [0.250]"]
    np.testing.assert_allclose(drawn[0][1], good["success"])


def test_a_window_is_drawn_over_time(monkeypatch):
    drawn = drawn_lines(monkeypatch)
    windows = np.arange(30.0).reshape(5, 6)
    assert window_plot(windows).shape == (500, 800, 3)
    np.testing.assert_allclose([line[1] for line in drawn], windows.T)
    with pytest.raises(ValueError, match=r"`windows` of shape \[T, 6\]"):
        window_plot(windows[0])


def test_filter_banks_are_those_of_the_window(monkeypatch):
    drawn = drawn_lines(monkeypatch)
    frame = np.zeros([40, 60, 1], np.uint8)
    window = [30.0, 20.0, 1.0, 2.0, 3.0, 4.0]
    assert filter_banks_plot(frame, window, (5, 7)).shape == (600, 600, 3)
    across, down, extent = drawn
    assert across[0].shape == (60, 7)
    np.testing.assert_allclose(across[0].argmax(0), 30 + 3 * np.arange(-3, 4))
    np.testing.assert_allclose(down[0].argmax(0), 20 + 4 * np.arange(-2, 3))
    np.testing.assert_allclose([min(extent[0]), max(extent[0])], [19.5, 40.5])
    np.testing.assert_allclose([min(extent[1]), max(extent[1])], [10, 30])
    with pytest.raises(ValueError, match="`window`"):
        filter_banks_plot(frame, window[:5], (5, 7))


def test_glimpses_are_set_in_as_far_as_there_is_room():
    frame = np.full([40, 35, 3], 9, np.uint8)
    glimpses = np.ones([5, 4, 6, 1])  # 10 high, 15 wide
    drawn = inset_glimpses(frame, glimpses, [(255, 0, 0), (0, 0, 255)])
    assert (frame == 9).all() and (drawn[10:] == 9).all()
    assert (drawn[:10, :5] == 9).all()
    np.testing.assert_array_equal(drawn[5, [20, 34]], [[255, 0, 0]] * 2)
    np.testing.assert_array_equal(drawn[5, [5, 19]], [[0, 0, 255]] * 2)
    assert (drawn[5, 25] == 255).all()


def test_reliability_is_the_part_of_hits_of_each_bin(monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    scatter = Axes.scatter
    monkeypatch.setattr(
        Axes, "scatter", lambda self, *a, **k: drawn.append(a) or scatter(self, *a, **k)
    )
    scores = np.array([0.05, 0.05, 0.55, 0.5, 0.5, 0.5, 1.0])
    hits = np.array([False, True, True, True, True, False, True])
    picture = reliability_plot(hits, scores)
    assert picture.dtype == np.uint8 and picture.shape == (400, 400, 3)
    [(x, y, size)] = drawn
    np.testing.assert_allclose(x, [0.05, 2.05 / 4, 1.0])
    np.testing.assert_allclose(y, [0.5, 0.75, 1.0])
    assert size[1] > size[0] > size[2]
    with pytest.raises(ValueError, match="of one shape"):
        reliability_plot(hits, scores[:-1])
