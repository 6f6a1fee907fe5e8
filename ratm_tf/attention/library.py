"""The compiled op library: where it lies, whether it is used, and if not, why."""

import functools
import os
import pathlib
import warnings

import tensorflow as tf
from tensorflow.python.framework import kernels

PATH = pathlib.Path(__file__).resolve().parent / "_gaussian_glimpse_ops.so"
"""The one path the library is loaded from; two copies cannot share a process."""

TENSORFLOW_VERSION = "2.21"
"""The TensorFlow release whose binary interface the library is built for."""

BUILD_HINT = (
    "To build it, run `pip install .` (or `pip install -e .`) with a C++ compiler, and "
    "with nvcc for GPUs."
)


@functools.cache
def _load():
    """Returns `(ops, None)`, or `(None, reason)` when the library cannot load."""
    version = ".".join(tf.__version__.split(".")[:2])
    if version != TENSORFLOW_VERSION:
        # Loading against another release can crash instead of raising.
        return None, (
            f"it is built for TensorFlow {TENSORFLOW_VERSION} "
            f"and this is TensorFlow {tf.__version__}"
        )
    if not PATH.exists():
        return None, f"{PATH} does not exist"
    try:
        return tf.load_op_library(str(PATH)), None
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        return None, f"{PATH} does not load: {error}"


def disabled():
    """Says whether the environment switches the fused op off.

    Returns:
      True where `RATM_TF_PY_OPS` is 1.

    Example:
      >>> disabled() in (True, False)
      True
    """
    return os.environ.get("RATM_TF_PY_OPS") == "1"


def unavailable_reason():
    """Says why the fused op cannot be used in this process.

    Returns:
      A phrase, or None where the fused op is available.

    Example:
      >>> unavailable_reason() is None or isinstance(unavailable_reason(), str)
      True
    """
    if disabled():
        return "RATM_TF_PY_OPS=1 asks for the TensorFlow form"
    return _load()[1]


def available():
    """Says whether the fused op can be used in this process.

    The first call loads the library, unless the environment has
    `RATM_TF_PY_OPS=1`, which switches the fused op off.

    Returns:
      A bool.

    Example:
      >>> available() in (True, False)
      True
    """
    return unavailable_reason() is None


def devices():
    """Names the types of devices that the fused op has kernels for.

    Returns:
      A set of names such as `"CPU"` and `"GPU"`, empty where it is unavailable.

    Example:
      >>> "CPU" in devices() or not available()
      True
    """
    return _registered_devices() if available() else frozenset()


@functools.cache
def _registered_devices():
    registered = kernels.get_registered_kernels_for_op("Ratm>GaussianGlimpse")
    return frozenset(kernel.device_type for kernel in registered.kernel)


def passed_over_reason(unavailable, devices, gpu_visible):
    """Says why `"auto"` passes the fused op over, given what there is.

    Beside a GPU, TensorFlow's own kernels on it are faster than an op that
    fetches the images to the CPU.

    Args:
      unavailable: why the fused op is unavailable, or None.
      devices: the types of devices it has kernels for.
      gpu_visible: whether TensorFlow sees a GPU.

    Returns:
      A phrase, or None where `"auto"` chooses the fused op.

    Example:
      >>> passed_over_reason(None, {"CPU"}, gpu_visible=False)
      >>> passed_over_reason(None, {"CPU"}, gpu_visible=True)
      'there is a GPU and the fused op is built for the CPU alone'
    """
    if unavailable is not None:
        return f"the fused op is unavailable: {unavailable}"
    if gpu_visible and "GPU" not in devices:
        return "there is a GPU and the fused op is built for the CPU alone"
    return None


def fallback_reason():
    """Says why `"auto"` chooses the TensorFlow form in this process.

    Returns:
      A phrase, or None where it chooses the fused op, unless XLA compiles.

    Example:
      >>> fallback_reason() is None or isinstance(fallback_reason(), str)
      True
    """
    return passed_over_reason(
        unavailable_reason(), devices(), bool(tf.config.get_visible_devices("GPU"))
    )


def uses_fused(implementation):
    """Says whether the fused op runs where XLA does not compile.

    Args:
      implementation: `"auto"`, `"fused"` or `"tf"`.

    Returns:
      A bool.

    Example:
      >>> uses_fused("tf")
      False
    """
    if implementation == "auto":
        return fallback_reason() is None
    return implementation == "fused" and available()


def ops():
    """Loads the library, once per process.

    Returns:
      The module of generated op functions.

    Raises:
      RuntimeError: the fused op is not available; the message says why.

    Example:
      >>> hasattr(ops(), "ratm_gaussian_glimpse") if available() else True
      True
    """
    reason = unavailable_reason()
    if reason is not None:
        raise RuntimeError(
            f"The fused Gaussian glimpse is unavailable: {reason}. {BUILD_HINT}"
        )
    return _load()[0]


@functools.cache
def warn_of_fallback():
    """Warns, once per process, that the slower TensorFlow form stands in."""
    warnings.warn(
        f"Using the TensorFlow form of the Gaussian glimpse, which is slower, because "
        f"{fallback_reason()}. {BUILD_HINT}",
        RuntimeWarning,
        stacklevel=2,
    )
