"""Teaching a tracker to say how sure it is."""

import keras
import numpy as np
import tensorflow as tf

from ratm_tf.attention import gaussian_glimpse
from ratm_tf.boxes import iou
from ratm_tf.tracker import Tracker

SPREADS = (0.0, 0.0, 0.25, 1.0)
"""How far windows are moved from where the tracker has them, in sizes of theirs."""

_BLANK = 0.1  # Part of the frames that show nothing.
_CALIBRATION = 5  # Every so many batches is kept to calibrate.


def score_network(glimpse_shape: tuple[int, int, int], units: int = 64) -> keras.Model:
    """A small network that judges glimpses, for `fit_score`.

    Args:
        glimpse_shape: `(N, M, C)`.
        units: number of hidden units.

    Returns:
        A built `keras.Model` from `[B, N, M, C]` in 0..1 to `[B, 1]` in 0..1.

    Example:
    >>> ratm_tf.training.score_network((28, 28, 1)).output_shape
    (None, 1)
    """
    return keras.Sequential(
        [
            keras.Input(glimpse_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dense(1, "sigmoid"),
        ],
        name="score",
    )


def fit_score(
    tracker: Tracker,
    data: tf.data.Dataset,
    network: keras.Model | None = None,
    *,
    epochs: int = 10,
    seed: int = 0,
    verbose: int = 1,
) -> Tracker:
    """Gives a trained tracker a score: how likely its window is on the target.

    A network learns from the glimpses at the tracker's windows, and at others near
    them, and of blank frames, whether the corner box has an IoU with the true one of
    one half at least. Every fifth batch is kept to calibrate it (Platt, 1999) on what
    the tracker sees as it goes, with frames that are blank from some moment on: of all
    boxes with a score of 0.8, some 80 % are then on their target.

    Args:
        tracker: a built `ratm_tf.Tracker`. It stays as it is.
        data: finite `tf.data.Dataset` of five batches or more as `Tracker.fit` takes
            them, `({"frames": ...}, {"boxes": ...})` and perhaps weights, where 0
            leaves a frame out. A few hundred sequences will do.
        network: a `keras.Model` of glimpses, ending in one sigmoid unit. Default: a
            `score_network`.
        epochs: how often it sees each glimpse.
        seed: of the windows near the tracker's.
        verbose: as in `keras.Model.fit`.

    Returns:
        A `ratm_tf.Tracker` with the same weights, and the score.

    Raises:
        ValueError: `data` have fewer than five batches, or in all of their frames the
            target is found, or in none.

    Example:
    >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
    >>> data = ratm_tf.datasets.bouncing_balls_sequences(
    ...     "train", num_frames=8, num_sequences=80, batch_size=16
    ... ).map(ratm_tf.labelled)
    >>> scored = ratm_tf.training.fit_score(tracker, data, epochs=1, verbose=0)
    >>> scored({"frames": tf.zeros([1, 5, 20, 20, 1], tf.uint8)})["scores"].shape
    TensorShape([1, 5])
    """
    random = np.random.default_rng(seed)
    near, tracked = [], []
    for number, batch in enumerate(data):
        if number % _CALIBRATION < _CALIBRATION - 1:
            near.append(_near(tracker, batch, random))
        else:
            tracked.append(_tracked(tracker, batch, random))
    if not tracked:
        raise ValueError(
            f"Expected `data` of at least {_CALIBRATION} batches. Received: {len(near)}"
        )
    glimpses, hits = map(np.concatenate, zip(*near, strict=True))
    if hits.all() or not hits.any():
        raise ValueError(
            "Expected `data` where windows are on their targets, and others beside "
            f"them. Received: {hits.mean():.0%} of {len(hits)} are"
        )
    if network is None:
        keras.utils.set_random_seed(seed)
        network = score_network(tracker.cell.glimpse_shape)
    network.compile("adam", "binary_crossentropy")
    network.fit(glimpses, hits, 256, epochs, verbose=verbose)
    glimpses, hits = map(np.concatenate, zip(*tracked, strict=True))
    scores = network.predict(glimpses, 1024, verbose=0)[:, 0]
    _calibrate(network.layers[-1], scores, hits)
    return _with_score(tracker, network)


def scored_hits(outputs, boxes, counts):
    """What a tracker's scores say, and what is so.

    Args:
        outputs: dict, a tracker's on a batch, with `corner_boxes` `[B, T, 4]` and
            `scores` `[B, T]`.
        boxes: the true boxes, `[B, T, 4]`.
        counts: bool `[B, T]`, which frames count.

    Returns:
        `(hits, scores)`, of all frames that count: bool `[n]`, whether the corner box
        has an IoU of one half at least, and float32 `[n]`.

    Example:
    >>> from ratm_tf.training.score import scored_hits
    >>> boxes, counts = np.ones([2, 3, 4]) * [0, 0, 1, 1], np.ones([2, 3], bool)
    >>> outputs = {"corner_boxes": boxes, "scores": np.zeros([2, 3])}
    >>> scored_hits(outputs, boxes, counts)[0].mean()
    np.float64(1.0)
    """
    hits = _hits(outputs["corner_boxes"], boxes)
    return hits[counts], np.asarray(outputs["scores"])[counts]


def _unpacked(batch):
    """The inputs, the true boxes `[B, T, 4]`, and which frames count, `[B, T]`."""
    inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
    inputs = inputs if isinstance(inputs, dict) else {"frames": inputs}
    boxes = labels["boxes"] if isinstance(labels, dict) else labels
    counts = np.ones(boxes.shape[:2], bool)
    if weights is not None:
        weights = np.asarray(weights)
        counts &= weights.reshape([*weights.shape, 1][:2]) > 0
    return inputs, boxes, counts


def _hits(corner_boxes, boxes):
    corner_boxes = tf.cast(corner_boxes, tf.float32)
    return np.asarray(iou(corner_boxes, tf.cast(boxes, tf.float32)) >= 0.5)


def _near(tracker, batch, random):
    """Glimpses at windows near the tracker's, and which of them are on the target."""
    inputs, boxes, counts = _unpacked(batch)
    frames = np.array(inputs["frames"])
    windows = tracker(inputs, training=False)["windows"].numpy()
    center, sigma, stride = np.split(windows, 3, axis=-1)
    size = np.abs(stride) * np.array(tracker.cell.glimpse_size[::-1])
    spread = random.choice(SPREADS, [*windows.shape[:2], 1])
    center = center + spread * size * random.normal(size=center.shape)
    factor = np.exp((spread > 0) * 0.3 * random.normal(size=spread.shape))
    windows = np.concatenate([center, sigma * factor, stride * factor], axis=-1)
    blank = random.random(windows.shape[:2]) < _BLANK
    frames[blank] = 0
    windows = tf.cast(windows, tf.float32)
    glimpses = gaussian_glimpse(
        frames[counts], windows[counts], tracker.cell.glimpse_size
    )
    hits = _hits(tracker.box_from_window(windows, "corner"), boxes) & ~blank
    return tracker.cell.scaled(glimpses, frames.dtype).numpy(), hits[counts]


def _tracked(tracker, batch, random):
    """Glimpses as the tracker goes, of frames that are blank from some moment on."""
    inputs, boxes, counts = _unpacked(batch)
    frames = np.array(inputs["frames"])
    moments = random.integers(1, 2 * frames.shape[1], len(frames))
    blank = np.arange(frames.shape[1]) >= moments[:, np.newaxis]
    frames[blank] = 0
    outputs = tracker(dict(inputs) | {"frames": frames}, training=False)
    hits = _hits(outputs["corner_boxes"], boxes) & ~blank
    return outputs["glimpses"].numpy()[counts], hits[counts]


def _calibrate(layer, scores, hits):
    """Scales a sigmoid unit's logits to the frequency of hits, as Platt (1999) does."""
    scores = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(scores) - np.log1p(-scores)
    target = np.where(hits, 1 - 1 / (hits.sum() + 2), 1 / ((~hits).sum() + 2))
    inputs = np.stack([logits, np.ones_like(logits)])
    weights = np.zeros(2)
    for _ in range(50):  # Newton's steps of a logistic regression.
        found = 1 / (1 + np.exp(-weights @ inputs))
        slope = inputs @ (found - target) + 1e-3 * weights
        curvature = (inputs * (found * (1 - found))) @ inputs.T + 1e-3 * np.eye(2)
        weights -= np.linalg.solve(curvature, slope)
    scale, shift = weights
    layer.kernel.assign(layer.kernel * scale)
    layer.bias.assign(layer.bias * scale + shift)


def _with_score(tracker, network):
    """A tracker of the same weights with a score."""
    scored = Tracker.from_config(tracker.get_config() | {"score": None})
    # As it is without what it was taught with, its optimizer.
    scored.score = network.__class__.from_config(network.get_config())
    scored.score.trainable = False
    scored.build({"frames": (None, None, None, None, tracker.channels)})
    scored.score.set_weights(network.get_weights())
    scored.loop.set_weights(tracker.loop.get_weights())
    for name, model in scored.objectives.items():
        model.set_weights(tracker.objectives[name].get_weights())
    return scored
