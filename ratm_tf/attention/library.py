"""Loads the compiled op library, or says why it cannot."""

import ctypes
import functools
import os
import sys
import warnings

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

from ratm_tf import build
from ratm_tf.attention import build_record

PATH = build.LIBRARY
"""The one path the library is loaded from; two copies cannot share a process."""

SOURCES = build.SOURCES
"""The folder that holds `custom_ops`, from which the library should be built."""

_OP, _FUNCTION = "Ratm>GaussianGlimpse", "ratm_gaussian_glimpse"


def load():
    """Loads the library, once per process; where there is none yet, builds it.

    On the CPU it uses what the processor has: AVX-512, AVX2 or neither. The environment
    variable `RATM_TF_MAX_CPU_ISA`, `avx512`, `avx2` or `generic`, is a limit to that;
    the ops refuse any other value.

    Returns:
        The module of generated op functions.

    Raises:
        RuntimeError: the library is unavailable; the message says why.

    Example:
    >>> hasattr(load(), "ratm_gaussian_glimpse") if not unavailable_reason() else True
    True
    """
    reason = unavailable_reason()
    if reason is not None:
        raise RuntimeError(f"The fused Gaussian glimpse is unavailable: {reason}.")
    return loaded()


def loaded():
    """The same for who knows that it is available: not to ask twice is faster.

    Returns:
        The module of generated op functions, or None where it is unavailable.

    Example:
    >>> loaded() is (None if unavailable_reason() else load())
    True
    """
    return _load()[0]


def functions():
    """The library's C functions, where it was loaded from `PATH`.

    Returns:
        A `ctypes.CDLL`, or None where someone else loaded it, from who knows where.

    Raises:
        RuntimeError: as `load`.

    Example:
    >>> hasattr(functions(), "RatmRecur") if not unavailable_reason() else True
    True
    """
    load()
    return _load()[2]


def unavailable_reason():
    """Says why the library cannot be used in this process.

    The first call loads it, unless it is switched off. If it has not been built, and
    there is a C++ compiler, that is done first, as `ratm-tf build` does it.

    Returns:
        A phrase, or None where it is loaded.

    Example:
    >>> reason = unavailable_reason()
    >>> reason is None or isinstance(reason, str)
    True
    """
    if switched_off():
        value = os.environ["RATM_TF_PY_OPS"]
        return f"RATM_TF_PY_OPS={value} asks for the TensorFlow form"
    return load_failure()


def load_failure():
    """Says why the library does not load, whether or not it is switched off.

    Returns:
        A phrase, or None where it is loaded.

    Example:
    >>> load_failure() is None or isinstance(load_failure(), str)
    True
    """
    return _load()[1]


def switched_off():
    """Says whether the environment has `RATM_TF_PY_OPS=1`, which forbids the library.

    So does any other value but `0`, `false` in any case, and none at all.

    Returns:
        A bool.

    Example:
    >>> switched_off() in (True, False)
    True
    """
    value = os.environ.get("RATM_TF_PY_OPS")
    return value is not None and value.strip().lower() not in ("", "0", "false")


def devices():
    """Names the types of devices that the library has kernels for.

    Returns:
        A frozenset of names such as `"CPU"` and `"GPU"`, empty where the library is
        unavailable.

    Example:
    >>> "CPU" in devices() or unavailable_reason() is not None
    True
    """
    return _registered_devices() if unavailable_reason() is None else frozenset()


@functools.cache
def _load():
    """Returns `(ops, None, functions)`, or `(None, reason, None)` if it cannot load."""
    hint = "`ratm-tf build` with a C++ compiler builds it"
    if op_def_registry.get(_OP) is not None:
        # Someone else loaded it, maybe from another path. Kernels that are registered
        # twice cannot run.
        for module in list(sys.modules.values()):
            if _FUNCTION in getattr(module, "__dict__", ()):
                return module, None, None
    if not PATH.exists() and (failure := _build()) is not None:
        return None, f"{PATH} does not exist, and {failure}; {hint}", None
    built_for = build_record.read(PATH).get("tensorflow", tf.__version__)
    if built_for.split(".")[:2] != tf.__version__.split(".")[:2]:
        # Loading against another release can crash instead of raising.
        reason = f"it is built for TensorFlow {built_for} "
        reason += f"and this is TensorFlow {tf.__version__}; {hint}"
        return None, reason, None
    stale = build_record.staleness(PATH, SOURCES)
    if stale is not None:
        warnings.warn(stale, RuntimeWarning, stacklevel=4)
    try:
        ops = tf.load_op_library(str(PATH))
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        return None, f"{PATH} does not load ({error}); {hint}", None
    if not hasattr(ops, _FUNCTION):
        return None, "another copy of it is loaded in this process", None
    return ops, None, ctypes.CDLL(str(PATH))


def _build():
    """Builds the library in its place; returns why it cannot, or None."""
    if PATH != build.LIBRARY:
        return "it is built elsewhere"

    def log(line):
        print(line, file=sys.stderr, flush=True)

    try:
        log("Building the fused Gaussian glimpse, once, as `ratm-tf build` does:")
        build.build(log=log)
    except (OSError, RuntimeError) as error:
        return str(error)
    return None


@functools.cache
def _registered_devices():
    registered = kernels.get_registered_kernels_for_op(_OP)
    return frozenset(kernel.device_type for kernel in registered.kernel)
