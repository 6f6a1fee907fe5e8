"""Pictures of a tracker at work: boxes on frames, film strips, animations, plots."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ratm_tf.datasets.examples import tracker_inputs
from ratm_tf.opencv import VIDEO_CODES, cv2, open_video
from ratm_tf.tracker import Tracker
from ratm_tf.types import Example, Path, Size

RED = (255, 64, 64)
GREEN = (64, 255, 64)
_SHOWN_WIDTH = 200
_GAP = 4


def draw_boxes(
    frames: npt.ArrayLike,
    boxes: npt.ArrayLike,
    color: tuple[int, int, int] | Sequence[tuple[int, int, int]] = RED,
    scale: float | None = None,
) -> np.ndarray:
    """Draws boxes on frames, enlarged or reduced.

    Args:
        frames: array-like of shape [T, H, W, C] with 1 or 3 channels (RGB), uint8
            0..255 or floating 0..1.
        boxes: array-like of shape [T, 4], or [T, K, 4] for K boxes per frame,
            (x1, y1, x2, y2) in pixels of the frames, pixel `a` covering
            [a - 0.5, a + 0.5]. Fractions of pixels show once enlarged; parts off
            the frame and boxes that are not finite are left out.
        color: RGB triple 0..255, or one for each of the K boxes.
        scale: whole factor to enlarge the frames by, or one below 1 to reduce them; by
            default such that they become about 200 pixels wide.

    Returns:
        uint8 array of shape [T, H * scale, W * scale, 3], RGB.

    Raises:
        ValueError: If an argument has another shape, or `scale` is no such factor.

    Example:
    >>> import numpy as np
    >>> from ratm_tf.visualize import draw_boxes
    >>> frames = np.zeros([1, 100, 100, 1], np.uint8)
    >>> draw_boxes(frames, [[20.5, 30.0, 47.5, 57.5]], scale=4).shape
    (1, 400, 400, 3)
    """
    frames = _as_rgb("frames", frames, rank=4)
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim == 2:
        boxes = boxes[:, np.newaxis]
    if boxes.ndim != 3 or boxes.shape[0] != len(frames) or boxes.shape[2] != 4:
        raise ValueError(
            f"Expected `boxes` to have the shape [{len(frames)}, 4] or [{len(frames)}, "
            f"K, 4], one or K for each frame. Received shape: {list(boxes.shape)}"
        )
    height, width = frames.shape[1:3]
    if scale is None:
        scale = _SHOWN_WIDTH / width
        scale = scale if scale < 0.5 else max(1, round(scale))
    elif scale <= 0 or (scale > 1 and scale != int(scale)):
        raise ValueError(
            "Expected `scale` to be a whole number >= 1, or between 0 and 1. Received: "
            f"{scale!r}"
        )
    colors = np.broadcast_to(color, [boxes.shape[1], 3]).tolist()

    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale >= 1:
        drawn = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    else:
        drawn = np.empty([len(frames), *size[::-1], 3], np.uint8)
        for frame, reduced in zip(frames, drawn, strict=True):
            cv2.resize(frame, size, dst=reduced, interpolation=cv2.INTER_AREA)
    factor = np.tile(np.divide(size, (width, height)), 2)
    fraction_bits = 4
    # OpenCV, too, has pixel centres on the integers, here those of enlarged pixels.
    corners = ((boxes + 0.5) * factor - 0.5).clip(-1e6, 1e6) * 2**fraction_bits
    for image, image_corners in zip(drawn, corners, strict=True):
        for box, box_color in zip(image_corners, colors, strict=True):
            if np.isfinite(box).all():
                x1, y1, x2, y2 = box.round().astype(int).tolist()
                cv2.rectangle(
                    image,
                    (x1, y1),
                    (x2, y2),
                    box_color,
                    thickness=2,
                    lineType=cv2.LINE_AA,
                    shift=fraction_bits,
                )
    return drawn


def inset_glimpses(
    frame: np.ndarray,
    glimpses: npt.ArrayLike,
    colors: Sequence[tuple[int, int, int]] = (RED,),
) -> np.ndarray:
    """Sets what a tracker sees into the upper right corner of a frame.

    Args:
        frame: uint8 array of shape [H, W, 3].
        glimpses: array-like of shape [K, N, M, C] with 1 or 3 channels, uint8 0..255 or
            floating 0..1; those for which there is no room are left out.
        colors: triples 0..255 of their frames, over and over.

    Returns:
        uint8 array of shape [H, W, 3]: the frame, with glimpses of a quarter of its
        height.

    Raises:
        ValueError: If an argument has another shape.

    Example:
    >>> import numpy as np
    >>> from ratm_tf.visualize import inset_glimpses
    >>> frame, glimpses = np.zeros([240, 320, 3], np.uint8), np.ones([2, 28, 28, 1])
    >>> inset_glimpses(frame, glimpses)[4, [200, 230, 290]].tolist()
    [[255, 64, 64], [255, 255, 255], [255, 255, 255]]
    """
    frame = _as_uint8("frame", frame, rank=3).copy()
    glimpses = _as_rgb("glimpses", glimpses, rank=4)
    height = max(frame.shape[0] // 4, 1)
    width = max(round(height * glimpses.shape[2] / glimpses.shape[1]), 1)
    right = frame.shape[1]
    for index, glimpse in enumerate(glimpses):
        left = right - width
        if left < 0:
            break
        inset = frame[:height, left:right]
        inset[:] = cv2.resize(glimpse, (width, height), interpolation=cv2.INTER_NEAREST)
        color = colors[index % len(colors)]
        cv2.rectangle(inset, (0, 0), (width - 1, height - 1), color, thickness=1)
        right = left
    return frame


def film_strip(
    frames: npt.ArrayLike,
    glimpses: npt.ArrayLike,
    boxes: npt.ArrayLike,
    true_boxes: npt.ArrayLike | None = None,
    scale: float | None = None,
) -> np.ndarray:
    """Lays out sequences as the paper's Fig. 10 does, time running to the right.

    Every sequence is a row of frames over a row of what the glimpses show. The
    predicted box is red, the true box green.

    Args:
        frames: array-like of shape [B, T, H, W, C] with 1 or 3 channels (RGB),
            uint8 0..255 or floating 0..1.
        glimpses: array-like of shape [B, T, N, M, C], likewise; drawn as wide as
            the frames.
        boxes: array-like of shape [B, T, 4], the predicted boxes (x1, y1, x2, y2)
            in pixels, as `draw_boxes` takes them.
        true_boxes: optional array-like of shape [B, T, 4].
        scale: factor to enlarge or reduce the frames by, as in `draw_boxes`.

    Returns:
        uint8 array of shape [height, width, 3], RGB.

    Raises:
        ValueError: If an argument has another shape, or `scale` is no such factor.

    Example:
    >>> import numpy as np
    >>> from ratm_tf.visualize import film_strip
    >>> film_strip(
    ...     frames=np.zeros([2, 5, 100, 100, 1]),
    ...     glimpses=np.zeros([2, 5, 28, 28, 1]),
    ...     boxes=np.tile([30, 30, 57, 57], [2, 5, 1]),
    ... ).shape
    (820, 1016, 3)
    """
    frames = _as_rgb("frames", frames, rank=5)
    glimpses = _as_rgb("glimpses", glimpses, rank=5)
    _check_leading("glimpses", glimpses, frames)
    all_boxes, colors = [np.asarray(boxes)], [RED]
    _check_leading("boxes", all_boxes[0], frames)
    if true_boxes is not None:
        all_boxes.insert(0, np.asarray(true_boxes))
        colors.insert(0, GREEN)
        _check_leading("true_boxes", all_boxes[0], frames)
    all_boxes = np.stack(all_boxes, axis=2)

    rows = []
    for index in range(len(frames)):
        drawn = draw_boxes(frames[index], all_boxes[index], colors, scale)
        width = drawn.shape[2]
        height = round(glimpses.shape[2] * width / glimpses.shape[3])
        seen = [
            cv2.resize(glimpse, (width, height), interpolation=cv2.INTER_NEAREST)
            for glimpse in glimpses[index]
        ]
        rows += [_with_gap(_row(drawn)), _with_gap(_row(seen), 3 * _GAP)]
    return np.concatenate(rows)[: -3 * _GAP, :-_GAP]


def tracked_film_strip(
    tracker: Tracker, example: Example, every: int = 3
) -> np.ndarray:
    """Tracks sequences and lays them out as `film_strip` does.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        example: dict, a batch of `ratm_tf.datasets`.
        every: draws every so many frames of a sequence.

    Returns:
        uint8 array of shape [height, width, 3], RGB: the boxes that the tracker was
        trained for in red, the true ones in green.

    Example:
    >>> balls = ratm_tf.datasets.bouncing_balls_sequences(
    ...     "test", num_frames=10, batch_size=2
    ... )
    >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
    >>> ratm_tf.visualize.tracked_film_strip(tracker, next(iter(balls))).shape
    (820, 812, 3)
    """
    outputs = tracker.predict_on_batch(tracker_inputs(example))
    shown = example["frames"], outputs["glimpses"], outputs["boxes"], example["boxes"]
    return film_strip(*(values[:, ::every] for values in shown))


def true_boxes_strip(
    examples: Sequence[Mapping[str, np.ndarray]], columns: int = 6
) -> np.ndarray:
    """Lays out sequences with their true boxes, a row each, time running to the right.

    To see, before anything is trained, whether boxes are where they belong.

    Args:
        examples: non-empty list of dicts, sequences of `ratm_tf.datasets` with frames
            of one size.
        columns: how many frames of each; they are spread over those with a box.

    Returns:
        uint8 array of shape [height, width, 3], RGB.

    Example:
    >>> balls = ratm_tf.datasets.bouncing_balls_sequences("test", num_frames=10)
    >>> examples = list(balls.take(2).as_numpy_iterator())
    >>> ratm_tf.visualize.true_boxes_strip(examples).shape
    (404, 1220, 3)
    """
    rows = []
    for example in examples:
        frames, boxes = example["frames"], example["boxes"]
        shown = np.flatnonzero(example.get("mask", np.ones(len(frames), bool)))
        shown = shown[np.linspace(0, len(shown) - 1, columns).round().astype(int)]
        rows.append(_with_gap(_row(draw_boxes(frames[shown], boxes[shown], GREEN))))
    return np.concatenate(rows)[:-_GAP, :-_GAP]


def reliability_plot(
    hits: npt.ArrayLike, scores: npt.ArrayLike, bins: int = 10
) -> np.ndarray:
    """Draws how often a tracker is right by how sure it is.

    Scores that are as good as they say lie on the diagonal. Points are as large as
    there are scores in their bin.

    Args:
        hits: bool array of shape [n], whether the box is on the target.
        scores: array of shape [n] in 0..1.
        bins: how many ranges of scores there are.

    Returns:
        uint8 array of shape [H, W, 3], RGB.

    Raises:
        ValueError: If `hits` and `scores` differ in shape.

    Example:
    >>> import numpy as np
    >>> from ratm_tf.visualize import reliability_plot
    >>> scores = np.linspace(0, 1, 1000)
    >>> reliability_plot(scores > np.random.default_rng(0).random(1000), scores).shape
    (400, 400, 3)
    """
    hits, scores = np.asarray(hits, float), np.asarray(scores, float)
    if hits.ndim != 1 or hits.shape != scores.shape:
        raise ValueError(
            "Expected `hits` and `scores` of one shape [n]. Received shapes: "
            f"{list(hits.shape)} and {list(scores.shape)}"
        )
    of_bin = np.minimum((scores * bins).astype(int), bins - 1)
    counts = np.bincount(of_bin, minlength=bins)
    filled = counts > 0
    means = [
        np.bincount(of_bin, values, bins)[filled] / counts[filled]
        for values in (scores, hits)
    ]
    figure = _figure(400, 400)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linewidth=1)
    axes.scatter(*means, 20 + 300 * counts[filled] / len(scores), color="tab:red")
    axes.set(xlabel="score", ylabel="part of boxes on their target")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    return _drawn(figure)


def iou_plot(curves: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws IoU frame after frame, as the paper's Fig. 14, and the mean of sequences.

    Args:
        curves: dict of arrays `[T]` in 0..1 by the name of their sequence; NaN where
            there is none. The mean is of as many frames as the shortest one has.

    Returns:
        uint8 array of shape [400, 800, 3], RGB.

    Raises:
        ValueError: If there are no curves, or one has another shape.

    Example:
    >>> ratm_tf.visualize.iou_plot({"Couple": [1.0, 0.8, 0.7]}).shape
    (400, 800, 3)
    """
    curves = {name: np.asarray(values, float) for name, values in curves.items()}
    if not curves or {values.ndim for values in curves.values()} != {1}:
        raise ValueError(
            "Expected `curves` to be a dict of arrays [T]. Received shapes: "
            f"{ {name: values.shape for name, values in curves.items()} }"
        )
    figure = _figure(800, 400)
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, label=name, linewidth=1)
    if len(curves) > 1:
        length = min(map(len, curves.values()))
        mean = np.mean([values[:length] for values in curves.values()], axis=0)
        axes.plot(range(1, length + 1), mean, "k", label="mean", linewidth=2)
    axes.set(xlabel="frame", ylabel="IoU", ylim=(0, 1), xlim=(1, None))
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, fontsize="small")
    return _drawn(figure)


