"""The tracker: attention, features and objectives as one Keras model."""

import copy
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ratm_tf.attention import GlimpseCell, gaussian_glimpse
from ratm_tf.attention.window import activations_from_window
from ratm_tf.boxes import KINDS, box_from_window, iou, scale_box, window_from_box
from ratm_tf.prediction import are_arrays, predict_arrays
from ratm_tf.types import Implementation, Kind, Shape, TensorLike

# In training, sequences are unrolled if that makes at most so many uses of weights:
# building the graph takes a few seconds more, and a step half the time. A larger cell,
# with a network for its features, takes much longer to build, and gains nothing.
MOST_UNROLLED_USES = 320

_OUTPUTS = ("boxes", "corner_boxes", "windows", "glimpses", "scores")
# In training, for objectives: the cell's features, where it returns them.
_FEATURES = "features of glimpses"


@keras.saving.register_keras_serializable(package="ratm_tf")
class Tracker(keras.Model):
    """RATM: follows one object through a video (section 3 of the paper).

    The cell decides *where* to look and describes *what* it sees there. The objectives
    say *why*: losses on the tracker's named outputs, given to `compile` as in any Keras
    model. They compare

    - `boxes` and `corner_boxes` with the true boxes, one label for both: `boxes`;
    - `glimpses` with the label `glimpses`, or else with what the tracker would see
      through its own window on the true boxes (Eq. 14);
    - `scores` with the label `scores`, or else with whether the IoU of a box with the
      true one is a half or more;
    - what one of `objectives` makes of the glimpses with the label of its name, such as
      the class of a digit, or else with what it makes of the true `glimpses` (Eq. 15).

    Args:
        cell: a `ratm_tf.RATMCell`, or a `ratm_tf.CorrelationCell`.
        objectives: dict of Keras models of glimpses by name, for losses and metrics of
            that name. They judge glimpses `[B * T, N, M, C]` in training and
            evaluation, and take no part in tracking, as the paper switches its
            classifier off at test time. Those with `trainable = False` judge in
            inference mode. One may be the cell's `features`, or a functional model
            that begins with them: if the cell has `return_features`, it goes on from
            those of the recurrence, and in training nothing is computed twice.
        score: a Keras model of glimpses `[B, N, M, C]` to `[B, 1]`, both in 0..1: how
            sure it is that the window is on the target, as `ratm_tf.training.fit_score`
            teaches it. It is frozen, and judges in inference mode.
        box_scale: how many times wider and higher than the target the window is, for
            trackers that see it with its surroundings (1.5 for KTH, section 6.3).
            Boxes that come in are enlarged so, boxes that go out reduced. None takes
            the cell's `context`: 1 of a `RATMCell`.
        box: which box of a window is the target's, throughout: where `initial_box`
            puts the first window, through which window targets are read, and what
            `boxes` are. `"corner"`, the paper's box through the outermost grid centres
            (section 5.2), or `"extent"`, what the glimpse covers.
        unroll: whether the frames of a sequence are unrolled in training, which makes a
            longer graph of shorter steps, and needs a length that is known as the graph
            is built; those of a `plain` cell, which are one operation, never are. None
            unrolls short sequences through small cells, unless XLA may compile them,
            whose loops are as fast.

    Call arguments:
        inputs: dict of
            `frames`: `[B, T, H, W, C]`, uint8 in 0..255 or floating in 0..1;
            `initial_box`: `[B, 4]`, `(x1, y1, x2, y2)` in pixels, the target's box in
            the first frame, for cells whose `initial_window` is given;
            or the frames alone.

    Labels are a dict by output, or the true boxes alone; sample weights are `[B]` or
    `[B, T]`, for all outputs or a dict of them.

    Returns:
        Dict of float32 tensors. Boxes at `t` are predicted before frame `t` is seen,
        but for those of a `CorrelationCell`, which are found in it:
            `boxes`: `[B, T, 4]`, the target's, as `(x1, y1, x2, y2)`;
            `corner_boxes`: `[B, T, 4]`, the corner boxes, whatever `box` is; both are
            reduced by `box_scale`;
            `windows`: `[B, T, 6]`, in pixels (Eq. 6-8);
            `glimpses`: `[B, T, N, M, C]`, in 0..1;
            `scores`: `[B, T]`, in 0..1, if there is a `score`, or the cell has its own.

    Raises:
        ValueError: if an argument is not one of those above; `initial_box` is missing
            or not expected; `frames` do not have the shape `[B, T, H, W, C]` with the
            `C` that the tracker was built for; in training, if a loss or metric has no
            label, or one of another shape.
        KeyError: in training, if a loss or metric is on an output that is not there.

    Example:
    >>> tracker = ratm_tf.Tracker(ratm_tf.RATMCell(units=32, glimpse_size=(8, 8)))
    >>> tracker.compile("adam", loss={"boxes": "mse"},
    ...                 metrics={"corner_boxes": ratm_tf.MeanIoU()})
    >>> frames, boxes = tf.zeros([4, 10, 64, 64, 1]), tf.zeros([4, 10, 4])
    >>> history = tracker.fit({"frames": frames}, {"boxes": boxes}, verbose=0)
    >>> tracker.predict({"frames": frames}, verbose=0)["boxes"].shape
    (4, 10, 4)
    """

    def __init__(
        self,
        cell: GlimpseCell,
        objectives: Mapping[str, keras.Model] | None = None,
        score: keras.Model | None = None,
        box_scale: float | None = None,
        box: Kind = "extent",
        unroll: bool | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if not isinstance(cell, GlimpseCell):
            raise ValueError(
                "Expected `cell` to be a RATMCell or a CorrelationCell. Received: "
                f"{cell!r}"
            )
        taken = sorted(set(objectives or {}) & set(_OUTPUTS))
        if taken:
            raise ValueError(
                "Expected `objectives` by names that are not the tracker's outputs. "
                f"Received: {taken}"
            )
        if box_scale is None:
            box_scale = cell.context
        if not (isinstance(box_scale, numbers.Real) and 0 < box_scale < math.inf):
            raise ValueError(
                f"Expected `box_scale` to be a number > 0. Received: {box_scale!r}"
            )
        if box not in KINDS:
            raise ValueError(f"Expected `box` to be one of {KINDS}. Received: {box!r}")
        self.objectives = dict(objectives or {})
        self.score = score
        if score is not None:
            score.trainable = False
        self.box_scale = box_scale
        self.box = box
        self.unroll = unroll
        # The loop carries windows in pixels, which float16 would round.
        self.loop = keras.layers.RNN(
            cell, return_sequences=True, dtype="float32", name="loop"
        )

    @property
    def cell(self) -> GlimpseCell:
        """The `ratm_tf.RATMCell` or `ratm_tf.CorrelationCell`."""
        return self.loop.cell

    @property
    def channels(self) -> int:
        """Channels of the frames that the tracker was built for."""
        return self.cell.glimpse_shape[-1]

    @property
    def scores(self) -> bool:
        """Whether `scores` are among the outputs."""
        return self.score is not None or self.cell.scores

    @property
    def starts_on_target(self) -> bool:
        """Whether the tracker takes the `initial_box` of a given target."""
        return self.cell.initial_window != "learned"

    @property
    def state_spec(self) -> list[tf.TensorSpec]:
        """What the states are: list of `tf.TensorSpec`, float32 `[B, size]`."""
        return [tf.TensorSpec([None, size]) for size in self.cell.state_size]

    @property
    def implementation(self) -> Implementation:
        """How glimpses are taken, `"auto"`, `"fused"` or `"tf"`; it can be set.

        With `"tf"`, whatever is made of the tracker from then on is of TensorFlow's own
        ops, Keras's `tracker.export(...)` among them.
        """
        return self.cell.implementation

    @implementation.setter
    def implementation(self, implementation: Implementation) -> None:
        self.cell.implementation = implementation
        # Keras keeps what it has traced.
        self.train_function = self.test_function = self.predict_function = None

    def build(self, inputs_shape: Shape | dict[str, Shape]) -> None:
        shape = _as_inputs(inputs_shape)["frames"]
        if len(shape) != 5:
            raise ValueError(
                "Expected `frames` of shape [B, T, H, W, C]. Received shape: "
                f"{tuple(shape)}"
            )
        # Outside of a function that `fit` traces: were the trace to fail, for want of a
        # label, it would leave weights without values.
        with tf.init_scope():
            self.loop.build(shape)
            for model in [*self.objectives.values(), self.score]:
                if model is not None and not model.built:
                    model.build((None, *self.cell.glimpse_shape))

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, dict) and isinstance(inputs.get("initial_box"), list):
            # Keras would take the numbers for inputs of their own.
            box = tf.constant(inputs["initial_box"], tf.float32)
            inputs = inputs | {"initial_box": box}
        return super().__call__(inputs, *args, **kwargs)

    def call(
        self,
        inputs: TensorLike | Mapping[str, TensorLike],
        training: bool | None = None,
    ) -> dict[str, tf.Tensor]:
        inputs = _as_inputs(inputs)
        # Frames are data: without this the loop would compute their gradient.
        frames = tf.stop_gradient(inputs["frames"])
        if not frames.shape.is_compatible_with([None] * 4 + [self.channels]):
            raise ValueError(
                f"Expected `frames` of shape [B, T, H, W, {self.channels}]. Received "
                f"shape: {tuple(frames.shape)}"
            )
        states = self.initial_state(
            tf.shape(frames)[0],
            tf.unstack(tf.shape(frames)[2:4]),
            inputs.get("initial_box"),
        )
        if self.cell.plain and frames.shape[1] != 0:
            parts, _ = self.cell.track(frames, states)
            return self._outputs(parts, training)
        loop = self.loop
        if training and self._unrolls(frames.shape[1]):
            loop = keras.layers.RNN(
                self.cell, return_sequences=True, unroll=True, dtype="float32"
            )
        output = loop(frames, initial_state=states)
        return self._outputs(self.cell.split_output(output), training)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: list[keras.callbacks.Callback] | None = None,
    ) -> dict[str, np.ndarray]:
        """Tracks through videos, as `keras.Model.predict` does.

        Args:
            x: inputs, see above, as arrays, as a `tf.data.Dataset` of batches of them
                or as anything else that Keras takes.
            batch_size: videos at a time, of arrays: 32 by default.
            verbose: `"auto"`, 0, 1 or 2, as Keras has it.
            steps: how many batches to predict, of data without an end.
            callbacks: Keras's.

        Returns:
            Dict of float32 arrays, the outputs that are told above.

        Example:
        >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
        >>> tracker.predict(np.zeros([3, 5, 20, 20, 1]), verbose=0)["boxes"].shape
        (3, 5, 4)
        """
        alone = self.distribute_strategy.num_replicas_in_sync == 1
        if alone and steps is None and are_arrays(_as_inputs(x)):
            arrays = _as_inputs(x)
            return predict_arrays(self, arrays, batch_size or 32, verbose, callbacks)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    def _unrolls(self, length):
        if self.unroll is not None:
            return self.unroll
        if length is None or self.cell.glimpse.supports_jit or self.cell.large:
            return False
        return length * len(self.cell.weights) <= MOST_UNROLLED_USES

    def _outputs(self, parts, training=False):
        windows, glimpses, *more = parts
        outputs = {
            "boxes": self.box_from_window(windows),
            "corner_boxes": self.box_from_window(windows, "corner"),
            "windows": windows,
            "glimpses": glimpses,
        }
        if self.cell.scores:
            (outputs["scores"],) = more
        elif training and more:
            (outputs[_FEATURES],) = more
        if self.score is not None:
            flat = tf.reshape(glimpses, [-1, *self.cell.glimpse_shape])
            scores = self.score(flat, training=False)
            outputs["scores"] = tf.reshape(scores, tf.shape(glimpses)[:-3])
        return outputs

    def box_from_window(
        self, window: TensorLike, kind: Kind | None = None
    ) -> tf.Tensor:
        """The target's box that a window draws.

        Args:
            window: float tensor `[..., 6]` in pixels.
            kind: `"corner"` or `"extent"`. Default: the tracker's `box`.

        Returns:
            Boxes `[..., 4]` as `(x1, y1, x2, y2)` in pixels, reduced by `box_scale`.

        Example:
        >>> tracker = ratm_tf.load_pretrained("people")
        >>> window = tracker.window_from_box([10.0, 10.0, 38.0, 66.0])
        >>> tracker.box_from_window(window).numpy()
        array([10., 10., 38., 66.], dtype=float32)
        """
        box = box_from_window(window, self.cell.glimpse_size, kind or self.box)
        return scale_box(box, 1.0 / self.box_scale)

    def window_from_box(self, box: TensorLike) -> tf.Tensor:
        """The window on a target: the inverse of `box_from_window`.

        Args:
            box: floating `[..., 4]`, the target's `(x1, y1, x2, y2)` in pixels.

        Returns:
            The window, float32 `[..., 6]`, in pixels, with sigma at half its stride.

        Example:
        >>> tracker = ratm_tf.load_pretrained("people")
        >>> tracker.window_from_box([10.0, 10.0, 46.0, 64.0]).numpy()
        array([28. , 37. ,  1. ,  1.5,  2. ,  3. ], dtype=float32)
        """
        box = scale_box(tf.cast(box, tf.float32), self.box_scale)
        return window_from_box(box, self.cell.glimpse_size, self.box)

    def read(self, frames: TensorLike, boxes: TensorLike) -> tf.Tensor:
        """What the tracker would see of targets whose boxes are known.

        Args:
            frames: `[B, T, H, W, C]`, uint8 in 0..255 or floating in 0..1.
            boxes: `[B, T, 4]`, the targets' `(x1, y1, x2, y2)` in pixels.

        Returns:
            Glimpses `[B, T, N, M, C]`, float32 in 0..1.

        Example:
        >>> tracker = ratm_tf.load_pretrained("moving_mnist")
        >>> frames = tf.random.uniform([2, 5, 100, 100, 1])
        >>> tracker.read(frames, tf.tile([[[40.0, 30.0, 68.0, 58.0]]], [2, 5, 1])).shape
        TensorShape([2, 5, 28, 28, 1])
        """
        frames = tf.convert_to_tensor(frames)
        shape = tf.shape(frames)
        glimpses = gaussian_glimpse(
            tf.reshape(frames, tf.concat([[-1], shape[2:]], axis=0)),
            tf.reshape(self.window_from_box(boxes), [-1, 6]),
            self.cell.glimpse_size,
            self.implementation,
        )
        glimpses = self.cell.scaled(glimpses, frames.dtype)
        return tf.reshape(
            glimpses, tf.concat([shape[:2], tf.shape(glimpses)[1:]], axis=0)
        )

    def step(
        self, frame: TensorLike, states: list[tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Tracks into one more frame: what `call` does at each of them.

        Args:
            frame: `[B, H, W, C]`, uint8 in 0..255 or floating in 0..1; or
                `[1, H, W, C]`, in which all `B` targets are.
            states: list of float32 tensors, from `initial_state` or the step before.

        Returns:
            `(outputs, states)`: `boxes` `[B, 4]`, `corner_boxes`, `windows`, `glimpses`
            and, if there is a `score`, `scores` `[B]` in this frame, and the states for
            the next.

        Example:
        >>> tracker = ratm_tf.load_pretrained("moving_mnist")
        >>> states = tracker.initial_state(2, frame_size=(100, 100))
        >>> outputs, states = tracker.step(tf.zeros([2, 100, 100, 1]), states)
        >>> outputs["boxes"].shape
        TensorShape([2, 4])
        """
        if not self.cell.plain:
            output, states = self.cell(frame, states)
            return self._outputs(self.cell.split_output(output)), states
        parts, states = self.cell.track(tf.expand_dims(frame, 1), states)
        return self._outputs([part[:, 0] for part in parts]), states

    def initial_state(
        self,
        batch_size: int | tf.Tensor,
        frame_size: Sequence[int | tf.Tensor],
        initial_box: TensorLike | None = None,
    ) -> list[tf.Tensor]:
        """The cell's states before the first frame.

        Args:
            batch_size: number of sequences `B`.
            frame_size: `(H, W)` of the frames, integers, or integer tensors, scalar or
                `[B]` for streams of frames of different sizes.
            initial_box: `[B, 4]`, the target's `(x1, y1, x2, y2)` in pixels, for cells
                whose `initial_window` is given.

        Returns:
            List of float32 tensors, see `RATMCell.get_initial_state`.

        Raises:
            ValueError: if `initial_box` is missing, not expected, or of another shape.
        """
        given = self.starts_on_target
        if given != (initial_box is not None):
            raise ValueError(
                "This tracker starts on a given target. Expected `initial_box` [B, 4], "
                "received none."
                if given
                else "This tracker finds its target itself (the first window is "
                "learnt). Expected no `initial_box`, received one."
            )
        if not given:
            return self.cell.get_initial_state(batch_size)
        initial_box = tf.convert_to_tensor(initial_box)
        if not initial_box.shape.is_compatible_with([None, 4]):
            raise ValueError(
                "Expected `initial_box` of shape [B, 4], a box for each sequence. "
                f"Received shape: {tuple(initial_box.shape)}"
            )
        window = self.window_from_box(initial_box)
        return self.cell.get_initial_state(
            batch_size,
            activations_from_window(window, frame_size, self.cell.glimpse_size),
        )

    def compute_loss(
        self,
        x: object,
        y: object,
        y_pred: dict[str, tf.Tensor],
        sample_weight: object = None,
        training: bool = True,
    ) -> tf.Tensor:
        losses = self._compile_loss
        asked = _names("loss", losses._user_loss if losses else None)
        judged = self._judged(asked, x, y, y_pred, sample_weight, training)
        return super().compute_loss(x, *judged, training)

    def compute_metrics(
        self,
        x: object,
        y: object,
        y_pred: dict[str, tf.Tensor],
        sample_weight: object = None,
    ) -> dict[str, float]:
        metrics = self._compile_metrics
        asked = set()
        if metrics:
            asked = _names("metrics", metrics._user_metrics)
            asked |= _names("weighted_metrics", metrics._user_weighted_metrics)
        judged = self._judged(asked, x, y, y_pred, sample_weight, training=False)
        return super().compute_metrics(x, *judged)

    def _judged(self, asked, x, y, y_pred, sample_weight, training):
        """Labels, outputs and weights by name, with all that is asked for.

        Adds to `y_pred` what the objectives make of it, so that metrics find what was
        made for losses.
        """
        labels = {} if y is None else dict(y) if isinstance(y, dict) else {"boxes": y}
        box_names = ["boxes", "corner_boxes"]
        true_boxes = next((labels[name] for name in box_names if name in labels), None)
        if true_boxes is not None:
            labels = dict.fromkeys(box_names, true_boxes) | labels

        def true_glimpses():
            if "glimpses" not in labels:
                if true_boxes is None:
                    raise ValueError(
                        "Expected the label `boxes`, to read the true glimpses there, "
                        f"or `glimpses`. Received labels: {sorted(labels)}"
                    )
                glimpses = self.read(_as_inputs(x)["frames"], true_boxes)
                labels["glimpses"] = tf.stop_gradient(glimpses)
            return labels["glimpses"]

        for name in asked:
            if name in self.objectives:
                model = self.objectives[name]
                if name not in y_pred:
                    mode = training and model.trainable
                    judge, seen = model, y_pred["glimpses"]
                    if _FEATURES in y_pred:
                        rest = _rest(model, self.cell.features)
                        if rest is not None:
                            judge, seen = rest, y_pred[_FEATURES]
                    y_pred[name] = _each_frame(judge, seen, mode)
                if name not in labels:
                    judged = _each_frame(model, true_glimpses(), False)
                    labels[name] = tf.stop_gradient(judged)
            elif name not in y_pred:
                raise KeyError(
                    "Expected losses and metrics on outputs of the tracker, "
                    f"{[*_OUTPUTS, *self.objectives]}. Received: {name!r}"
                )
            elif name == "glimpses":
                true_glimpses()
            elif name == "scores" and name not in labels and true_boxes is not None:
                overlaps = iou(true_boxes, tf.stop_gradient(y_pred["boxes"]))
                labels[name] = tf.cast(overlaps >= 0.5, tf.float32)
            elif name not in labels:
                raise ValueError(
                    f"Expected a label for the output {name!r}, on which there is a "
                    f"loss or a metric. Received labels: {sorted(labels)}"
                )

        for name in asked & set(_OUTPUTS):
            label, output = labels[name].shape, y_pred[name].shape
            if not label.is_compatible_with(output):
                raise ValueError(
                    f"Expected the label {name!r} of shape {tuple(output)}, its "
                    f"output's. Received shape: {tuple(label)}"
                )

        # Keras names metrics after their outputs if there are several.
        names = [*box_names, *sorted(asked - set(box_names))]
        if isinstance(sample_weight, dict):
            sample_weight = {
                name: sample_weight.get(name, tf.ones(tf.shape(y_pred[name])[:2]))
                for name in names
            }
        outputs = {name: y_pred[name] for name in names}
        labels = {name: labels[name] for name in names if name in labels}
        if "scores" in names:  # Keras averages over the last axis.
            outputs["scores"] = outputs["scores"][..., tf.newaxis]
            labels["scores"] = tf.convert_to_tensor(labels["scores"])[..., tf.newaxis]
        return outputs | labels, outputs, sample_weight

    def get_config(self) -> dict[str, object]:
        self._serialized_objectives()
        return super().get_config() | {
            "cell": keras.saving.serialize_keras_object(self.cell),
            "objectives": self._serialized_objectives(),
            "frozen": [
                n for n, model in self.objectives.items() if not model.trainable
            ],
            "score": keras.saving.serialize_keras_object(self.score),
            "box_scale": self.box_scale,
            "box": self.box,
            "unroll": self.unroll,
        }

    def _serialized_objectives(self):
        # Keras recognises an object that is in two places, such as features that are an
        # objective, if it meets it first here, again in the cell, and here at last: it
        # fails to mark what it meets for the first time within something else.
        serialize = keras.saving.serialize_keras_object
        return {name: serialize(model) for name, model in self.objectives.items()}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "Tracker":
        config = copy.deepcopy(config)  # Keras takes apart what it deserialises.
        deserialize = keras.saving.deserialize_keras_object
        config["cell"] = deserialize(config["cell"])
        config["score"] = deserialize(config.get("score"))
        for name, model in config["objectives"].items():
            config["objectives"][name] = deserialize(model)
        for name in config.pop("frozen", []):
            config["objectives"][name].trainable = False
        return cls(**config)


def _as_inputs(inputs):
    return inputs if isinstance(inputs, dict) else {"frames": inputs}


def _names(argument, by_output):
    """The outputs that `compile` was given losses or metrics for."""
    if by_output is not None and not isinstance(by_output, dict):
        raise ValueError(
            f"Expected `{argument}` of `compile` to be a dict by the names of outputs. "
            f"Received: {by_output!r}"
        )
    return {name for name, value in (by_output or {}).items() if value is not None}


def _each_frame(model, glimpses, training):
    """Applies a model of single glimpses to those of sequences."""
    judged = model(tf.reshape(glimpses, [-1, *glimpses.shape[2:]]), training=training)
    shape = tf.concat([tf.shape(glimpses)[:2], tf.shape(judged)[1:]], axis=0)
    return tf.ensure_shape(
        tf.reshape(judged, shape), glimpses.shape[:2] + judged.shape[1:]
    )


def _rest(model, features):
    """What a model makes of the features that it begins with, or None."""
    if model is features:
        return keras.layers.Identity()
    if not isinstance(getattr(model, "output", None), keras.KerasTensor):
        return None
    made = _made_by(features, model.output)
    if made is None:
        return None
    try:
        return keras.Model(made, model.output)
    except ValueError:  # It sees the glimpses otherwise, too.
        return None


def _made_by(layer, tensor):
    """What a layer makes on the way to a Keras tensor, or None."""
    operation, node_index, _ = tensor._keras_history
    if operation is layer:
        return tensor
    for before in operation._inbound_nodes[node_index].input_tensors:
        made = _made_by(layer, before)
        if made is not None:
            return made
    return None
