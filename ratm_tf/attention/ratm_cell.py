"""The recurrent attention module as a Keras RNN cell."""

import copy
import math
from collections.abc import Sequence
from numbers import Real
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

# `keras.layers.RNN` makes the dropout masks of a sequence for cells of this class.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from ratm_tf.attention import recurrence
from ratm_tf.attention.functional import check_dtype
from ratm_tf.attention.glimpse_cell import GlimpseCell
from ratm_tf.attention.implementation import choose
from ratm_tf.attention.irnn_cell import IRNNCell
from ratm_tf.types import Implementation, Shape, Size, TensorLike

# The unit of a window's motion is so small a part of its place's.
_MOTION = 5.0


@keras.saving.register_keras_serializable(package="ratm_tf")
class RATMCell(GlimpseCell, DropoutRNNCell):
    """One step of the recurrent attention module (Eq. 1-5), for `keras.layers.RNN`.

    At step `t` the cell reads frame `t` through the window computed from `h_{t-1}`,
    describes the glimpse by its features `x_t`, and updates its state:

        x_t = features(glimpse(frame_t, window_t))
        h_t = relu(W_in x_t + W_rec h_{t-1} + bias)       (Eq. 1-3, the IRNN)
        window_{t+1} = W h_t + b                          (Eq. 5, `absolute`)
        window_{t+1} = W h_t + window_t                   (`residual`, raw activations)
        center_{t+1} = center_t + abs(stride_t) u_center        (`relative`, raw
        stride_{t+1} = stride_t exp(u_stride / 4)               activations again,
        sigma_{t+1} = sigma_t exp(u_stride / 4)                 u = tanh(W h_t))

    A `relative` window moves and grows in units of its own size, by half of it and by a
    factor of exp(1/4) at most: a target that is half as large and moves half as fast
    is tracked alike, wherever it is in the frame. Its sigma keeps its proportion to the
    stride: no loss on boxes would hold it back.

    With `sees_window` the recurrent cell is told where it looks, and how that moved:

        x_t = [features(glimpse), w_t, 5 (w_t - w_{t-1})]

    where `w_t` are the raw centre and stride, in half-frames and frames, of `window_t`,
    and `w_0 = w_1`. What it sees in the glimpse it can add to that, for a place and a
    velocity in the frame.

    With several `scales` it sees the frame at each of them, about one centre: through
    `window_t` with its raw sigma and stride times the scale. All are read at once,
    described by the same features, and seen side by side:

        x_t = [features(glimpse at scale) for each scale]

    The first scale is 1: what it reads is the glimpse, in the output and in what
    objectives see. Wider ones show what comes near it.

    The window of the first step is learnt, or given by the initial state. Windows
    and states are float32 whatever the dtype policy, which rules the features and the
    recurrent cell.

    Args:
        units: number of hidden units, 100 by default, or those of `recurrent_cell`.
        glimpse_size: `(N, M)`, rows and columns of the glimpse, or one integer for
            both.
        recurrent_cell: any Keras RNN cell, in place of the IRNN.
        features: a Keras layer or model that maps glimpses `[B, N, M, C]` in 0..1 to
            features, one tensor; the recurrent cell sees them flat. None gives it the
            pixels. With `trainable = False` they run in inference mode.
        window_update: `"absolute"`, `"residual"` or `"relative"`, see above; only the
            last is not the paper's or its authors'.
        sees_window: whether the recurrent cell sees, beside the features, the window
            and how it moved, see above.
        scales: positive numbers, the first of them 1: how many times wider and higher
            than the window the views are that the recurrent cell sees, see above.
        initial_window: which part of the first window is learnt: `"learned"`, all of
            it is `b`; `"given"`, none, for cells that start on a target: `b` is what
            the initial state says (see `get_initial_state`); or `"given_first"`, the
            initial state has the first window alone, and `b` is learnt.
        initial_sigma: a learnt initial window spans the frame at the start of training,
            with this sigma in pixels. Near the stride, so that the filters of the grid
            overlap, it lets gradients find a target anywhere.
        kernel_regularizer: regulariser of `W` and, in an IRNN that has none of its
            own, of `W_in`. Other recurrent cells bring theirs. The paper's (Eq. 18) is
            `ratm_tf.objectives.WeightPenalty`.
        min_sigma: see `GaussianGlimpse`.
        implementation: see `GaussianGlimpse`.
        return_features: whether the output has the features of the glimpse, too, for
            objectives that go on from there.

    Call arguments:
        frame: `[B, H, W, C]`, uint8 in 0..255 (read without a float copy and scaled to
            0..1 in the glimpse) or floating in 0..1; or `[1, H, W, C]`, one frame that
            all `B` sequences look at, each through its own window.
        states: list of float32 tensors, the recurrent cell's states followed by the raw
            window `[B, 6]` for this frame, its bias `b` `[B, 6]` and, with
            `sees_window`, by how much its centre and stride moved `[B, 4]`. Where
            window and bias are zeros, which is no window, as
            `keras.layers.RNN.reset_state` leaves them, the sequence starts anew with
            the learnt `b`.

    Returns:
        `(output, new_states)`. `output` `[B, 6 + N*M*C]`, float32, is the window in
        pixels and the glimpse in 0..1, and with `return_features` what the features
        make of it. `split_output` takes it apart.

    Raises:
        ValueError: if an argument is not one of those named above, or frames do not
            have the shape `[B, H, W, C]` with the `C` that the cell was built for.

    Example:
    >>> cell = ratm_tf.RATMCell(units=100, glimpse_size=(28, 28))
    >>> rnn = keras.layers.RNN(cell, return_sequences=True)
    >>> windows, glimpses = cell.split_output(rnn(tf.random.uniform([2, 5, 64, 64, 1])))
    >>> windows.shape, glimpses.shape
    (TensorShape([2, 5, 6]), TensorShape([2, 5, 28, 28, 1]))
    """

    parts = ("recurrent_cell", "features", "window")

    def __init__(
        self,
        units: int | None = None,
        glimpse_size: int | Size = (28, 28),
        recurrent_cell: keras.layers.Layer | None = None,
        features: keras.layers.Layer | None = None,
        window_update: Literal["absolute", "residual", "relative"] = "absolute",
        initial_window: Literal["learned", "given", "given_first"] = "learned",
        initial_sigma: float = 1.0,
        kernel_regularizer: keras.regularizers.Regularizer | str | None = None,
        min_sigma: float = 0.25,
        implementation: Implementation = "auto",
        dtype: str | keras.dtype_policies.DTypePolicy | None = None,
        sees_window: bool = False,
        scales: Sequence[float] = (1.0,),
        return_features: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(glimpse_size, min_sigma, implementation, **kwargs)
        for name, value, choices in (
            ("window_update", window_update, ("absolute", "residual", "relative")),
            ("initial_window", initial_window, ("learned", "given", "given_first")),
        ):
            if value not in choices:
                raise ValueError(
                    f"Expected `{name}` to be one of {choices}. Received: {value!r}"
                )
        for name, value in (("recurrent_cell", recurrent_cell), ("features", features)):
            if not isinstance(value, (keras.layers.Layer, type(None))):
                raise ValueError(
                    f"Expected `{name}` to be a Keras layer. Received: {value!r}"
                )
        self.policy = policy = keras.dtype_policies.get(dtype)
        if recurrent_cell is None:
            units = 100 if units is None else units
            recurrent_cell = IRNNCell(units, dtype=policy, name="irnn")
        elif units not in (None, _output_size(recurrent_cell)):
            raise ValueError(
                "Expected `units` to be those of `recurrent_cell`, "
                f"{_output_size(recurrent_cell)}. Received: {units!r}"
            )
        self.window_update = window_update
        self.sees_window = sees_window
        self.scales = _checked_scales(scales)
        self.return_features = return_features
        self.initial_window = initial_window
        self.initial_sigma = initial_sigma
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_cell = recurrent_cell
        self.features = features
        self.window = keras.layers.Dense(
            6,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            kernel_regularizer=self.kernel_regularizer,
            dtype=policy,
            name="window",
        )
        self._features_shape = None

    @property
    def units(self) -> int:
        """Number of hidden units, which the window is made from."""
        return _output_size(self.recurrent_cell)

    @property
    def state_size(self) -> list[int]:
        """Sizes of the states: the recurrent cell's, and the window's, see above."""
        hidden = keras.tree.flatten(self.recurrent_cell.state_size)
        return hidden + [6, 6] + ([4] if self.sees_window else [])

    @property
    def output_size(self) -> int:
        """Numbers in the output, `6 + N*M*C` and the features, once it is built."""
        return 6 + sum(map(math.prod, self._returned_shapes()))

    def _returned_shapes(self):
        """Shapes of what the output has after the window."""
        return [self.glimpse_shape] + [self._features_shape] * self.return_features

    def build(self, frame_shape: Shape) -> None:
        if len(frame_shape) != 4 or frame_shape[-1] is None:
            raise ValueError(
                "Expected a `frame` of shape [B, H, W, C] with a known number of "
                f"channels. Received shape: {tuple(frame_shape)}"
            )
        self._channels = frame_shape[-1]
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: self._channels})
        self._features_shape = tuple(self._built_features_shape())
        self._features_size = len(self.scales) * math.prod(self._features_shape)
        self._inputs_size = self._features_size + (8 if self.sees_window else 0)
        if not self.recurrent_cell.built:
            self.recurrent_cell.build((frame_shape[0], self._inputs_size))
        if isinstance(self.recurrent_cell, IRNNCell):
            kernel = self.recurrent_cell.kernel
            kernel.regularizer = kernel.regularizer or self.kernel_regularizer
        self.window.build((frame_shape[0], self.units))
        self.window_bias = self.add_weight(
            name="window_bias",
            shape=(6,),
            initializer=keras.initializers.Constant(
                [0.0, 0.0, self.initial_sigma, self.initial_sigma, 1.0, 1.0]
            ),
            trainable=self.initial_window != "given",
        )
        self._freeze_again()

    def _built_features_shape(self):
        """Builds the features; returns the shape of those of one glimpse."""
        if self.features is None:
            return self.glimpse_shape
        # It keeps the batch size that it is built with.
        if isinstance(self.features, keras.Sequential) and not self.features.built:
            self.features.build((None, *self.glimpse_shape))
        features = self.features(tf.zeros([1, *self.glimpse_shape]), training=False)
        if not tf.is_tensor(features) or not features.shape[1:].is_fully_defined():
            raise ValueError(
                "Expected `features` to make one tensor of a known shape of glimpses. "
                f"Received: {features}"
            )
        return features.shape[1:]

    def call(
        self, frame: TensorLike, states: list[tf.Tensor], training: bool | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        *hidden, activations, bias = states[:-1] if self.sees_window else states
        activations, bias = self._started(activations, bias)
        frame = tf.convert_to_tensor(frame)
        glimpse, window, features = self._seen(frame, activations)
        if self.features is not None:
            learning = training and self.features.trainable
            features = self.features(features, training=learning)
        inputs = features = tf.reshape(features, [-1, self._features_size])
        if self.sees_window:
            place = tf.concat([_place(activations), _MOTION * states[-1]], axis=-1)
            place = tf.cast(place, features.dtype)
            inputs = tf.concat([features, place], axis=-1)
        hidden = keras.tree.pack_sequence_as(
            _as_list(self.recurrent_cell.state_size), hidden
        )
        output, hidden = self.recurrent_cell(inputs, hidden)

        following = self._next_window(
            tf.cast(self.window(output), tf.float32), activations, bias
        )
        hidden = [tf.cast(state, tf.float32) for state in keras.tree.flatten(hidden)]
        states = [*hidden, following, bias]
        if self.sees_window:
            states.append(_place(following) - _place(activations))
        returned = [window, tf.reshape(glimpse, [-1, math.prod(self.glimpse_shape)])]
        if self.return_features:
            of_glimpse = features[:, : math.prod(self._features_shape)]
            returned.append(tf.cast(of_glimpse, tf.float32))
        return tf.concat(returned, axis=-1), states

    @property
    def plain(self) -> bool:
        """Whether `track` serves: the paper's own cell, by the fused op in float32."""
        return (
            type(self) is RATMCell
            and type(self.recurrent_cell) is IRNNCell
            and self.recurrent_cell.activity_regularizer is None
            and self.recurrent_cell.compute_dtype == self.window.compute_dtype
            and self.window.compute_dtype == "float32"
            and self.features is None
            and self.window_update == "absolute"
            and not (self.sees_window or self.return_features or self.scales[1:])
            and choose(self.implementation) == "fused"
            and recurrence.available()
        )

    def track(
        self, frames: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], list[tf.Tensor]]:
        """Takes whole sequences at once, if the cell is `plain`.

        It is what `keras.layers.RNN` and `split_output` make of the cell, in one
        operation.

        Args:
            frames: `[B, T, H, W, C]`, uint8 in 0..255 or floating in 0..1, `T` > 0; or
                `[1, T, H, W, C]`, a video that all `B` sequences look at. They get no
                gradient.
            states: list of float32 tensors, from `get_initial_state` or from the frames
                before.

        Returns:
            `((windows, glimpses), states)`, float32 `[B, T, 6]` in pixels,
            `[B, T, N, M, C]` in 0..1, and the states for the frame that comes next.

        Raises:
            TypeError: if frames have another dtype.

        Example:
        >>> cell = ratm_tf.RATMCell(units=100, glimpse_size=(28, 28))
        >>> cell.build([None, 64, 64, 1])
        >>> if cell.plain:
        ...     frames = tf.random.uniform([2, 5, 64, 64, 1])
        ...     seen, states = cell.track(frames, cell.get_initial_state(2))
        """
        hidden, activations, bias = states
        check_dtype("frames", frames.dtype)
        if frames.dtype != tf.uint8:
            frames = tf.cast(frames, tf.float32)
        windows, glimpses, hidden, activations = recurrence.recurrence(
            frames,
            activations,
            hidden,
            bias,
            *self.recurrence_weights,
            self.glimpse_size,
            self.glimpse.min_sigma,
        )
        return (windows, glimpses), [hidden, activations, bias]

    @property
    def recurrence_weights(self) -> list[tf.Tensor]:
        """`W_in`, `W_rec`, the hidden units' bias and `W` of a `plain` cell."""
        irnn = self.recurrent_cell
        bias = irnn.bias if irnn.use_bias else tf.zeros([self.units])
        weights = [irnn.kernel, irnn.recurrent_kernel, bias, self.window.kernel]
        return [tf.convert_to_tensor(weight) for weight in weights]

    def _seen(self, frame, activations):
        """The glimpse, its window, and the glimpses `[B*K, N, M, C]` at all scales."""
        shared = frame.shape[0] == 1 and activations.shape[0] != 1
        if len(self.scales) == 1 and not shared:
            glimpse, window = self.glimpse(frame, activations)
            glimpse = self.scaled(glimpse, frame.dtype)
            return glimpse, window, glimpse
        views = [[1.0, 1.0, *[scale] * 4] for scale in self.scales]
        glimpses, windows = self.read(frame, activations[:, tf.newaxis] * views)
        of_each = tf.reshape(glimpses, [-1, *self.glimpse_shape])
        return glimpses[:, 0], windows[:, 0], of_each

    def get_dropout_mask(self, frames: tf.Tensor) -> None:
        """Makes the recurrent cell's dropout masks: one for all steps of a sequence.

        Args:
            frames: `[B, H, W, C]`, of one step.
        """
        self.reset_dropout_mask()
        batch_size = tf.shape(frames)[0]
        for cell, input_size in _with_dropout(self.recurrent_cell, self._inputs_size):
            state_size = keras.tree.flatten(cell.state_size)[0]
            dtype = cell.compute_dtype
            cell.get_dropout_mask(tf.zeros([batch_size, input_size], dtype))
            cell.get_recurrent_dropout_mask(tf.zeros([batch_size, state_size], dtype))

    def get_recurrent_dropout_mask(self, states: list[tf.Tensor]) -> None:
        """Nothing: `get_dropout_mask` makes them all."""

    def reset_dropout_mask(self) -> None:
        """Forgets the dropout masks, after a sequence."""
        for cell, _ in _with_dropout(self.recurrent_cell, self._inputs_size):
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()

    def reset_recurrent_dropout_mask(self) -> None:
        """Nothing: `reset_dropout_mask` forgets them all."""

    def _started(self, activations, bias):
        """The first window where there is none yet."""
        none = tf.reduce_all(tf.equal(bias, 0.0), axis=-1, keepdims=True)
        first = tf.cast(none, tf.float32) * self.window_bias
        return activations + first, bias + first

    def _next_window(self, update, activations, bias):
        if self.window_update == "absolute":
            return update + bias
        if self.window_update == "residual":
            return update + activations
        move, _, growth = tf.split(tf.tanh(update), 3, axis=-1)
        center, sigma, stride = tf.split(activations, 3, axis=-1)
        factor = tf.exp(growth / 4.0)
        return tf.concat(
            [center + move * tf.abs(stride), sigma * factor, stride * factor], axis=-1
        )

    def split_output(
        self, output: tf.Tensor | keras.KerasTensor
    ) -> tuple[tf.Tensor, ...]:
        """Takes the cell's output apart, of one step or of a sequence.

        Args:
            output: the cell's `[B, ...]` or a sequence's `[B, T, ...]`, a tensor or a
                `keras.KerasTensor`.

        Returns:
            `(window, glimpse)`, `[B, 6]` or `[B, T, 6]` in pixels, and `[B, N, M, C]`
            or `[B, T, N, M, C]` in 0..1; with `return_features` these, too, in the
            shape that they have.
        """
        steps = [-1 if length is None else length for length in output.shape[1:-1]]
        parts, start = [output[..., :6]], 6
        for shape in self._returned_shapes():
            end = start + math.prod(shape)
            reshape = keras.layers.Reshape((*steps, *shape), dtype="float32")
            parts.append(reshape(output[..., start:end]))
            start = end
        return tuple(parts)

    def get_initial_state(
        self,
        batch_size: int | tf.Tensor | None = None,
        activations: tf.Tensor | None = None,
    ) -> list[tf.Tensor]:
        """The states before the first frame: `h_0 = 0` and the first window.

        Args:
            batch_size: number of sequences `B`.
            activations: float `[B, 6]`, the raw first window of each sequence, and `b`
                of Eq. 5, too, with `initial_window="given"`. Default: the learnt `b`.

        Returns:
            List of float32 tensors of the sizes in `state_size`.
        """
        if hasattr(self.recurrent_cell, "get_initial_state"):
            hidden = self.recurrent_cell.get_initial_state(batch_size=batch_size)
        else:
            sizes = keras.tree.flatten(self.recurrent_cell.state_size)
            hidden = [tf.zeros([batch_size, size]) for size in sizes]
        bias = tf.broadcast_to(self.window_bias, [batch_size, 6])
        if activations is None:
            activations = bias
        elif self.initial_window == "given":
            bias = activations
        return [
            *(tf.cast(state, tf.float32) for state in keras.tree.flatten(hidden)),
            activations,
            bias,
            *([tf.zeros([batch_size, 4])] if self.sees_window else []),
        ]

    def get_config(self) -> dict[str, object]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "dtype": serialize(self.policy),
            "glimpse_size": self.glimpse_size,
            "recurrent_cell": serialize(self.recurrent_cell),
            "features": serialize(self.features),
            "window_update": self.window_update,
            "sees_window": self.sees_window,
            "scales": self.scales,
            "return_features": self.return_features,
            "initial_window": self.initial_window,
            "initial_sigma": self.initial_sigma,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "min_sigma": self.glimpse.min_sigma,
            "implementation": self.implementation,
            "frozen": self._frozen(),
        }

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "RATMCell":
        config = copy.deepcopy(config)  # Keras takes apart what it deserialises.
        frozen = config.pop("frozen", [])
        for name in ("recurrent_cell", "features"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        if config["recurrent_cell"] is not None:
            config.pop("units", None)  # Of no use, but saved beside it once.
        cell = super().from_config(config)
        for name in frozen:
            getattr(cell, name).trainable = False
        return cell


def _checked_scales(scales):
    numbers = tuple(scales) if np.iterable(scales) else ()
    if not (
        numbers
        and all(isinstance(n, Real) and 0 < n < math.inf for n in numbers)
        and numbers[0] == 1
    ):
        raise ValueError(
            "Expected `scales` to be positive numbers, the first of them 1. Received: "
            f"{scales!r}"
        )
    return tuple(map(float, numbers))


def _place(activations):
    """The raw centre and stride of a raw window."""
    return tf.concat([activations[..., :2], activations[..., 4:]], axis=-1)


def _output_size(cell):
    output_size = getattr(cell, "output_size", None)
    return output_size or keras.tree.flatten(cell.state_size)[0]


def _with_dropout(cell, input_size):
    """Yields the cells with dropout in a cell, and the size of their inputs."""
    if isinstance(cell, keras.layers.StackedRNNCells):
        for inner in cell.cells:
            yield from _with_dropout(inner, input_size)
            input_size = _output_size(inner)
    elif isinstance(cell, DropoutRNNCell):
        yield cell, input_size


def _as_list(state_size):
    return state_size if isinstance(state_size, (list, tuple)) else [state_size]