def one_pass_plot(trackers: Mapping[str, Mapping[str, np.ndarray]]) -> np.ndarray:
    """Draws the curves of success and precision of trackers, the best one first.

    Args:
        trackers: dict of what `ratm_tf.one_pass.mean` gives, by the tracker's name.

    Returns:
        uint8 array of shape [400, 800, 3], RGB.

    Example:
    >>> from ratm_tf.one_pass import measure
    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]])
    >>> still = measure(boxes + [[0], [5]], boxes)
    >>> ratm_tf.visualize.one_pass_plot({"a box that stays": still}).shape
    (400, 800, 3)
    """
    from ratm_tf.one_pass import DISTANCES, OVERLAPS

    figure = _figure(800, 400)
    kinds = (
        ("success", OVERLAPS, "IoU", lambda curve: curve.mean()),
        (
            "precision",
            DISTANCES,
            "distance of centres",
            lambda curve: curve[20],
        ),
    )
    colors = {name: f"C{number}" for number, name in enumerate(trackers)}
    for axes, (kind, thresholds, label, figure_of) in zip(
        figure.subplots(1, 2), kinds, strict=True
    ):
        curves = {name: tracker[kind] for name, tracker in trackers.items()}
        for name in sorted(curves, key=lambda name: -figure_of(curves[name])):
            told = f"{name} [{figure_of(curves[name]):.3f}]"
            axes.plot(thresholds, curves[name], color=colors[name], label=told)
        axes.set(xlabel=label, ylabel=f"{kind}, part of frames", ylim=(0, 1.02))
        axes.set(xlim=(0, thresholds[-1]))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return _drawn(figure)


