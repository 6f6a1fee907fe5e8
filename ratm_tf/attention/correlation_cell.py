"""A cell that remembers what its target looks like."""

import copy
import functools
import math
from typing import NamedTuple, cast

import keras
import tensorflow as tf

from ratm_tf.attention import filterbank
from ratm_tf.attention.colour_likelihood import ColourLikelihood
from ratm_tf.attention.correlation_filter import (
    CorrelationFilter,
    peak,
    standardized,
)
from ratm_tf.attention.glimpse_cell import GlimpseCell
from ratm_tf.attention.implementation import IMPLEMENTATIONS
from ratm_tf.attention.window import window_from_activations
from ratm_tf.types import Implementation, Shape, TensorLike

# Factors of the sizes that are looked for, and the share of what is found that counts.
_STEP = 1.05
_SIZES = [1.0, 1.0 / _STEP, _STEP]
_BELIEVED = 0.3
# The eight places around a window, half a window away, and how much less they count.
_AROUND = [[x / 2, y / 2] for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y]
_DOUBTED = 0.8
# Below this share of the usual confidence the target seems to be lost.
_LOST = 0.4
# How fast the memory of late frames is renewed, after how many frames each time, and
# how fast the usual confidence.
_RATE = 0.04
_EVERY = 2
_USUAL_RATE = 0.05
# How much colour counts.
_COLOUR = 0.4
# How wide the filter is, in targets, and a target at least, in pixels.
_SUPPORT = 1.1
_LEAST = 6.0


