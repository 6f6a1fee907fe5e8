"""The tracker: attention, features and objectives as one Keras model."""

import math

import keras
import tensorflow as tf

from ratm_tf.attention.window import activations_from_window
from ratm_tf.boxes import corner_box, extent_box, scale_box, window_from_box

# In training, sequences of at most so many frames are unrolled if their length is known
# as a graph is built: that takes a few seconds more, and a step half the time.
MOST_UNROLLED_FRAMES = 32


@keras.saving.register_keras_serializable(package="ratm_tf")
class Tracker(keras.Model):
    """RATM: follows one object through a video (section 3 of the paper).

    The cell decides *where* to look and describes *what* it sees there. The objectives
    say *why*: losses on the tracker's named outputs, given to `compile` as in any Keras
    model, of which those named by the labels count. `objectives` adds outputs made from
    the glimpses, such as the class probabilities of a digit.

    Args:
        cell: a `ratm_tf.RATMCell`.
        objectives: dict of Keras models by output name. Each is applied to all glimpses
            `[B * T, N, M, C]` and adds an output `[B, T, ...]` of its name. Those with
            `trainable = False` only judge: they run in inference mode. One without a
            label of its own is to make of the predicted glimpses what it makes of the
            label `glimpses`: the feature loss of section 4.
        box_scale: how many times wider and higher than the target the window is, for
            trackers that see it with its surroundings (1.5 for KTH, section 5.3). The
            first window is `initial_box` enlarged so; `boxes` and `corner_boxes` come
            out reduced.

    Call arguments:
        inputs: dict of
            `frames`: `[B, T, H, W, C]`, uint8 in 0..255 or floating in 0..1;
            `initial_box`: floating `[B, 4]`, `(x1, y1, x2, y2)` in pixels, the target's
            box in the first frame, for cells with `initial_window="given"`.

    Returns:
        Dict of float32 tensors. Boxes at `t` are predicted before frame `t` is seen:
            `boxes`: `[B, T, 4]`, what the glimpse covers, as `(x1, y1, x2, y2)`;
            `corner_boxes`: `[B, T, 4]`, through the outermost grid centres: the
            paper's predicted box (section 5.2); both by 1/`box_scale`;
            `windows`: `[B, T, 6]`, in pixels (Eq. 6-8);
            `glimpses`: `[B, T, N, M, C]`, in 0..1;
            and the outputs of `objectives`.

    Raises:
        ValueError: if `initial_box` is missing or not expected, or `frames` do not have
            the shape `[B, T, H, W, C]`.

    Example:
    >>> tracker = ratm_tf.Tracker(ratm_tf.RATMCell(units=32, glimpse_size=(8, 8)))
    >>> tracker.compile("adam", loss={"boxes": "mse"},
    ...                 metrics={"corner_boxes": ratm_tf.MeanIoU()})
    >>> frames, boxes = tf.zeros([4, 10, 64, 64, 1]), tf.zeros([4, 10, 4])
    >>> labels = {"boxes": boxes, "corner_boxes": boxes}
    >>> history = tracker.fit({"frames": frames}, labels, verbose=0)
    >>> tracker.predict({"frames": frames}, verbose=0)["boxes"].shape
    (4, 10, 4)
    """

    def __init__(self, cell, objectives=None, box_scale=1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not box_scale > 0:
            raise ValueError(f"Expected `box_scale` > 0. Received: {box_scale!r}")
        self.objectives = dict(objectives or {})
        self.box_scale = box_scale
        # The loop carries windows in pixels, which float16 would round.
        self.loop = keras.layers.RNN(
            cell, return_sequences=True, dtype="float32", name="loop"
        )

    @property
    def cell(self):
        """The `ratm_tf.RATMCell`."""
        return self.loop.cell

    @property
    def channels(self):
        """Channels of the frames that the tracker was built for."""
        return self.cell.glimpse_shape[-1]

    @property
    def starts_on_target(self):
        """Whether the tracker takes the `initial_box` of a given target."""
        return self.cell.initial_window == "given"

    @property
    def state_spec(self):
        """What the states are: list of `tf.TensorSpec`, float32 `[B, size]`."""
        return [tf.TensorSpec([None, size]) for size in self.cell.state_size]

    def build(self, inputs_shape):
        shape = inputs_shape["frames"]
        if len(shape) != 5:
            raise ValueError(
                "Expected `frames` of shape [B, T, H, W, C]. Received shape: "
                f"{tuple(shape)}"
            )
        self.loop.build(shape)
        for model in self.objectives.values():
            if not model.built:
                model.build((None, *self.cell.glimpse_shape))

    def call(self, inputs, training=None):
        # Frames are data: without this the loop would compute their gradient.
        frames = tf.stop_gradient(inputs["frames"])
        # XLA's loops are as fast as what it unrolls.
        self.loop.unroll = (
            bool(training)
            and not self.cell.glimpse.supports_jit
            and (frames.shape[1] or math.inf) <= MOST_UNROLLED_FRAMES
        )
        output = self.loop(
            frames,
            initial_state=self.initial_state(
                tf.shape(frames)[0],
                tf.unstack(tf.shape(frames)[2:4]),
                inputs.get("initial_box"),
            ),
        )
        outputs = self._outputs(output)
        glimpses = outputs["glimpses"]
        for name, model in self.objectives.items():
            outputs[name] = _judged(model, glimpses, None if model.trainable else False)
        return outputs

    def _outputs(self, output):
        windows, glimpses = self.cell.split_output(output)
        glimpse_size, reduction = self.cell.glimpse_size, 1.0 / self.box_scale
        return {
            "boxes": scale_box(extent_box(windows, glimpse_size), reduction),
            "corner_boxes": scale_box(corner_box(windows, glimpse_size), reduction),
            "windows": windows,
            "glimpses": glimpses,
        }

    def step(self, frame, states):
        """Tracks into one more frame: what `call` does at each of them.

        Args:
            frame: `[B, H, W, C]`, uint8 in 0..255 or floating in 0..1.
            states: list of float32 tensors, from `initial_state` or the step before.

        Returns:
            `(outputs, states)`: `boxes` `[B, 4]`, `corner_boxes`, `windows` and
            `glimpses` in this frame, and the states for the next.

        Example:
        >>> tracker = ratm_tf.load_pretrained("moving_mnist")
        >>> states = tracker.initial_state(2, frame_size=(100, 100))
        >>> outputs, states = tracker.step(tf.zeros([2, 100, 100, 1]), states)
        >>> outputs["boxes"].shape
        TensorShape([2, 4])
        """
        output, states = self.cell(frame, states)
        return self._outputs(output), states

    def initial_state(self, batch_size, frame_size, initial_box=None):
        """The cell's states before the first frame.

        Args:
            batch_size: number of sequences `B`.
            frame_size: `(H, W)` of the frames, integers, or integer tensors, scalar or
                `[B]` for streams of frames of different sizes.
            initial_box: floating `[B, 4]` for cells with `initial_window="given"`.

        Returns:
            List of float32 tensors, see `RATMCell.get_initial_state`.

        Raises:
            ValueError: if `initial_box` is missing or not expected.
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
        glimpse_size = self.cell.glimpse_size
        window = window_from_box(scale_box(initial_box, self.box_scale), glimpse_size)
        return self.cell.get_initial_state(
            batch_size, activations_from_window(window, frame_size, glimpse_size)
        )

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        labels, outputs = _labelled(y, y_pred)
        if "glimpses" in labels:
            for name in self.objectives.keys() - labels.keys():
                judged = _judged(self.objectives[name], labels["glimpses"], False)
                labels[name] = tf.stop_gradient(judged)
                outputs[name] = y_pred[name]
        return super().compute_loss(x, labels, outputs, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        labels, outputs = _labelled(y, y_pred)
        return super().compute_metrics(x, labels, outputs, sample_weight)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "cell": serialize(self.cell),
            "objectives": {
                name: serialize(model) for name, model in self.objectives.items()
            },
            "box_scale": self.box_scale,
        }

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        config["cell"] = deserialize(config["cell"])
        config["objectives"] = {
            name: deserialize(model) for name, model in config["objectives"].items()
        }
        return cls(**config)


def _judged(model, glimpses, training):
    """Applies a model of single glimpses to those of sequences."""
    judged = model(tf.reshape(glimpses, [-1, *glimpses.shape[2:]]), training=training)
    shape = tf.concat([tf.shape(glimpses)[:2], tf.shape(judged)[1:]], axis=0)
    return tf.ensure_shape(
        tf.reshape(judged, shape), glimpses.shape[:2] + judged.shape[1:]
    )


def _labelled(labels, outputs):
    names = labels.keys() & outputs.keys()
    return {n: labels[n] for n in names}, {n: outputs[n] for n in names}
