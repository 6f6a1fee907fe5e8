"""The requests that a server replays before it takes an export into use."""

import tensorflow as tf


def example_requests(tracker, signatures, dtype):
    """Makes a request to each signature: a batch of one black video of two frames.

    Args:
        tracker: the built `ratm_tf.Tracker`.
        signatures: its signatures, see `make_signatures`.
        dtype: `tf.DType` of the frames of `track` and `step`.

    Returns:
        Dict of the inputs of signatures, themselves dicts of tensors by name, by the
        signatures' names.

    Example:
    >>> from ratm_tf.export.signatures import make_signatures
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> signatures = make_signatures(tracker, tf.uint8)
    >>> requests = example_requests(tracker, signatures, tf.uint8)
    >>> requests["track"]["frames"].shape
    TensorShape([1, 2, 64, 64, 1])
    """
    frames = tf.zeros([1, 2, 64, 64, tracker.channels], dtype)
    file = tf.io.encode_png(tf.cast(frames[0, 0], tf.uint8))
    box = {}
    if tracker.starts_on_target:
        box = {"initial_box": tf.constant([[16.0, 16.0, 48.0, 48.0]])}
    start = {"frame_size": tf.constant([[64, 64]])} | box
    states = signatures["start"](**start)
    return {
        "serving_default": {"frames": frames} | box,
        "track": {"frames": frames} | box,
        "track_encoded": {"frames": tf.fill([1, 2], file)} | box,
        "start": start,
        "step": {"frame": frames[:, 0]} | states,
        "step_encoded": {"frame": tf.fill([1], file)} | states,
    }
