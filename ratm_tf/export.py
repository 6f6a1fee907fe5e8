"""Trackers as SavedModels, for TensorFlow Serving or any process with TensorFlow.

A SavedModel has these signatures. All inputs and outputs have names and a leading batch
dimension; batch, time, height and width are free, and frames of a batch share one size.

| signature | inputs | outputs |
|---|---|---|
| `track`, the `serving_default` | `frames` `[B, T, H, W, C]` | `boxes` `[B, T, 4]`, `corner_boxes` `[B, T, 4]`, `windows` `[B, T, 6]` |
| `track_encoded` | `frames` `[B, T]`, JPEG or PNG files | the same |
| `start` | `frame_size` `[B, 2]`, int32 `(height, width)` | `state_0`, `state_1`, ... |
| `step` | `frame` `[B, H, W, C]`, `state_0`, `state_1`, ... | `boxes` `[B, 4]`, `corner_boxes` `[B, 4]`, `windows` `[B, 6]`, `state_0`, `state_1`, ... |
| `step_encoded` | `frame` `[B]`, JPEG or PNG files, `state_0`, `state_1`, ... | the same |

`track`, `track_encoded` and `start` also take `initial_box` `[B, 4]` if the tracker
starts on a given target. States are float32 `[B, size]`, those of the recurrent cell
followed by the raw window `[B, 6]` for the next frame and its bias `[B, 6]`
(`RATMCell.state_size`): the client carries them from one frame to the next, and the
server keeps nothing.
"""  # noqa: E501

import contextlib
import os
import pathlib
import tempfile
import warnings

import tensorflow as tf
from google.protobuf import struct_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from ratm_tf.attention import library
from ratm_tf.model_server import write_warmup_requests

LINK_HINT = (
    "it contains the op Ratm>GaussianGlimpse, which must be there before the model is "
    "loaded: load ratm_tf's op library first (tf.load_op_library in Python, "
    "TF_LoadLibrary in C), link the target gaussian_glimpse_ops_lib of its BUILD file "
    "into the server, or export the tracker with ops='tf', which needs neither"
)


def export_saved_model(tracker, directory, ops="tf", version=None, dtype="uint8"):
    """Writes a tracker to `directory/version` as a SavedModel.

    The folder appears in one go when it is whole, as model servers that watch
    `directory` need. Its signatures are those in this module's documentation. Where
    `tensorflow-serving-api` is installed (the extra `serving`), it holds requests that
    warm up a server, one for each signature.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        directory: the model's folder, which holds its versions.
        ops: `"tf"`, TensorFlow's own ops, which every TensorFlow runs; or `"fused"`,
            with the fused op, for servers that link it. Boxes agree to 1e-4 pixels.
        version: positive integer. Default: one more than the last in `directory`.
        dtype: of the frames of `track` and `step`: `"uint8"`, in 0..255, or
            `"float32"`, in 0..1.

    Returns:
        The folder written, a `pathlib.Path`.

    Raises:
        ValueError: an argument is not one of those above, or the tracker is not built.
        FileExistsError: the version exists.
        RuntimeError: `ops="fused"`, and the fused op is not available here.

    Example:
    >>> import tempfile
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> folder = ratm_tf.export_saved_model(tracker, tempfile.mkdtemp())
    >>> folder.name
    '1'
    >>> track = tf.saved_model.load(folder).signatures["track"]
    >>> track(frames=tf.zeros([1, 5, 100, 100, 1], tf.uint8))["boxes"].shape
    TensorShape([1, 5, 4])
    """
    for name, value, choices in (
        ("ops", ops, ("tf", "fused")),
        ("dtype", dtype, ("uint8", "float32")),
    ):
        if value not in choices:
            raise ValueError(
                f"Expected `{name}` to be one of {choices}. Received: {value!r}"
            )
    if not tracker.built:
        raise ValueError(
            "Expected a built `tracker`: call it once, or `build`, before the export."
        )
    if ops == "fused":
        library.load()  # Says why it is not available.
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if version is None:
        version = 1 + max(
            map(int, filter(str.isdigit, os.listdir(directory))), default=0
        )
    if version != int(version) or version < 1:
        raise ValueError(
            f"Expected `version` to be a positive integer. Received: {version!r}"
        )
    folder = directory / str(int(version))
    if folder.exists():
        raise FileExistsError(f"Expected a new `version`. {folder} exists.")

    with tempfile.TemporaryDirectory(dir=directory, prefix=".export-") as temporary:
        written = pathlib.Path(temporary) / "model"
        module = tf.Module()
        module.weights = [weight.value for weight in tracker.cell.weights]
        with _implementation(tracker.cell.glimpse, ops):
            signatures = _signatures(tracker, tf.as_dtype(dtype))
        tf.saved_model.save(
            module, written, signatures | {"serving_default": signatures["track"]}
        )
        _describe(written, ops)
        try:
            write_warmup_requests(written, _examples(signatures, tracker, dtype))
        except ImportError as error:
            warnings.warn(
                f"The export holds no requests that warm up a server: {error}. To have "
                'them, run `pip install "ratm-tf[serving]"`.',
                stacklevel=2,
            )
        written.rename(folder)
    return folder


@contextlib.contextmanager
def _implementation(glimpse, implementation):
    before = glimpse.implementation
    glimpse.implementation = implementation
    try:
        yield
    finally:
        glimpse.implementation = before


