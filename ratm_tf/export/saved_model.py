"""Writing and loading SavedModels."""

import pathlib
import re
import tempfile
import warnings
from typing import Any, Literal

import tensorflow as tf
from google.protobuf import struct_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from ratm_tf.attention import library
from ratm_tf.attention.implementation import implementation_scope
from ratm_tf.export.signatures import check_built, make_signatures
from ratm_tf.export.warmup import example_requests
from ratm_tf.serving.server.version_folders import MOST_VERSION, version_folders
from ratm_tf.tracker import Tracker
from ratm_tf.types import Path

LINK_HINT = (
    "it contains ops such as Ratm>GaussianGlimpse, which must be there before the "
    "model is loaded: load ratm_tf's op library first (tf.load_op_library in Python, "
    "TF_LoadLibrary in C), link the target gaussian_glimpse_ops_lib of its BUILD file "
    "into the server, or export the tracker with ops='tf', which needs neither"
)


def export_saved_model(
    tracker: Tracker,
    directory: Path,
    ops: Literal["tf", "fused"] = "tf",
    version: int | None = None,
    dtype: Literal["uint8", "float32"] = "uint8",
) -> pathlib.Path:
    r"""Writes a tracker to `directory/version` as a SavedModel.

    The folder appears in one go when it is whole, as model servers that watch
    `directory` need. Its signatures are those in the documentation of `ratm_tf.export`.
    Where `tensorflow-serving-api` is installed (the extra `serving`), it holds requests
    that warm up a server, one for each signature.

    Args:
        tracker: a built `ratm_tf.Tracker`.
        directory: the model's folder, which holds its versions. TensorFlow reads
            `*`, `?`, `[` and `\` in a path as a pattern when it loads a model, so that
            the path must have none.
        ops: `"tf"`, TensorFlow's own ops, which every TensorFlow runs; or `"fused"`,
            with the fused op, for servers that link it. Boxes agree to 1e-4 pixels.
        version: positive integer. Default: one more than the last in `directory`, also
            where others export at the same time.
        dtype: of the frames of `track` and `step`: `"uint8"`, in 0..255, or
            `"float32"`, in 0..1.

    Returns:
        The folder written, a `pathlib.Path`.

    Raises:
        ValueError: an argument is not one of those above, or the tracker is not built.
            Weights that are not finite are a warning.
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
    check_built(tracker)
    broken = [
        weight.path
        for weight in tracker.weights
        if weight.dtype.startswith(("float", "bfloat"))
        and not tf.reduce_all(tf.math.is_finite(weight.value))
    ]
    if broken:
        warnings.warn(
            f"Exporting a tracker whose weights are not all finite: {broken}.",
            stacklevel=2,
        )
    if ops == "fused":
        library.load()  # Says why it is not available.
    if version is not None and not (
        version == int(version) and 1 <= version <= MOST_VERSION
    ):
        raise ValueError(
            f"Expected `version` to be a positive integer. Received: {version!r}"
        )
    directory = pathlib.Path(directory)
    if re.search(r"[*?[\\]", str(directory.resolve())):
        raise ValueError(
            r"Expected the path of `directory` to have none of * ? [ \, in which "
            f"TensorFlow sees a pattern. Received: {str(directory)!r}"
        )
    directory.mkdir(parents=True, exist_ok=True)
    if version is not None and (directory / str(int(version))).exists():
        raise _exists(directory, version)

    with tempfile.TemporaryDirectory(dir=directory, prefix=".export-") as temporary:
        written = pathlib.Path(temporary) / "model"
        with implementation_scope(ops):
            signatures = make_signatures(tracker, tf.as_dtype(dtype))
        module = tf.Module()
        # All that the signatures hold and nothing else, such as an optimizer's weights.
        module.captured = [signature.variables for signature in signatures.values()]
        tf.saved_model.save(
            module, written, signatures | {"serving_default": signatures["track"]}
        )
        _describe(written, ops)
        try:
            from ratm_tf.serving.server.warmup_requests import write_warmup_requests

            write_warmup_requests(written, example_requests(tracker, signatures, dtype))
        except ImportError as error:
            warnings.warn(
                f"The export holds no requests that warm up a server: {error}. To have "
                'them, run `pip install "ratm-tf[serving]"`.',
                stacklevel=2,
            )
        return _publish(written, directory, version)


def _publish(written, directory, version):
    """Renames a folder to its version, the next free one by default."""
    while True:
        number = version or 1 + max(version_folders(directory), default=0)
        folder = directory / str(int(number))
        try:
            return written.rename(folder)
        except OSError:
            if not folder.exists():
                raise
        if version is not None:
            raise _exists(directory, version)


def _exists(directory, version):
    return FileExistsError(
        f"Expected `version` to be a new one. Received: {version}, and "
        f"{directory / str(int(version))} exists."
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


def load_saved_model(folder: Path) -> Any:
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
