"""What all recipes have in common."""

import abc
import collections.abc
import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ratm_tf import pretrained
from ratm_tf.attention import IRNNCell, RATMCell
from ratm_tf.features import EvenBrightness
from ratm_tf.objectives import (
    LocalizationLoss,
    MeanIoU,
    OverlapLoss,
    PixelLoss,
    RelativeBoxLoss,
)
from ratm_tf.tracker import Tracker
from ratm_tf.types import Implementation

if TYPE_CHECKING:
    from ratm_tf.recipes.experiment import Experiment

_LOSSES = {
    "absolute": keras.losses.MeanAbsoluteError,
    "crossentropy": keras.losses.BinaryCrossentropy,
    "localization": LocalizationLoss,
    "overlap": OverlapLoss,
    "pixels": PixelLoss,
    "relative": RelativeBoxLoss,
    "squared": keras.losses.MeanSquaredError,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(abc.ABC):
    """What is trained, how, and on what: data, from which `build` makes an experiment.

    Change a field with `dataclasses.replace`; a misspelt one is an error.

    Attributes:
        preset: the table that the fields were taken from.
        recurrent_cell: `"irnn"`, the paper's; `"gru"`; or `"gru+irnn"`, a GRU whose
            states an IRNN sees: what a rebound does to a velocity is no linear function
            of what a GRU keeps.
        units: hidden units, of each.
        recurrent_scale: `W_rec` of an IRNN starts as this multiple of the identity.
        use_bias: whether an IRNN has a bias.
        glimpse_size: `(N, M)`, rows and columns.
        window_update, sees_window, scales, initial_window, initial_sigma: see
            `ratm_tf.RATMCell`.
        brightness: mean to which the recurrent cell's glimpses are scaled, see
            `ratm_tf.features.EvenBrightness`; None leaves them as they are.
        box, box_scale: see `ratm_tf.Tracker`.
        frame_size: `(H, W)` of the frames, in pixels.
        losses: by output, `"absolute"`, `"squared"`, `"crossentropy"`, `"pixels"`,
            `"localization"`, `"relative"` or `"overlap"`: the mean error, or binary
            cross-entropy, of Keras, or a loss of `ratm_tf.objectives`.
        loss_weights: by output.
        reduction: of the losses over a batch, as Keras names it.
        optimizer: `"sgd"` or `"adam"`.
        learning_rate: at first; with `decay` `"cosine"` it falls to 0 over all steps,
            with `"constant"` it stays.
        warmup_steps: the first steps, half of all at most, over which a rate with
            `"cosine"` decay rises from 0; at once, it may drive windows off the frame
            for good.
        momentum: of SGD.
        clipnorm: the largest norm of all gradients together.
        batch_size: sequences per step.
        steps: training steps.
        steps_per_epoch: steps between checkpoints.
        steps_per_execution: steps between two of Python's, see `keras.Model.compile`.
        train_sequences: how many there are in training, again and again in their
            order; None for as many as there are, or without an end where they are made.
        train_frames: frames of a sequence in training.
        test_frames: frames of a sequence in tests; None for whole sequences.
        test_sequences: how many there are; None for all there are.
        patience: epochs without a better IoU on validation data, before training
            stops and the best weights are taken; None takes the last ones.
        sources: where a field's value is from: by field, the paper's section, the
            authors' code, or ours. Fields that are not there are ours.
    """

    preset: str
    recurrent_cell: str
    units: int
    recurrent_scale: float = 1.0
    use_bias: bool = True
    glimpse_size: tuple[int, int]
    window_update: str = "absolute"
    sees_window: bool = False
    scales: tuple[float, ...] = (1.0,)
    initial_window: str = "learned"
    initial_sigma: float = 1.0
    brightness: float | None = None
    box: str = "extent"
    box_scale: float = 1.0
    frame_size: tuple[int, int]
    losses: collections.abc.Mapping[str, str]
    loss_weights: collections.abc.Mapping[str, float]
    reduction: str = "sum_over_batch_size"
    optimizer: str
    learning_rate: float
    decay: str = "constant"
    warmup_steps: int = 0
    momentum: float = 0.0
    clipnorm: float
    batch_size: int
    steps: int
    steps_per_epoch: int = 100
    steps_per_execution: int = 1
    train_sequences: int | None = None
    train_frames: int
    test_frames: int | None
    test_sequences: int | None
    patience: int | None = None
    sources: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )

    channels = 1  # Of the frames: grey ones, unless a recipe has a field of it.

    @abc.abstractmethod
    def build(
        self, *, seed: int = 0, implementation: Implementation = "auto"
    ) -> "Experiment":
        """Makes everything that a training needs.

        Args:
            seed: integer, of the sequences; that of the weights is Keras's.
            implementation: see `ratm_tf.gaussian_glimpse`.

        Returns:
            An `Experiment`.
        """

    @abc.abstractmethod
    def test_data(self, *, seed: int = 0) -> tf.data.Dataset:
        """The test sequences, batched, as `ratm_tf.datasets` has them."""

    @property
    @abc.abstractmethod
    def spans(self) -> list[tuple[int, int] | None]:
        """The `(first, last)` frames that tests measure; None for all of them."""

    @property
    @abc.abstractmethod
    def choices(self) -> dict[str, object]:
        """What the recipe was asked for, JSON values by name."""

    def oracle_iou(self, *, seed: int = 0) -> dict[str, float]:
        """How well the test sequences can be known, see `ratm_tf.datasets.oracle`.

        Args:
            seed: integer, of the sequences.

        Returns:
            Dict of the oracle's mean IoUs over `spans`, empty if there is no oracle.
        """
        del seed
        return {}

    @property
    def deviations(self) -> dict[str, str]:
        """Where a field is not the paper's, or not the paper's alone, by field."""
        return {
            field: source
            for field, source in self.sources.items()
            if re.search(r"\bours\b|the authors' code", source)
        }

    def as_dict(self) -> dict[str, object]:
        """The fields and their values, without their sources, for JSON."""
        fields = dataclasses.asdict(self)
        del fields["sources"]
        return fields

    def _epochs(self, start, step, batch_size, sequences):
        """Training sequences, over and over if there is a number of them.

        Args:
            start: index of the first one, counted through all epochs.
            step: from one's index to the next.
            batch_size: sequences per batch.
            sequences: function of `start`, `step`, `num_sequences` and `batch_size`
                that returns them in batches, as `ratm_tf.datasets` has them.

        Returns:
            An endless `tf.data.Dataset` of batches.

        Raises:
            ValueError: if the steps of an epoch would not be those of the next.
        """
        options = {"step": step, "batch_size": batch_size}
        if self.train_sequences is None:
            return sequences(start=start, **options)
        each, more = divmod(self.train_sequences, step)
        if more:
            raise ValueError(
                f"Expected `train_sequences` to be a multiple of the {step} workers. "
                f"Received: {self.train_sequences}"
            )
        start %= self.train_sequences
        rest = sequences(start=start, num_sequences=each - start // step, **options)
        whole = sequences(start=start % step, num_sequences=each, **options)
        batches = rest.concatenate(whole.repeat())
        if each % batch_size == 0:
            return batches
        return batches.rebatch(batch_size)

    def _in_steps(self, batches, start, step, batch_size):
        """Numbers batches by the training steps that they are for.

        Args:
            batches: endless `tf.data.Dataset`.
            start: index of the first sequence, see `_epochs`.
            step: from one sequence's index to the next.
            batch_size: sequences per batch.

        Returns:
            A `tf.data.Dataset` of pairs of an int64 scalar and a batch.
        """
        first = start // self.batch_size
        of_a_step = self.batch_size // (step * batch_size)
        return batches.enumerate().map(lambda n, batch: (first + n // of_a_step, batch))

    def _tracker(
        self, implementation, *, features=None, objectives=None, metrics=None, **cell
    ):
        """Builds and compiles the tracker.

        Args:
            implementation: see `ratm_tf.gaussian_glimpse`.
            features: see `ratm_tf.RATMCell`.
            objectives: see `ratm_tf.Tracker`.
            metrics: dict of more metrics by output.
            **cell: more arguments of `ratm_tf.RATMCell`.

        Returns:
            A `ratm_tf.Tracker` with fresh weights.
        """
        if self.brightness is not None:
            features = EvenBrightness(self.brightness)
        cell = RATMCell(
            glimpse_size=self.glimpse_size,
            recurrent_cell=self._recurrent_cell(cell.get("kernel_regularizer")),
            features=features,
            window_update=self.window_update,
            sees_window=self.sees_window,
            scales=self.scales,
            initial_window=self.initial_window,
            initial_sigma=self.initial_sigma,
            implementation=implementation,
            **cell,
        )
        return self._compiled(cell, objectives, metrics)

    def _compiled(self, cell, objectives=None, metrics=None):
        """A tracker with a cell, built and compiled, see `_tracker`."""
        tracker = Tracker(
            cell, objectives=objectives, box_scale=self.box_scale, box=self.box
        )
        tracker.compile(
            self._optimizer(),
            {output: self._loss(name) for output, name in self.losses.items()},
            loss_weights=dict(self.loss_weights),
            weighted_metrics={"corner_boxes": MeanIoU(), "boxes": MeanIoU()}
            | (metrics or {}),
            # An epoch is a whole number of them.
            steps_per_execution=math.gcd(
                self.steps_per_execution, min(self.steps, self.steps_per_epoch)
            ),
        )
        tracker.build({"frames": (None, None, *self.frame_size, self.channels)})
        return tracker

    def _recurrent_cell(self, kernel_regularizer):
        cells = {
            "gru": lambda: keras.layers.GRUCell(self.units),
            "irnn": lambda: IRNNCell(
                self.units,
                self.recurrent_scale,
                kernel_regularizer=kernel_regularizer,
                use_bias=self.use_bias,
            ),
        }
        made = [cells[name]() for name in self.recurrent_cell.split("+")]
        return made[0] if len(made) == 1 else keras.layers.StackedRNNCells(made)

    def _optimizer(self):
        rate = self.learning_rate
        if self.decay == "cosine":
            rate = cosine_decay(rate, self.steps, self.warmup_steps)
        if self.optimizer == "sgd":
            return keras.optimizers.SGD(
                rate, momentum=self.momentum, global_clipnorm=self.clipnorm
            )
        return keras.optimizers.Adam(rate, global_clipnorm=self.clipnorm)

    def _loss(self, name):
        options = {"reduction": self.reduction}
        if name == "localization":
            options["frame_size"] = self.frame_size
        return _LOSSES[name](**options)


def cosine_decay(rate, steps, warmup_steps):
    """A learning rate that falls to 0, along half a cosine, once it has risen.

    Args:
        rate: the highest.
        steps: of the training.
        warmup_steps: over which it rises from 0, half of `steps` at most.

    Returns:
        A Keras learning rate schedule.
    """
    warmup = min(warmup_steps, steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        steps - warmup,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


def small_cnn(glimpse_size, channels=1):
    """Features of glimpses that learn from the start, with the tracker.

    Args:
        glimpse_size: `(N, M)`, rows and columns.
        channels: those of a glimpse.

    Returns:
        A `keras.Model` of glimpses `[B, N, M, channels]`.
    """
    return _cnn(glimpse_size, channels, [16, 32])


def even_cnn(glimpse_size, channels=1):
    """The same of glimpses that all have one mean and contrast, and a layer deeper."""
    even = keras.layers.LayerNormalization(axis=[1, 2, 3], center=False, scale=False)
    return _cnn(glimpse_size, channels, [16, 32, 48], even)


def _cnn(glimpse_size, channels, filters, *first):
    """Convolutions that halve what comes from layers before them."""
    convolutions = [
        keras.layers.Conv2D(
            count, 3 if i else 5, strides=2, padding="same", activation="relu"
        )
        for i, count in enumerate(filters)
    ]
    inputs = keras.Input([*glimpse_size, channels])
    return keras.Sequential([inputs, *first, *convolutions], name="features")


LEARNT_CNNS = {"small_cnn": small_cnn, "even_cnn": even_cnn}
"""Networks that learn from the start, by the name of a recipe's features."""


def start_from(tracker, model):
    """Gives a tracker the weights of another one of the same parts, but for a score.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        model: the other one, a `.keras` file or `pretrained:NAME`.

    Raises:
        ValueError: if it is no tracker, is of frames of other channels, has other
            weights, or its windows move in another way, or there is none of that name.
    """
    loaded = pretrained.load(model)
    if not isinstance(loaded, Tracker):
        raise ValueError(
            f"Expected `initial_model` to be a tracker. Received: {model}, a "
            f"{type(loaded).__name__}"
        )
    if loaded.channels != tracker.channels:
        raise ValueError(
            "Expected `initial_model`, or none, of frames of "
            f"{tracker.channels} channel(s). Received: {model}, of {loaded.channels}"
        )
    shapes = [tuple(weight.shape) for weight in _learnt(tracker)]
    found = [tuple(weight.shape) for weight in _learnt(loaded)]
    if found != shapes:
        raise ValueError(
            f"Expected `initial_model` to have weights of the shapes {shapes}. "
            f"Received: {model}, of {found}"
        )
    update = loaded.cell.window_update
    if update != tracker.cell.window_update:
        raise ValueError(
            "Expected `initial_model` to have the window update "
            f"{tracker.cell.window_update!r}. Received: {model}, with {update!r}"
        )
    for weight, value in zip(_learnt(tracker), _learnt(loaded), strict=True):
        weight.assign(value)


def _learnt(tracker):
    """The weights of a tracker's cell and of its objectives."""
    parts = [tracker.loop, *tracker.objectives.values()]
    return [weight for part in parts for weight in part.weights]


FAST_ON_TARGET = {
    "recurrent_cell": "gru",
    "units": 100,
    "glimpse_size": (28, 28),
    "window_update": "relative",  # in units of the window's size
    "initial_window": "given",
    "box_scale": 1.5,
    "losses": {"corner_boxes": "relative"},
    "loss_weights": {"corner_boxes": 1.0},
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "decay": "cosine",
    "clipnorm": 0.1,
    "batch_size": 16,
    "steps": 1_500,
    "patience": 10,
}
"""What the quick recipes share whose trackers start on a given target."""

BEST_PARTS = {
    "features": "even_cnn",
    "units": 128,
    "sees_window": True,
    "scales": (1.0, 2.0),  # all of a person of whom the first box has a part
    "box": "corner",
}
"""The parts of the packaged tracker of people that `FAST_ON_TARGET` has otherwise."""


def named(argument, name, choices):
    """Looks a preset up, and says which there are if there is none of its name."""
    if name not in choices:
        raise ValueError(
            f"Expected `{argument}` to be one of {sorted(choices)}. Received: {name!r}"
        )
    return choices[name]


def from_table(recipe, preset, table, **changes):
    """Makes a recipe of a preset's table.

    Args:
        recipe: a subclass of `Recipe`.
        preset: the table's name.
        table: dict of values by field, or of pairs of a value and where it is from.
        **changes: fields with other values; these are the caller's.

    Returns:
        The recipe.

    Raises:
        TypeError: if the recipe has no such field, or lacks one.
    """
    values, sources = {}, {}
    for field, entry in table.items():
        values[field] = entry
        if isinstance(entry, From):
            values[field], sources[field] = entry.value, entry.source
    sources = {field: at for field, at in sources.items() if field not in changes}
    return recipe(preset=preset, sources=sources, **values | changes)


@dataclasses.dataclass(frozen=True)
class From:
    """A value and where it is from.

    Attributes:
        value: what a field is set to.
        source: the paper's section, the authors' code, or why it is ours.
    """

    value: Any
    source: str
