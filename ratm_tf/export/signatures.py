"""What an exported tracker can be asked: its signatures."""

import tensorflow as tf

from ratm_tf.export.images import decode_images

MOST_STATE_VALUES = 2**24
"""Numbers in the states that one call of `start` makes."""


def make_signatures(tracker, dtype):
    """Traces the signatures of a tracker.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        dtype: `tf.DType` of the frames of `track` and `step`.

    Returns:
        Dict of concrete functions by name, those in the documentation of
        `ratm_tf.export` but for `serving_default`. When they run, they raise
        `tf.errors.InvalidArgumentError` if an input does not have its shape, inputs
        differ in batch size, or the call would take too much memory.

    Example:
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> start = make_signatures(tracker, tf.uint8)["start"]
    >>> start(frame_size=tf.constant([[100, 100]]))["state_0"].shape
    TensorShape([1, 100])
    """
    channels = tracker.channels
    state_specs = {
        f"state_{index}": spec for index, spec in enumerate(tracker.state_spec)
    }

    def boxes(outputs):
        names = {"boxes", "corner_boxes", "windows", "scores"}
        return {name: outputs[name] for name in outputs if name in names}

    def track(frames, **box):
        return boxes(tracker({"frames": frames} | box))

    def track_encoded(frames, **box):
        return track(decode_images(frames, channels), **box)

    def start(frame_size, **box):
        batch_size = tf.shape(frame_size)[0]
        values = sum(spec.shape[-1] for spec in state_specs.values())
        small_enough = tf.debugging.assert_less_equal(
            batch_size,
            MOST_STATE_VALUES // values,
            f"Expected states of at most {MOST_STATE_VALUES} numbers together.",
        )
        with tf.control_dependencies([small_enough]):
            batch_size = tf.identity(batch_size)
        frame_size = tf.unstack(frame_size, axis=-1)
        states = tracker.initial_state(batch_size, frame_size, **box)
        return dict(zip(state_specs, states, strict=True))

    def step(frame, **states):
        states = [states[name] for name in state_specs]
        outputs, states = tracker.step(frame, states)
        return boxes(outputs) | dict(zip(state_specs, states, strict=True))

    def step_encoded(frame, **states):
        return step(decode_images(frame, channels), **states)

    frame = tf.TensorSpec([None, None, None, channels], dtype)
    frames = tf.TensorSpec([None, None, None, None, channels], dtype)
    file = tf.TensorSpec([None], tf.string)
    files = tf.TensorSpec([None, None], tf.string)
    frame_size = tf.TensorSpec([None, 2], tf.int32)
    box = {}
    if tracker.starts_on_target:
        box = {"initial_box": tf.TensorSpec([None, 4], tf.float32)}
    return {
        function.__name__: _checked(function, specs)
        for function, specs in (
            (track, {"frames": frames} | box),
            (track_encoded, {"frames": files} | box),
            (start, {"frame_size": frame_size} | box),
            (step, {"frame": frame} | state_specs),
            (step_encoded, {"frame": file} | state_specs),
        )
    }


def _checked(function, specs):
    """Traces a function that checks its inputs when it runs, too.

    A server may feed what the signature does not allow: TensorFlow Serving does.
    """

    def checked(**inputs):
        inputs = {
            name: tf.ensure_shape(value, specs[name].shape)
            for name, value in inputs.items()
        }
        sizes = tf.stack([tf.shape(value)[0] for value in inputs.values()])
        agree = tf.debugging.Assert(
            tf.reduce_all(sizes == sizes[0]),
            [f"Expected {', '.join(inputs)} of one batch size. Received sizes:", sizes],
        )
        with tf.control_dependencies([agree]):
            inputs = {name: tf.identity(value) for name, value in inputs.items()}
        return function(**inputs)

    return tf.function(checked, autograph=False).get_concrete_function(**specs)