def _signatures(tracker, dtype):
    """The concrete functions by name."""
    channels = tracker.cell.glimpse_shape[-1]
    box = {}
    if tracker.cell.initial_window == "given":
        box = {"initial_box": tf.TensorSpec([None, 4], tf.float32)}
    states = {
        f"state_{index}": tf.TensorSpec([None, size], tf.float32)
        for index, size in enumerate(tracker.cell.state_size)
    }

    def boxes(outputs):
        return {name: outputs[name] for name in ("boxes", "corner_boxes", "windows")}

    def named(states):
        return {f"state_{index}": state for index, state in enumerate(states)}

    def track(frames, **box):
        return boxes(tracker({"frames": frames} | box))

    def track_encoded(frames, **box):
        return track(decode_images(frames, channels), **box)

    def start(frame_size, **box):
        batch_size = tf.shape(frame_size)[0]
        frame_size = tf.unstack(frame_size, axis=-1)
        return named(tracker.initial_state(batch_size, frame_size, **box))

    def step(frame, **states):
        states = [states[name] for name in named(states)]
        outputs, states = tracker.step(frame, states)
        return boxes(outputs) | named(states)

    def step_encoded(frame, **states):
        return step(decode_images(frame, channels), **states)

    files = tf.TensorSpec([None], tf.string)
    videos = tf.TensorSpec([None, None], tf.string)
    frame = tf.TensorSpec([None, None, None, channels], dtype)
    frames = tf.TensorSpec([None, None, None, None, channels], dtype)
    frame_size = tf.TensorSpec([None, 2], tf.int32)
    return {
        function.__name__: tf.function(function, autograph=False).get_concrete_function(
            **arguments
        )
        for function, arguments in (
            (track, {"frames": frames} | box),
            (track_encoded, {"frames": videos} | box),
            (start, {"frame_size": frame_size} | box),
            (step, {"frame": frame} | states),
            (step_encoded, {"frame": files} | states),
        )
    }


def _examples(signatures, tracker, dtype):
    """A request to each signature: a batch of one black video of two frames."""
    frames = tf.zeros([1, 2, 64, 64, tracker.cell.glimpse_shape[-1]], dtype)
    file = tf.io.encode_png(tf.cast(frames[0, 0], tf.uint8))
    box = {}
    if tracker.cell.initial_window == "given":
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


def decode_images(files, channels):
    """Decodes image files in a graph, and says which do not decode.

    Args:
        files: string tensor `[...]` of JPEG or PNG files, all of the same size.
        channels: 1 or 3, to which images are converted.

    Returns:
        uint8 `[..., H, W, channels]`.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, if files do not decode, with the
            index of the first, or have different sizes.

    Example:
    >>> picture = tf.io.encode_png(tf.zeros([20, 30, 1], tf.uint8))
    >>> decode_images([[picture] * 3], channels=1).shape
    TensorShape([1, 3, 20, 30, 1])
    """
    files = tf.convert_to_tensor(files)
    flat = tf.reshape(files, [-1])
    count = tf.size(flat, tf.int64)

    def decode(index, file):
        return index, tf.io.decode_image(file, channels, expand_animations=False)

    none = tf.data.Dataset.from_tensors(
        (tf.zeros([0], tf.int64), tf.zeros([0, 0, 0, channels], tf.uint8))
    )
    # A data set can go on after a file that does not decode; a map over tensors cannot.
    indices, images = (
        tf.data.Dataset.from_tensor_slices(flat)
        .enumerate()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(tf.maximum(count, 1))
        .concatenate(none)
        .take(1)
        .get_single_element()
    )
    decoded = tf.scatter_nd(indices[:, tf.newaxis], tf.ones_like(indices), [count])
    failed = tf.where(tf.reshape(decoded, tf.shape(files)) == 0)
    message = "Expected JPEG or PNG images. Does not decode, the first by index:"
    all_decoded = tf.size(indices, tf.int64) == count
    with tf.control_dependencies(
        [tf.debugging.Assert(all_decoded, [message, failed[:1]])]
    ):
        shape = tf.concat([tf.shape(files), tf.shape(images)[1:]], axis=0)
        return tf.ensure_shape(
            tf.reshape(images, shape), files.shape + [None, None, channels]
        )


def _describe(folder, ops):
    """Writes into the SavedModel's metadata which ops it needs."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    description = struct_pb2.Struct()
    description["ratm_tf.ops"] = ops
    if ops == "fused":
        description["ratm_tf.hint"] = f"It does not load by itself: {LINK_HINT}."
    for graph in model.meta_graphs:
        graph.meta_info_def.any_info.Pack(description)
    path.write_bytes(model.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(str(folder))


def load_saved_model(folder):
    """Loads what `export_saved_model` wrote, with the fused op if it needs that.

    Without this package, `tf.saved_model.load` does the same for models of
    TensorFlow's own ops, and for the others after `tf.load_op_library`.

    Args:
        folder: the version's folder, as `export_saved_model` returns it.

    Returns:
        What `tf.saved_model.load` does: an object with `signatures`.

    Raises:
        RuntimeError: the model needs the fused op, which is not available here.

    Example:
    >>> import tempfile
    >>> tracker = ratm_tf.load_pretrained("moving_mnist")
    >>> folder = ratm_tf.export_saved_model(tracker, tempfile.mkdtemp())
    >>> sorted(ratm_tf.load_saved_model(folder).signatures)
    ['serving_default', 'start', 'step', 'step_encoded', 'track', 'track_encoded']
    """
    model = saved_model_pb2.SavedModel.FromString(
        (pathlib.Path(folder) / "saved_model.pb").read_bytes()
    )
    description = struct_pb2.Struct()
    model.meta_graphs[0].meta_info_def.any_info.Unpack(description)
    if dict(description).get("ratm_tf.ops") == "fused":
        try:
            library.load()
        except RuntimeError as error:
            raise RuntimeError(
                f"{folder} does not load: {LINK_HINT}. {error}"
            ) from error
    return tf.saved_model.load(folder)
