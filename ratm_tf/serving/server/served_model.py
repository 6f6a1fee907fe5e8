"""A served model: a folder of versions, of which the newest is in use."""

import contextlib
import logging
import os
import pathlib
import threading
import time

import tensorflow as tf
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.get_model_status_pb2 import (
    GetModelStatusResponse,
    ModelVersionStatus,
)
from tensorflow_serving.apis.model_pb2 import ModelSpec

from .errors import invalid_argument
from .model_version import ModelVersion
from .version_folders import version_folders

_LOGGER = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
"""When a version that did not load is tried again, though its files are the same."""


class ServedModel:
    """Follows a model's folder and keeps its newest version loaded.

    As in TensorFlow Serving, versions are folders `1`, `2`, ... with a SavedModel each,
    and the old version is in use until the new one is loaded and warm. Of versions that
    do not load, the next older one is taken, if it is newer than that in use. They are
    tried again once their files have changed and rest, and now and then in any case.

    Args:
        folder: the model's, which holds the versions.
        name: of the model. Default: the folder's.
        batching: how to run concurrent calls as one, see `read_batching_parameters`.
            Default: each runs alone.

    Raises:
        FileNotFoundError: there is no such folder.

    Example:
    >>> import pathlib, tempfile
    >>> from tensorflow_serving.apis.model_pb2 import ModelSpec
    >>> from ratm_tf.serving import ServedModel
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "adder"
    >>> module = tf.Module()
    >>> module.add = tf.function(
    ...     lambda x: {"y": x + 1.0}, [tf.TensorSpec([None], tf.float32, "x")])
    >>> tf.saved_model.save(module, folder / "1", module.add)
    >>> model = ServedModel(folder)
    >>> model.refresh()
    >>> adder = model.version(ModelSpec(name="adder"))
    >>> adder.run("serving_default", {"x": np.float32([1.0, 2.0])})
    {'y': array([2., 3.], dtype=float32)}
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        name: str | None = None,
        batching: dict[str, int] | None = None,
    ) -> None:
        self._folder = pathlib.Path(folder).resolve()
        if not self._folder.is_dir():
            raise FileNotFoundError(
                "Expected `folder` to be one with versions of a model. There is no "
                f"{folder}."
            )
        self.name = name or self._folder.name
        self._batching = batching
        self._version = None
        self._states = {}
        self._failed = {}
        self._seen = {}
        self._refreshing = threading.Lock()

    @property
    def max_batch_size(self) -> int:
        """How many calls may run as one."""
        return self._batching["max_batch_size"] if self._batching else 1

    @property
    def available(self) -> bool:
        """Whether a version is in use."""
        return self._version is not None

    def refresh(self) -> None:
        """Takes the newest version of the folder into use, if it is not yet."""
        with self._refreshing:
            folders = {
                number: folder
                for number, folder in version_folders(self._folder).items()
                if (folder / "saved_model.pb").is_file()
            }
            current = None if self._version is None else self._version.number
            version = None
            for number in sorted(folders, reverse=True):
                if number == current:
                    return
                version = self._load(number, folders[number])
                if version is not None:
                    break
            if version is None and folders:
                return
            self._version = version
            if current is not None:
                self._set_state(current, ModelVersionStatus.END)

    def version(self, spec: ModelSpec) -> ModelVersion:
        """Returns the `ModelVersion` in use.

        Args:
            spec: a `ModelSpec` message: which model, and perhaps which version.

        Raises:
            tf.errors.NotFoundError: it is not in use.
            tf.errors.InvalidArgumentError: it names no model, or asks for a version by
                a label.
        """
        version = self._version
        self._check(spec)
        wanted = spec.version.value if spec.HasField("version") else None
        if (
            version is None
            or spec.name != self.name
            or wanted not in (None, version.number)
        ):
            which = "Latest({})" if wanted is None else "Specific({}, {})"
            raise tf.errors.NotFoundError(
                None,
                None,
                "Servable not found for request: " + which.format(spec.name, wanted),
            )
        return version

    def status(self, spec: ModelSpec) -> GetModelStatusResponse:
        """Returns a `GetModelStatusResponse`; `spec` and errors as in `version`."""
        self._check(spec)
        states = dict(self._states) if spec.name == self.name else {}
        which = "any versions"
        if spec.HasField("version"):
            number = spec.version.value
            states = {n: state for n, state in states.items() if n == number}
            which = f"version {number}"
        if not states:
            raise tf.errors.NotFoundError(
                None, None, f"Could not find {which} of model {spec.name}"
            )
        newest_first = [states[number] for number in sorted(states, reverse=True)]
        return GetModelStatusResponse(model_version_status=newest_first)

    def metadata(self, spec: ModelSpec) -> GetModelMetadataResponse:
        """Returns a `GetModelMetadataResponse`; `spec` and errors as in `version`."""
        version = self.version(spec)
        response = GetModelMetadataResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = version.number
        signatures = SignatureDefMap(signature_def=version.signature_defs)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _load(self, number, folder):
        stamp, seen = _stamp(folder), self._seen.get(number)
        self._seen[number] = stamp
        if number in self._failed:
            failed, moment = self._failed[number]
            changed = stamp != failed and stamp == seen
            if not changed and time.monotonic() < moment + RETRY_SECONDS:
                return None
        self._set_state(number, ModelVersionStatus.LOADING)
        try:
            version = ModelVersion(folder, self._batching)
        # Whatever is wrong with this version, the one in use must go on.
        except Exception as error:
            _LOGGER.error("Version %d of %s does not load: %s", number, folder, error)
            self._failed[number] = stamp, time.monotonic()
            self._set_state(number, ModelVersionStatus.END, error)
            return None
        _LOGGER.info("Version %d of model %s is in use", number, self.name)
        self._set_state(number, ModelVersionStatus.AVAILABLE)
        return version

    def _set_state(self, number, state, error=None):
        status = ModelVersionStatus(version=number, state=state)
        status.status.error_message = ""
        if error is not None:
            status.status.error_code = getattr(error, "error_code", tf.errors.UNKNOWN)
            status.status.error_message = str(error)
        self._states[number] = status

    @staticmethod
    def _check(spec):
        if not spec.name:
            raise invalid_argument("Expected the request to name a model.")
        if spec.version_label:
            raise invalid_argument(
                f"Expected no version label. Received: {spec.version_label}"
            )


def _stamp(folder):
    """What changes with any of a folder's files."""
    stamp = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # It may go as we look.
            status = path.stat()
            stamp.add((path, status.st_size, status.st_mtime_ns))
    return stamp