def window_plot(windows: npt.ArrayLike) -> np.ndarray:
    """Draws how a window moves: its centre, sigma and stride over time.

    Args:
        windows: array-like of shape [T, 6], a tracker's `windows`, in pixels.

    Returns:
        uint8 array of shape [500, 800, 3], RGB.

    Raises:
        ValueError: If `windows` has another shape.

    Example:
    >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
    >>> outputs = tracker.predict(np.zeros([1, 30, 20, 20, 1], np.uint8), verbose=0)
    >>> ratm_tf.visualize.window_plot(outputs["windows"][0]).shape
    (500, 800, 3)
    """
    windows = np.asarray(windows, float)
    if windows.ndim != 2 or windows.shape[1] != 6:
        raise ValueError(
            f"Expected `windows` of shape [T, 6]. Received shape: {list(windows.shape)}"
        )
    figure = _figure(800, 500)
    frames = range(1, len(windows) + 1)
    all_axes = figure.subplots(3, 1, sharex=True)
    for number, (axes, name) in enumerate(
        zip(all_axes, ("center", "sigma", "stride"), strict=True)
    ):
        for axis in (0, 1):
            axes.plot(frames, windows[:, 2 * number + axis], label="xy"[axis])
        axes.set(ylabel=f"{name}, pixels", xlim=(1, max(len(windows), 2)))
        axes.grid(alpha=0.3)
    all_axes[0].legend()
    all_axes[-1].set(xlabel="frame")
    return _drawn(figure)


