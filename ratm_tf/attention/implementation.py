"""Which form of the Gaussian glimpse runs: the fused op or plain TensorFlow."""

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.ops import control_flow_ops, control_flow_util

from ratm_tf.attention import build_record, library
from ratm_tf.types import Implementation

IMPLEMENTATIONS = ("auto", "fused", "tf")
"""`"fused"`, the compiled op; `"tf"`, plain TensorFlow, which XLA can compile;
`"auto"`, the fused op where it can run."""

_scope = threading.local()

# What a `tf.function` holds depends on whether XLA compiles its caller, so one traced
# for either is traced again for the other. TensorFlow asks this of XLA's contexts.
control_flow_ops.XLAControlFlowContext.RequiresUniqueFunctionRetracing = lambda _: True


def check_implementation(implementation):
    """Checks that `implementation` is one of `IMPLEMENTATIONS`.

    Returns:
        `implementation`.

    Raises:
        ValueError: it is not.

    Example:
    >>> check_implementation("tf")
    'tf'
    """
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(
            "Expected `implementation` to be 'auto', 'fused' or 'tf'. "
            f"Received: {implementation!r}"
        )
    return implementation


@contextlib.contextmanager
def implementation_scope(implementation: Implementation) -> Iterator[None]:
    """Takes all glimpses of this thread in one form, whatever layers ask for.

    It holds for eager calls and for graphs while they are traced: a `tf.function`
    traced before keeps its form. Of nested scopes the innermost counts; the
    environment variable `RATM_TF_PY_OPS=1` is stronger than any.

    Args:
        implementation: `"auto"`, `"fused"` or `"tf"`.

    Yields:
        None.

    Raises:
        ValueError: `implementation` is none of these.

    Example:
    >>> layer = ratm_tf.GaussianGlimpse((28, 28))
    >>> images = tf.random.uniform([2, 100, 100, 1])
    >>> with implementation_scope("tf"):
    ...     layer(images, tf.ones([2, 6])).shape
    TensorShape([2, 28, 28, 1])
    """
    check_implementation(implementation)
    outer = getattr(_scope, "implementation", None)
    _scope.implementation = implementation
    try:
        yield
    finally:
        _scope.implementation = outer


def fallback_reason(implementation="auto"):
    """Says why the TensorFlow form runs where `implementation` is asked for.

    Scopes count as in `implementation_scope`; that XLA compiles does not.

    Args:
        implementation: `"auto"`, `"fused"` or `"tf"`.

    Returns:
        A phrase, or None where the fused op runs, unless XLA compiles.

    Raises:
        ValueError: `implementation` is none of these.

    Example:
    >>> fallback_reason("tf")
    'the TensorFlow form is asked for'
    """
    return _fallback_reason(_asked_for(implementation), library.unavailable_reason)


def choose(implementation):
    """Chooses the form that runs here and now, maybe within a graph that XLA compiles.

    Warns once per process where `"auto"` chooses the slower TensorFlow form
    although XLA does not compile.

    Args:
        implementation: `"auto"`, `"fused"` or `"tf"`; a scope or the environment may
            overrule it, see `implementation_scope`.

    Returns:
        `"fused"` or `"tf"`.

    Raises:
        ValueError: `implementation` is none of these, or it is `"fused"` and XLA
            compiles.
        RuntimeError: it is `"fused"`, and that is unavailable.

    Example:
    >>> choose("tf")
    'tf'
    """
    implementation = _asked_for(implementation)
    if implementation == "tf" or library.switched_off():
        return "tf"
    if not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    ):
        if implementation == "fused":
            raise ValueError(
                "Expected `implementation` to be 'auto' or 'tf' where XLA compiles "
                "(jit_compile=True). Received: 'fused'"
            )
        return "tf"
    if implementation == "fused":
        library.load()
        return "fused"
    reason = _fallback_reason(implementation, library.load_failure)
    if reason is None:
        return "fused"
    _warn_of_fallback(reason)
    return "tf"


def _fallback_reason(implementation, unavailable_reason):
    if implementation == "tf":
        return "the TensorFlow form is asked for"
    unavailable = unavailable_reason()
    if unavailable is not None:
        return f"the fused op is unavailable: {unavailable}"
    return _gpu_reason() if implementation == "auto" else None


def _gpu_reason():
    """Says why the fused op is not for the GPUs here, if there are any."""
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return None
    # Beside a GPU, TensorFlow's own kernels on it are faster than an op that fetches
    # the images to the CPU.
    if "GPU" not in library.devices():
        return (
            "there is a GPU and the fused op is built for the CPU alone; "
            "`RATM_TF_CUDA=1 ratm-tf build` with nvcc builds it for both"
        )
    record = build_record.read(library.PATH)
    architectures = record.get("gpu_architectures")
    for gpu in gpus if architectures else ():
        capability = tf.config.experimental.get_device_details(gpu).get(
            "compute_capability"
        )
        if capability and not _runs_on(architectures, capability):
            name = "".join(map(str, capability))
            return (
                f"the fused op is built for GPUs of compute capability "
                f"{', '.join(architectures)}, and there is one of {name}; "
                f"`RATM_TF_CUDA=1 RATM_TF_CUDA_ARCHITECTURES={name} ratm-tf build` "
                "builds it for that"
            )
    ours = record.get("nvcc")
    theirs = tf.sysconfig.get_build_info().get("cuda_version")
    if ours and theirs and int(ours.split(".")[0]) > int(theirs.split(".")[0]):
        return (
            f"the fused op is built by CUDA {ours} and TensorFlow by CUDA {theirs}, "
            "whose driver may not run it; `NVCC=... ratm-tf build` builds it by another"
        )
    return None


def _runs_on(architectures, capability):
    """Says whether kernels for some architectures run on a GPU.

    Machine code runs on GPUs of its major version, from its minor version on; the last
    architecture comes with PTX, for all GPUs from there on.
    """
    capability = tuple(capability)
    built = [divmod(int(architecture), 10) for architecture in architectures]
    return capability >= built[-1] or any(
        capability[0] == major and capability[1] >= minor for major, minor in built
    )


def _asked_for(implementation):
    """Returns what the innermost scope asks for, or the argument outside of any."""
    check_implementation(implementation)
    return getattr(_scope, "implementation", None) or implementation


@functools.cache
def _warn_of_fallback(reason):
    warnings.warn(
        "Using the TensorFlow form of the Gaussian glimpse, which is slower, because "
        f"{reason}.",
        RuntimeWarning,
        stacklevel=4,
    )
