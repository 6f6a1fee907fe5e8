"""What an exported tracker can be asked: its signatures."""

import tensorflow as tf

from ratm_tf.export.images import decode_images

MOST_STATE_VALUES = 2**24
"""Numbers in the states that one call of `start` makes."""


def check_built(tracker):
    """Checks that there is something to export.

    Raises:
        ValueError: the tracker is not built.
    """
    if not tracker.built:
        raise ValueError(
            "Expected a built `tracker`: call it once, or `build`, before the export."
        )


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
    TensorShape([1, 200])
    """
    functions = tracking_functions(tracker, dtype)
    for name, frames, rank in (("track", "frames", 2), ("step", "frame", 1)):
        function, specs = functions[name]
        files = tf.TensorSpec([None] * rank, tf.string)
        functions[f"{name}_encoded"] = (
            _of_files(function, frames, tracker.channels),
            specs | {frames: files},
        )
    start, specs = functions["start"]
    functions["start"] = _within_memory(start, tracker), specs
    return {name: _checked(*functions[name]) for name in functions}


def tracking_functions(tracker, dtype, batch_size=None):
    """What a tracker can be asked, as functions of tensors, and of what tensors.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        dtype: `tf.DType` of the frames of `track` and `step`.
        batch_size: targets or videos of a call; None for any number.

    Returns:
        Dict of pairs by the name of a signature, `track`, `start` and `step`: a
        function of keyword arguments that returns a dict, and the arguments'
        `tf.TensorSpec`s by name.

    Example:
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> function, specs = tracking_functions(tracker, tf.uint8)["start"]
    >>> specs
    {'frame_size': TensorSpec(shape=(None, 2), dtype=tf.int32, name=None)}
    """
    state_specs = {
        f"state_{index}": tf.TensorSpec([batch_size, spec.shape[-1]])
        for index, spec in enumerate(tracker.state_spec)
    }

    def boxes(outputs):
        names = {"boxes", "corner_boxes", "windows", "scores"}
        return {name: outputs[name] for name in outputs if name in names}

    def track(frames, **box):
        return boxes(tracker({"frames": frames} | box))

    def start(frame_size, **box):
        count = batch_size or tf.shape(frame_size)[0]
        frame_size = tf.unstack(frame_size, axis=-1)
        states = tracker.initial_state(count, frame_size, **box)
        return dict(zip(state_specs, states, strict=True))

    def step(frame, **states):
        states = [states[name] for name in state_specs]
        outputs, states = tracker.step(frame, states)
        return boxes(outputs) | dict(zip(state_specs, states, strict=True))

    frame = [batch_size, None, None, tracker.channels]
    box = {}
    if tracker.starts_on_target:
        box = {"initial_box": tf.TensorSpec([batch_size, 4])}
    return {
        "track": (
            track,
            {"frames": tf.TensorSpec([*frame[:1], None, *frame[1:]], dtype)} | box,
        ),
        "start": (
            start,
            {"frame_size": tf.TensorSpec([batch_size, 2], tf.int32)} | box,
        ),
        "step": (step, {"frame": tf.TensorSpec(frame, dtype)} | state_specs),
    }


def _of_files(function, frames, channels):
    def of_files(**inputs):
        decoded = decode_images(inputs[frames], channels)
        return function(**inputs | {frames: decoded})

    return of_files


def _within_memory(start, tracker):
    values = sum(spec.shape[-1] for spec in tracker.state_spec)

    def within_memory(frame_size, **box):
        small_enough = tf.debugging.assert_less_equal(
            tf.shape(frame_size)[0],
            MOST_STATE_VALUES // values,
            f"Expected states of at most {MOST_STATE_VALUES} numbers together.",
        )
        with tf.control_dependencies([small_enough]):
            frame_size = tf.identity(frame_size)
        return start(frame_size, **box)

    return within_memory


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