def filter_banks_plot(
    frame: npt.ArrayLike, window: npt.ArrayLike, glimpse_size: Size
) -> np.ndarray:
    """Draws the filters of a window beside the frame that they read (Eq. 9-11, 4).

    Args:
        frame: array-like of shape [H, W, C] with 1 or 3 channels (RGB), uint8 0..255
            or floating 0..1.
        window: array-like of shape [6], in pixels.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.

    Returns:
        uint8 array of shape [600, 600, 3], RGB: the frame with the grid of the
        filters' centres in red and the extent box; above it the `M` filters along x, to
        its left the `N` along y; in the corner the glimpse.

    Raises:
        ValueError: If an argument has another shape.

    Example:
    >>> frame, window = np.zeros([100, 100, 1]), [40, 60, 1.5, 1.5, 3, 3]
    >>> ratm_tf.visualize.filter_banks_plot(frame, window, (12, 12)).shape
    (600, 600, 3)
    """
    from ratm_tf.attention import gaussian_glimpse
    from ratm_tf.attention.filterbank import filter_bank, grid_means
    from ratm_tf.boxes import extent_box

    shown = _as_rgb("frame", np.asarray(frame)[np.newaxis], rank=4)
    window = np.asarray(window, np.float32)
    if window.shape != (6,):
        raise ValueError(
            f"Expected `window` of shape [6]. Received shape: {list(window.shape)}"
        )
    glimpse = gaussian_glimpse(shown, window[np.newaxis], glimpse_size)[0] / 255.0
    height, width = shown.shape[1:3]
    banks = []
    for axis, (count, length) in enumerate(
        zip(glimpse_size[::-1], (width, height), strict=True)
    ):
        means = grid_means(window[axis], window[4 + axis], count)
        banks.append((means.numpy(), filter_bank(means, window[2 + axis], length)))
    (xs, filters_x), (ys, filters_y) = banks

    figure = _figure(600, 600)
    (corner, above), (beside, image) = figure.subplots(
        2, 2, width_ratios=(1, 3), height_ratios=(1, 3)
    )
    corner.imshow(np.clip(glimpse, 0, 1))
    corner.set_title("glimpse", fontsize="medium")
    above.plot(np.transpose(filters_x), color="tab:blue", linewidth=0.8)
    above.set(xlim=(-0.5, width - 0.5), title="$F_X$", yticks=[])
    beside.plot(
        np.transpose(filters_y), np.arange(height), color="tab:orange", linewidth=0.8
    )
    beside.set(ylim=(height - 0.5, -0.5), title="$F_Y$", xticks=[])
    beside.invert_xaxis()
    image.imshow(shown[0], aspect="auto")
    image.scatter(*np.meshgrid(xs, ys), s=3, color="red", linewidths=0)
    x1, y1, x2, y2 = extent_box(window, glimpse_size).numpy()
    image.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color="red", linewidth=1)
    image.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    corner.set(xticks=[], yticks=[])
    return _drawn(figure)


