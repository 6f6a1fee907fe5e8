"""Teaches a cell's features to tell targets from what is around them."""

import pathlib

import keras
import tensorflow as tf

from ratm_tf.attention import CorrelationCell, activations_from_window
from ratm_tf.boxes import scale_box, window_from_box
from ratm_tf.pretrained.compact import save_compact
from ratm_tf.recipes.recipe import cosine_decay
from ratm_tf.training.train import train_model
from ratm_tf.training.workers import from_chief, is_chief
from ratm_tf.types import Path, Shape

# Frames of a film that are kept, those of them that are drawn for a step, and those of
# these, the first ones, that the filter is made of.
_KEPT, _DRAWN, _LEARNT = 8, 5, 2
# Sizes of a target that are searched, and the label's width: in windows, and in steps.
_STEP = 1.05
_SIZES = [1.0 / _STEP, 1.0, _STEP]
_PLACE_WIDTH, _SIZE_WIDTH = 0.02, 0.7
# How far, in boxes, windows are off their targets: most are near, a few far.
_SHIFT, _MOST_SHIFT = 0.15, 1.3
_GROWTH, _MOST_GROWTH = 0.05, 0.12
_JITTER = 0.02


class Matching(keras.Model):
    """Finds a film's target in some of its frames by the filter of two others.

    It learns by softmax cross-entropy over all places, and three sizes, of the
    responses; through the ridge regression, whose answer has a gradient.

    Args:
        cell: the `ratm_tf.CorrelationCell` whose features learn.

    Call arguments:
        inputs: dict of `frames`, `[B, T, H, W, C]`, uint8 in 0..255 or floating in
            0..1, and `windows`, float32 `[B, T, 6]`, the raw windows through which to
            see them: the first two on the target, the others anywhere near.

    Returns:
        Logits `[B, T - 2, 3 * cells * cells]` of the other frames, over sizes, rows and
        columns.

    Example:
    >>> cell = ratm_tf.CorrelationCell(ratm_tf.features.target_features())
    >>> frames, windows = tf.zeros([1, 3, 80, 80, 3]), tf.ones([1, 3, 6])
    >>> Matching(cell)({"frames": frames, "windows": windows}).shape
    TensorShape([1, 1, 3072])
    """

    def __init__(self, cell: CorrelationCell, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self.log_temperature = self.add_weight(
            name="log_temperature",
            shape=(),
            initializer=keras.initializers.Constant(3.0),
        )

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """Those of the features, and the temperature."""
        return [*self.cell.features.trainable_weights, self.log_temperature]

    def build(self, inputs_shape: dict[str, Shape]) -> None:
        batch_size, _, *frame = inputs_shape["frames"]
        if not self.cell.built:
            self.cell.build((batch_size, *frame))

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        cell, cells = self.cell, self.cell.filter.cells
        learnt = self._maps(inputs, slice(None, _LEARNT), [1.0])
        searched = self._maps(inputs, slice(_LEARNT, None), _SIZES)
        means = [
            tf.reduce_mean(tf.reshape(fit, [-1, _LEARNT, *fit.shape[1:]]), axis=1)
            for fit in cell.filter.fit(learnt)
        ]
        response = cell.filter.respond(cell.filter.solve(*means), searched)
        response *= tf.exp(self.log_temperature)
        frames = inputs["frames"].shape[1] - _LEARNT
        return tf.reshape(response, [-1, frames, len(_SIZES) * cells**2])

    def _maps(self, inputs, part, sizes):
        """The features of some of the frames, at some sizes."""
        frames = tf.convert_to_tensor(inputs["frames"])[:, part]
        frames = tf.reshape(frames, tf.concat([[-1], tf.shape(frames)[2:]], axis=0))
        windows = tf.reshape(inputs["windows"][:, part], [-1, 1, 6])
        scales = [[1.0, 1.0, *[size] * 4] for size in sizes]
        glimpses, _ = self.cell.read(frames, windows * scales)
        return self.cell.described(glimpses)


def matching_examples(
    films: tf.data.Dataset, cell: CorrelationCell, seed: int = 0
) -> tf.data.Dataset:
    """Films with windows on and near their targets, and where those are in them.

    Args:
        films: pairs of a film's number, int64, and a dict of its `frames`
            `[T, H, W, C]`, `boxes` `[T, 4]` and `mask` `[T]`, as
            `ratm_tf.datasets.cutout_sequences` has them, of three frames at least.
        cell: whose windows they are.
        seed: integer, of where a film's windows are, with its number.

    Returns:
        Dataset of `(inputs, labels, weights)` for `Matching`, to be batched: labels, a
        blurred place and size, add up to one; weights `[T - 2]` are 1 where the target
        is seen, in the first two frames and the one at hand, and 0 elsewhere.

    Example:
    >>> cell = ratm_tf.CorrelationCell(ratm_tf.features.target_features())
    >>> film = {"frames": tf.zeros([3, 80, 80, 3]), "mask": tf.ones([3], tf.bool),
    ...         "boxes": tf.tile([[20.0, 20.0, 40.0, 50.0]], [3, 1])}
    >>> films = tf.data.Dataset.from_tensors(film).enumerate()
    >>> inputs, labels, weights = next(iter(matching_examples(films, cell).batch(1)))
    >>> labels.shape, weights.numpy()
    (TensorShape([1, 1, 3072]), array([[1.]], dtype=float32))
    """
    cells, context = cell.filter.cells, cell.context
    grid = tf.range(cells, dtype=tf.float32) / cells - 0.5

    def bell(distance, width):
        return tf.exp(-0.5 * tf.square(distance / width))

    def example(index, film):
        boxes = film["boxes"]
        length = tf.shape(boxes)[0]
        noise = tf.random.stateless_normal([length, 6], tf.stack([seed, index]))
        # Student's t of three degrees.
        tail = tf.norm(noise[..., :3], axis=-1, keepdims=True) / 3**0.5 + 0.03
        far = tf.clip_by_value(_SHIFT * noise[..., 3:5] / tail, -1, 1) * _MOST_SHIFT
        other = tf.clip_by_value(_GROWTH * noise[..., 5:], -_MOST_GROWTH, _MOST_GROWTH)
        searched = tf.range(length)[:, tf.newaxis] >= _LEARNT
        shift = tf.where(searched, far, _JITTER * noise[..., 3:5])
        growth = tf.exp(tf.where(searched, other, _JITTER * noise[..., 5:]))

        size = boxes[..., 2:] - boxes[..., :2]
        center = (boxes[..., :2] + boxes[..., 2:]) / 2.0 + shift * size
        half = size * growth / 2.0
        window = window_from_box(
            scale_box(tf.concat([center - half, center + half], axis=-1), context),
            cell.glimpse_size,
        )
        frame_size = tf.unstack(tf.shape(film["frames"])[1:3])
        windows = activations_from_window(window, frame_size, cell.glimpse_size)

        place = (-shift / growth / context)[_LEARNT:]  # In windows.
        steps = -tf.math.log(growth[_LEARNT:]) / tf.math.log(_STEP)
        label = tf.einsum(
            "ts,ty,tx->tsyx",
            bell(tf.constant([-1.0, 0.0, 1.0]) - steps, _SIZE_WIDTH),
            bell(grid - place[..., 1:], _PLACE_WIDTH),
            bell(grid - place[..., :1], _PLACE_WIDTH),
        )
        label = tf.reshape(label, [boxes.shape[0] - _LEARNT, len(_SIZES) * cells**2])
        total = tf.reduce_sum(label, axis=-1, keepdims=True)
        learnt, sought = film["mask"][:_LEARNT], film["mask"][_LEARNT:]
        seen = tf.reduce_all(learnt) & sought
        inputs = {"frames": film["frames"], "windows": windows}
        return inputs, label / total, tf.cast(seen, tf.float32)

    return films.map(example, num_parallel_calls=tf.data.AUTOTUNE)


def pretrain_target_features(
    model_dir: Path,
    features: keras.Model,
    films: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    steps: int,
    batch_size: int = 8,
    steps_per_epoch: int = 200,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> dict[str, float]:
    """Trains features of targets, so that a filter of them finds its target.

    Of each film some frames are kept in memory. A step draws some of these, in any
    order. Writes the features to `model_dir/model.keras`; called again after an
    interruption, it goes on after the last finished epoch. The strategy in whose
    `scope()` the features were made trains them, as `ratm_tf.train` says; each of
    several workers keeps all films.

    Args:
        model_dir: output folder, made if need be.
        features: see `ratm_tf.CorrelationCell`.
        films: finite dataset of films, see `matching_examples`, not batched, of eight
            frames at least.
        validation: likewise.
        steps: training steps, rounded up to whole epochs; none, 0, measures alone.
        batch_size: films a step.
        steps_per_epoch: steps between checkpoints.
        learning_rate: of Adam, at most: it rises over 300 steps, and falls to 0.
        seed: integer, of what is drawn.

    Returns:
        Dict of measures on the validation films: `loss`; `found`, the part of frames
        in which the highest response is no further than a cell off; and `size`, that in
        which it is of the right size.

    Raises:
        ValueError: if `model_dir` holds another run, or a batch cannot be split among
            the workers.
        RuntimeError: if another process trains in `model_dir`, or a worker is gone.

    Example:
    >>> import tempfile
    >>> film = {"frames": tf.zeros([8, 80, 80, 3]), "mask": tf.ones([8], tf.bool),
    ...         "boxes": tf.tile([[20.0, 20.0, 40.0, 50.0]], [8, 1])}
    >>> films = tf.data.Dataset.from_tensors(film)
    >>> measured = pretrain_target_features(
    ...     tempfile.mkdtemp(), ratm_tf.features.target_features(), films, films,
    ...     steps=1, batch_size=1)
    Model: ...
    >>> sorted(measured)
    ['found', 'loss', 'size']
    """
    strategy, size = features.distribute_strategy, batch_size

    def batches(films, seed, start=0, step=1, batch_size=size, repeat=False):
        kept = films.enumerate().map(_some(_KEPT, seed)).cache()
        kept = kept.repeat() if repeat else kept
        drawn = kept.enumerate().skip(start).shard(step, 0)
        draw = _some(_DRAWN, seed + 1, shuffled=True)
        drawn = drawn.map(lambda index, film: (index, draw(index, film)))
        examples = matching_examples(drawn, matching.cell, seed)
        return examples.batch(batch_size).prefetch(2)

    with strategy.scope():
        rate = cosine_decay(learning_rate, max(steps, 1), warmup_steps=300)
        matching = _compiled(features, keras.optimizers.Adam(rate, global_clipnorm=1.0))
        tested = batches(validation, 0).cache()
        matching(next(iter(tested))[0])  # Builds it.
    folder = pathlib.Path(model_dir)
    train_model(
        matching,
        lambda start, **part: batches(films, seed, start, **part, repeat=True),
        model_dir=folder,
        run={
            "seed": seed,
            "steps": steps,
            "learning_rate": learning_rate,
            "films": int(films.cardinality()),
            "validation_films": int(validation.cardinality()),
        },
        steps=steps,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        validation_data=tested,
        callbacks=[keras.callbacks.TensorBoard(folder / "logs")]
        if is_chief(strategy)
        else [],
        end=lambda: save_compact(features, folder / "model.keras"),
    )

    def measured():
        best = _compiled(keras.saving.load_model(folder / "model.keras"))
        best.log_temperature.assign(matching.log_temperature.numpy())
        return best.evaluate(tested, return_dict=True)

    return from_chief(strategy, measured)


def _compiled(features, optimizer="sgd"):
    matching = Matching(CorrelationCell(features))
    cells = matching.cell.filter.cells
    matching.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(from_logits=True),
        weighted_metrics=[_found(cells), _right_size(cells)],
        jit_compile=False,
    )
    return matching


def _some(count, seed, shuffled=False):
    """A function that draws some frames of a film, by its index."""

    def draw(index, film):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(tf.shape(film["boxes"])[0]), [seed, tf.cast(index, tf.int32)]
        )[:count]
        order = tf.ensure_shape(order if shuffled else tf.sort(order), [count])
        return {
            name: tf.gather(film[name], order) for name in ("frames", "boxes", "mask")
        }

    return draw


def _found(cells):
    def found(label, logits):
        apart = [
            tf.abs(true - best)
            for true, best in zip(
                _places(label, cells), _places(logits, cells), strict=True
            )
        ]
        return tf.cast(tf.maximum(*apart[1:]) <= 1, tf.float32)

    return found


def _right_size(cells):
    def size(label, logits):
        return tf.cast(
            _places(label, cells)[0] == _places(logits, cells)[0], tf.float32
        )

    return size


def _places(numbers, cells):
    """Size, row and column of the highest of numbers."""
    best = tf.argmax(numbers, axis=-1)
    return best // cells**2, best // cells % cells, best % cells