@keras.saving.register_keras_serializable(package="ratm_tf")
class CorrelationCell(GlimpseCell):
    """Finds in each frame what its target looks like, for `keras.layers.RNN`.

    Where a `RATMCell` predicts its window from what it has seen move, this cell looks
    for its target in the frame at hand. It is another attention module of the paper's
    frame: a window, a glimpse, features and a state that are carried from frame to
    frame. At each it

    - reads the frame through windows of three sizes about where it looks, and describes
      them by `features`;
    - correlates these with a filter of the target, a `CorrelationFilter` of the
      features that the first frame had, and as much of what later ones had, and weighs
      the responses by the likelihood of colours (`ColourLikelihood`): the highest peak
      is the target's place, and how peaks differ between sizes, in the windows and in
      their middles, says how it grows;
    - where the peak is far from what is usual, looks at eight windows around, too;
    - lets a recurrent network judge: from place, growth and confidence a GRU says how
      sure it is of the box;
    - reads a window on the box, and in every second frame renews its memory of late
      frames by it, unless the target seems to be lost.

    Boxes are of the frame that has just been seen, not predictions. The first frame
    fills the memory: its box is the given one.

    A loss on the cell's outputs teaches the GRU alone, by the scores. The features are
    ImageNet's, `ratm_tf.features.efficientnet_features`, or learn before, through the
    filter, by `ratm_tf.training.pretrain_target_features`.

    Args:
        features: a Keras model of glimpses `[B, N, M, C]`, with a mean of zero and
            deviations of about one, to maps `[B, cells, cells, F]`; of 1 or 3 channels,
            grey or RGB. See also `ratm_tf.features.target_features`.
        units: hidden units of the GRU.
        context: how many times wider and higher than the target the window is.
        min_sigma, implementation: see `GaussianGlimpse`.

    Call arguments:
        frame: `[B, H, W, C]`, uint8 in 0..255 or floating in 0..1; or `[1, H, W, C]`,
            one frame in which all `B` targets are.
        states: list of float32 tensors: the raw window `[B, 6]` about the box of the
            frame before; `[B, 4]`, frames seen, the usual confidence and the first raw
            stride; the GRU's state; and the memories of the first frame and of late
            ones, each of them numerators and denominators of the filter and of that of
            the windows' middles, and histograms.

    Returns:
        `(output, new_states)`. `output` `[B, 7 + N*M*C]`, float32, is the window in
        pixels, `context` times the box, the score in 0..1, and the glimpse in 0..1.
        `split_output` takes it apart.

    Raises:
        ValueError: if `features` are not of such a form, or frames do not have the
            shape `[B, H, W, C]` with the `C` of `features`.

    Example:
    >>> cell = ratm_tf.CorrelationCell(ratm_tf.features.target_features())
    >>> tracker = ratm_tf.Tracker(cell)
    >>> frames = tf.random.uniform([1, 3, 120, 160, 3])
    >>> tracked = tracker({"frames": frames, "initial_box": [[20.0, 20.0, 40.0, 60.0]]})
    >>> tracked["boxes"].shape, tracked["scores"].shape
    (TensorShape([1, 3, 4]), TensorShape([1, 3]))
    """

    scores = True
    large = True
    parts = ("features", "recurrent_cell", "score")
    initial_window = "given"

    def __init__(
        self,
        features: keras.Model,
        units: int = 48,
        context: float = 3.5,
        min_sigma: float = 0.25,
        implementation: Implementation = "auto",
        **kwargs: object,
    ) -> None:
        *glimpse_size, channels = _shape_of(features, "input_shape")
        rows, cells, self._maps = _shape_of(features, "output_shape")
        if rows != cells or cells % 4:
            raise ValueError(
                "Expected `features` to make square maps of a multiple of 4 cells. "
                f"Received: {rows} x {cells}"
            )
        super().__init__(glimpse_size, min_sigma, implementation, **kwargs)
        self._channels = channels
        self.features = features
        self.units = units
        self.context = context
        self.filter = CorrelationFilter(cells, _SUPPORT / context)
        self.inner_filter = CorrelationFilter(cells // 2)
        self.likelihood = ColourLikelihood(self.glimpse_shape, cells, context)
        self._choose_form(implementation)
        self.recurrent_cell = keras.layers.GRUCell(units, dtype="float32", name="gru")
        self.score = keras.layers.Dense(
            1, activation="sigmoid", dtype="float32", name="score"
        )
        # By how much a centre moves with a cell, in raw strides; and the least stride.
        steps = [size / (size - 1) / cells for size in reversed(glimpse_size)]
        self._cell_steps = [2.0 * step for step in steps]
        self._least_stride = [_LEAST * context / n for n in reversed(glimpse_size)]

    @property
    def _in_either_form(self):
        searching = [self.filter, self.inner_filter, self.likelihood]
        describing = [
            layer
            for layer in self.features.layers
            if getattr(layer, "implementation", None) in IMPLEMENTATIONS
        ]
        return [*super()._in_either_form, *searching, *describing]

    @property
    def _memory_shapes(self):
        """Of one frame: of both filters, and of the histograms."""
        shapes = []
        for layer in (self.filter, self.inner_filter):
            shapes.append((*layer.numerator_shape, self._maps))
            shapes.append(layer.denominator_shape)
        return [*shapes, (self.likelihood.size, 2)]

    @property
    def state_size(self) -> list[int]:
        """Sizes of the states, see above."""
        memory = sum(map(math.prod, self._memory_shapes))
        return [6, 4, self.units, memory, memory]

    @property
    def output_size(self) -> int:
        """Numbers in the output, `7 + N*M*C`."""
        return 7 + math.prod(self.glimpse_shape)

    def build(self, frame_shape: Shape) -> None:
        if len(frame_shape) != 4 or frame_shape[-1] != self._channels:
            raise ValueError(
                f"Expected a `frame` of shape [B, H, W, {self._channels}]. Received "
                f"shape: {tuple(frame_shape)}"
            )
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: self._channels})
        self.recurrent_cell.build((None, 10))
        self.score.build((None, self.units))
        self._freeze_again()

    def call(
        self, frame: TensorLike, states: list[tf.Tensor], training: bool | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        frame = tf.convert_to_tensor(frame)
        activations, known, hidden, first, late = states
        known = _Known(*tf.split(known, [1, 1, 2], axis=-1))
        stride = tf.abs(activations[:, 4:])
        memory = 0.5 * (first + late)
        found, votes, likely = self._sought(frame, activations, known, memory)
        confidence = found.confidence(known.usual)
        good = (confidence >= _LOST) & ~known.begins

        grown = tf.math.divide_no_nan(stride, known.first_stride)
        score, hidden = self._judged(found, votes, likely, grown, known, hidden)
        located, window = self._located(frame, activations, found, votes, good, known)
        glimpse, _ = self.read(frame, located[:, tf.newaxis])
        first, late = self._remembered(glimpse, good, known, first, late)
        known = tf.concat(known.renewed(found.value, stride, good), axis=-1)

        pixels = tf.reshape(glimpse, [-1, math.prod(self.glimpse_shape)])
        # A score teaches how to judge, not how to look: that is learnt before.
        window, pixels = tf.stop_gradient(window), tf.stop_gradient(pixels)
        output = tf.concat([window, score, pixels], axis=-1)
        located, known, first, late = map(
            tf.stop_gradient, [located, known, first, late]
        )
        return output, [located, known, hidden, first, late]

    def _sought(self, frame, activations, known, memory):
        """The target: where it is, how it grows, and the likelihood of colours."""
        shapes = self._memory_shapes
        parts = tf.split(memory, [*map(math.prod, shapes)], axis=-1)
        *fits, histograms = [
            tf.reshape(part, [-1, *shape])
            for part, shape in zip(parts, shapes, strict=True)
        ]
        filters = self.filter.solve(*fits[:2])
        sizes = tf.constant(_SIZES)[:, tf.newaxis]
        windows = activations[:, tf.newaxis] * tf.pad(
            tf.repeat(sizes, 4, axis=1), [[0, 0], [2, 0]], constant_values=1.0
        )
        seen, maps, likely = self._searched(
            frame, windows, filters, histograms, concentric=True
        )
        preferred = seen.height * [[1.0], [0.98], [0.98]]
        found = seen._replace(place=seen.place * sizes).highest(preferred)

        lost = (found.confidence(known.usual) < _LOST) & ~known.begins
        around = functools.partial(
            self._around, frame, activations, filters, histograms, found, lost
        )
        if filterbank.has_branches():
            found = tf.cond(tf.reduce_any(lost), around, lambda: found)
        else:
            found = around()
        return found, self._votes(seen, maps, fits[2:]), likely

    def _judged(self, found, votes, likely, grown, known, hidden):
        """The score, how sure the recurrent network is, and its new state."""
        summary = [
            found.place * (self.context / self.filter.cells),
            votes,
            tf.math.log(found.confidence(known.usual) + 0.05),
            0.1 * tf.sqrt(found.sharpness),
            _at(likely, found.place),
            tf.math.log(grown + 1e-3),
            1.0 / (1.0 + known.age),
        ]
        summary = tf.where(known.begins, 0.0, tf.concat(summary, axis=-1))
        judged, (hidden,) = self.recurrent_cell(tf.stop_gradient(summary), [hidden])
        return tf.where(known.begins, 1.0, self.score(judged)), hidden

    def _located(self, frame, activations, found, votes, good, known):
        """The window on what is found, raw and in pixels."""
        growth = _BELIEVED * tf.reduce_mean(votes, axis=-1, keepdims=True)
        factor = tf.where(good, _STEP**growth, 1.0)
        stride = tf.abs(activations[:, 4:])
        center = activations[:, :2] + found.place * self._cell_steps * stride
        center = tf.clip_by_value(center, -1.0, 1.0)
        located = tf.concat([center, factor * activations[:, 2:]], axis=-1)
        return self._not_too_small(frame, tf.where(known.begins, activations, located))

    def _searched(self, frame, windows, filters, histograms, concentric):
        """What is found through `K` windows: `_Found`, maps and likelihood.

        The likelihood of colours is that of the first of `concentric` windows alone.
        """
        glimpses, _ = self.read(frame, windows)
        count = windows.shape[1]
        maps = self.described(glimpses)
        response = self.filter.respond(filters, maps)
        if concentric:
            glimpses = glimpses[:, :1]
        else:
            histograms = tf.repeat(histograms, count, axis=0)
        likely = self.likelihood.of_boxes(
            histograms, tf.reshape(glimpses, [-1, *self.glimpse_shape])
        )
        cells = self.filter.cells
        response = tf.reshape(response, [-1, count if concentric else 1, cells, cells])
        response *= 1.0 - _COLOUR + _COLOUR * likely[:, tf.newaxis]
        place, height, sharpness = peak(
            tf.reshape(response, [-1, cells, cells]), self.implementation
        )
        found = _Found(
            tf.reshape(place, [-1, count, 2]),
            tf.reshape(height, [-1, count, 1]),
            tf.reshape(sharpness, [-1, count, 1]),
        )
        return found, maps, likely

    def _around(self, frame, activations, filters, histograms, found, lost):
        """What is found in eight windows around, where the target is lost."""
        shifts = tf.constant(_AROUND) * self.filter.cells
        stride = tf.abs(activations[:, tf.newaxis, 4:])
        moves = tf.pad(shifts * self._cell_steps * stride, [[0, 0], [0, 0], [0, 4]])
        windows = activations[:, tf.newaxis] + moves
        seen, _, _ = self._searched(
            frame, windows, filters, histograms, concentric=False
        )
        there = seen._replace(place=seen.place + shifts).highest(seen.height)
        better = lost & (_DOUBTED * there.height > found.height)
        return _Found(
            *(tf.where(better, *pair) for pair in zip(there, found, strict=True))
        )

    def _votes(self, seen, maps, fit):
        """How the target grows, by whole windows and by their middles, in -1..1."""
        inner = self._middle(maps, seen.place[:, 0])
        response = self.inner_filter.respond(self.inner_filter.solve(*fit), inner)
        height = tf.reduce_max(response, axis=[1, 2])
        height = tf.reshape(height, [-1, len(_SIZES)])
        return _vertex(tf.stack([seen.height[..., 0], height], axis=1))

    def _remembered(self, glimpse, good, known, first, late):
        """The memories of the first frame and of late ones, with what is seen now."""
        due = known.begins | (good & (known.age % _EVERY == 0.0))

        def renewed():
            looks = self._looks(glimpse)
            rate = tf.where(known.begins, 1.0, _RATE * tf.cast(due, tf.float32))
            return tf.where(known.begins, looks, first), late + rate * (looks - late)

        if filterbank.has_branches():
            return tf.cond(tf.reduce_any(due), renewed, lambda: (first, late))
        return renewed()

    def _looks(self, glimpse):
        """What one window on the target says for the memory: `[B, all of it]`."""
        maps = self.described(glimpse)
        edge = self.filter.cells // 4
        looks = [
            *self.filter.fit(maps),
            *self.inner_filter.fit(self._unit(maps[:, edge:-edge, edge:-edge])),
            self.likelihood.histograms(glimpse[:, 0]),
        ]
        flat = [
            tf.reshape(look, [-1, math.prod(shape)])
            for look, shape in zip(looks, self._memory_shapes, strict=True)
        ]
        return tf.concat(flat, axis=-1)

    def described(self, glimpses: tf.Tensor) -> tf.Tensor:
        """Features of glimpses, whatever their light and contrast.

        Args:
            glimpses: float32 `[B, K, N, M, C]` in 0..1.

        Returns:
            Maps `[B * K, cells, cells, F]`, of mean square one.
        """
        glimpses = tf.reshape(glimpses, [-1, *self.glimpse_shape])
        glimpses = standardized(
            glimpses,
            floor=4.0 / 255.0,
            centred=True,
            implementation=self.implementation,
        )
        return self._unit(tf.cast(self.features(glimpses), tf.float32))

    def _unit(self, maps):
        """Maps of mean square one."""
        return standardized(maps, ridge=1e-3, implementation=self.implementation)

    def _middle(self, maps, places):
        """The halves of `K` maps each about the cells nearest to places."""
        cells, half = self.filter.cells, self.filter.cells // 2
        start = tf.cast(tf.round(places), tf.int32) + half // 2
        start = tf.clip_by_value(start, 0, half)
        columns, rows = tf.unstack(start[..., tf.newaxis] + tf.range(half), axis=1)
        maps = tf.reshape(maps, [-1, len(_SIZES), cells, cells, self._maps])
        maps = tf.gather(maps, rows, axis=2, batch_dims=1)
        maps = tf.gather(maps, columns, axis=3, batch_dims=1)
        return self._unit(tf.reshape(maps, [-1, half, half, self._maps]))

    def _not_too_small(self, frame, activations):
        """Raw windows with a stride of some pixels, and the windows in pixels."""
        size = tf.unstack(tf.shape(frame)[1:3])
        window = window_from_activations(
            activations, size, self.glimpse_size, self.glimpse.min_sigma
        )
        factor = tf.maximum(
            tf.math.divide_no_nan(self._least_stride, window[:, 4:]), 1.0
        )
        factor = tf.concat([tf.ones_like(factor), factor, factor], axis=-1)
        return activations * factor, window * factor

    def split_output(
        self, output: tf.Tensor | keras.KerasTensor
    ) -> tuple[tf.Tensor, ...]:
        """Takes the cell's output apart, of one step or of a sequence.

        Args:
            output: the cell's `[B, ...]` or a sequence's `[B, T, ...]`, a tensor or a
                `keras.KerasTensor`.

        Returns:
            `(window, glimpse, score)`, `[B, 6]` or `[B, T, 6]` in pixels,
            `[B, N, M, C]` or `[B, T, N, M, C]` in 0..1, and `[B]` or `[B, T]` in 0..1.
        """
        steps = [-1 if length is None else length for length in output.shape[1:-1]]
        reshape = keras.layers.Reshape((*steps, *self.glimpse_shape), dtype="float32")
        return output[..., :6], reshape(output[..., 7:]), output[..., 6]

    def get_initial_state(
        self,
        batch_size: int | tf.Tensor | None = None,
        activations: tf.Tensor | None = None,
    ) -> list[tf.Tensor]:
        """The states before the first frame: nothing but the first window.

        Args:
            batch_size: number of sequences `B`.
            activations: float `[B, 6]`, the raw window, `context` times the target's
                box, of each sequence. Default: zeros, the middle of the frame.

        Returns:
            List of float32 tensors of the sizes in `state_size`.
        """
        states = [tf.zeros([batch_size, size]) for size in self.state_size]
        if activations is not None:
            states[0] = activations
        return states

    def get_config(self) -> dict[str, object]:
        config = super().get_config()
        del config["dtype"]  # Always float32.
        return config | {
            "features": keras.saving.serialize_keras_object(self.features),
            "units": self.units,
            "context": self.context,
            "min_sigma": self.glimpse.min_sigma,
            "implementation": self.implementation,
            "frozen": self._frozen(),
        }

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "CorrelationCell":
        config = copy.deepcopy(config)  # Keras takes apart what it deserialises.
        frozen = cast(list[str], config.pop("frozen"))
        config["features"] = keras.saving.deserialize_keras_object(config["features"])
        cell = super().from_config(config)
        for name in frozen:
            getattr(cell, name).trainable = False
        return cell


class _Known(NamedTuple):
    """Frames seen and the usual confidence `[B, 1]`, and the first stride `[B, 2]`."""

    age: tf.Tensor
    usual: tf.Tensor
    first_stride: tf.Tensor

    @property
    def begins(self):
        return self.age == 0.0

    def renewed(self, value, stride, good):
        """The same after a frame, by what was found in it."""
        renewal = tf.maximum(tf.math.reciprocal_no_nan(self.age), _USUAL_RATE)
        usual = self.usual + renewal * tf.cast(good, tf.float32) * (value - self.usual)
        first_stride = tf.where(self.begins, stride, self.first_stride)
        return _Known(self.age + 1.0, usual, first_stride)


class _Found(NamedTuple):
    """Peaks: places `[..., 2]` in cells, heights and sharpnesses `[..., 1]`."""

    place: tf.Tensor
    height: tf.Tensor
    sharpness: tf.Tensor

    def highest(self, heights):
        """The one of several windows, by their heights `[B, K, 1]`."""
        best = tf.argmax(heights[..., 0], axis=-1, output_type=tf.int32)
        return _Found(*(tf.gather(values, best, batch_dims=1) for values in self))

    @property
    def value(self):
        return self.height * tf.sqrt(self.sharpness)

    def confidence(self, usual):
        """As a share of what is usual; one where nothing is."""
        return tf.where(usual > 0.0, tf.math.divide_no_nan(self.value, usual), 1.0)


def _shape_of(features, which):
    shape = getattr(features, which, None)
    if not (isinstance(shape, tuple) and len(shape) == 4 and all(shape[1:])):
        raise ValueError(
            "Expected `features` to be a Keras model of glimpses [B, N, M, C] to maps "
            f"[B, cells, cells, F] of known sizes. Received its {which}: {shape}"
        )
    return shape[1:]


def _vertex(heights):
    """Where parabolas through the heights of three sizes are highest, in -1..1."""
    heights = tf.reshape(heights, [-1, 2, len(_SIZES)])
    same, smaller, larger = tf.unstack(heights, axis=-1)
    bend = tf.maximum(2.0 * same - smaller - larger, 1e-6)
    return tf.clip_by_value(0.5 * (larger - smaller) / bend, -1.0, 1.0)


def _at(maps, place):
    """The values `[B, 1]` of maps at places, or at the nearest edge."""
    cells = maps.shape[-1]
    nearest = tf.cast(tf.round(place), tf.int32) + cells // 2
    nearest = tf.clip_by_value(nearest, 0, cells - 1)
    index = nearest[:, 1:] * cells + nearest[:, :1]
    return tf.gather(tf.reshape(maps, [-1, cells**2]), index, batch_dims=1)