def _figure(width, height):
    """A figure of so many pixels, which no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _drawn(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save_image(path: Path, image: npt.ArrayLike) -> None:
    """Writes an image file; missing folders are made.

    Args:
        path: where to; its ending chooses the format, such as `.png` or `.jpg`.
        image: uint8 array of shape [H, W, 3], RGB.

    Raises:
        ValueError: If OpenCV does not know the format, or `image` is another thing.
        OSError: If the file cannot be written.

    Example:
    >>> import numpy as np
    >>> from ratm_tf.visualize import save_image
    >>> save_image("/tmp/black.png", np.zeros([20, 20, 3], np.uint8))
    """
    image = _as_uint8("image", image, rank=3)
    path = _writable(path)
    small = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if not cv2.imwrite(str(path), image[..., ::-1], small):
        raise OSError(f"Expected `path` to be writable. Received: {path}")


def save_animation(
    path: Path, frames: npt.ArrayLike, frames_per_second: float = 10
) -> None:
    """Writes an endless animation or a video; missing folders are made.

    Args:
        path: where to; its ending chooses the format: `.gif`, `.webp` or, animated
            too, `.png`; `.mp4` and `.avi` are videos.
        frames: uint8 array of shape [T, H, W, 3], RGB.
        frames_per_second: its speed.

    Raises:
        ValueError: If OpenCV does not know the format, `frames` is another thing, or
            `frames_per_second` is not positive.
        OSError: If the file cannot be written.

    Example:
    >>> import numpy as np
    >>> from ratm_tf.visualize import save_animation
    >>> save_animation("/tmp/black.gif", np.zeros([5, 20, 20, 3], np.uint8))
    """
    frames = _as_uint8("frames", frames, rank=4)
    if not 0 < frames_per_second <= 1000:
        raise ValueError(
            "Expected `frames_per_second` in 0..1000, without 0. Received: "
            f"{frames_per_second!r}"
        )
    frames = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    if pathlib.Path(path).suffix in VIDEO_CODES:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        video = open_video(path, frames_per_second, frames[0].shape)
        for frame in frames:
            video.write(frame)
        video.release()
        return
    path = _writable(path)
    animation = cv2.Animation()
    animation.frames = frames
    animation.durations = [round(1000 / frames_per_second)] * len(frames)
    if not cv2.imwriteanimation(str(path), animation):
        raise OSError(f"Expected `path` to be writable. Received: {path}")


def _as_rgb(name, images, rank):
    images = np.asarray(images)
    if images.ndim != rank or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"Expected `{name}` to have {rank} dimensions, the last one 1 or 3 "
            f"channels. Received shape: {list(images.shape)}"
        )
    if images.dtype != np.uint8:
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(
                f"Expected `{name}` of dtype uint8 in 0..255 or floating in 0..1. "
                f"Received dtype: {images.dtype}"
            )
        images = np.nan_to_num(images.astype(np.float32), posinf=1.0)
        if images.max(initial=0.0) > 1.5:
            raise ValueError(
                f"Expected floating `{name}` in 0..1. Received values up to "
                f"{images.max():g}"
            )
        images = (images.clip(0, 1) * 255).round().astype(np.uint8)
    return images.repeat(3, axis=-1) if images.shape[-1] == 1 else images


def _as_uint8(name, images, rank):
    images = np.asarray(images)
    if images.ndim != rank or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"Expected `{name}` to be uint8 with {rank} dimensions, the last one RGB. "
            f"Received: {images.dtype} of shape {list(images.shape)}"
        )
    return images


def _check_leading(name, array, frames):
    if array.shape[:2] != frames.shape[:2]:
        raise ValueError(
            f"Expected `{name}` to begin with the frames' [B, T], "
            f"{list(frames.shape[:2])}. Received shape: {list(array.shape)}"
        )


def _row(images):
    return np.concatenate([_with_gap(image, axis=1) for image in images], axis=1)


def _with_gap(image, gap=_GAP, axis=0):
    after = [(0, gap if axis == dimension else 0) for dimension in range(3)]
    return np.pad(image, after, constant_values=255)


def _writable(path):
    path = pathlib.Path(path)
    if not cv2.haveImageWriter(str(path)):
        raise ValueError(
            f"Expected `path` to be of a kind that OpenCV writes. Received: {path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
