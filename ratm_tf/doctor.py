"""Says what runs here and why: `python -m ratm_tf.doctor`."""

import platform
from importlib import metadata

import keras
import numpy as np
import tensorflow as tf

from ratm_tf.attention import build_record, library
from ratm_tf.attention.functional import gaussian_glimpse
from ratm_tf.attention.implementation import fallback_reason


def report():
    """Describes the installation, and checks the fused op against TensorFlow.

    Returns:
        The lines of the report, one fact each: versions, devices, the path of the op
        library, the devices it is built for and what it was built from, the
        implementation that `"auto"` chooses and why, and the largest difference between
        the two implementations where both exist.

    Example:
    >>> report()[1].startswith("tensorflow")
    True
    """
    reason = fallback_reason()
    gpus = [device.name for device in tf.config.list_physical_devices("GPU")]
    lines = [
        f"python          {platform.python_version()}",
        f"tensorflow      {tf.__version__}",
        f"keras           {keras.__version__}",
        f"numpy           {np.__version__}",
        f"ratm_tf         {_version()}",
        f"GPU             {', '.join(gpus) or 'none visible'}",
        f"op library      {library.PATH}",
        f"op kernels      {', '.join(sorted(library.devices())) or 'none'}",
        f"op build        {_build()}",
        f"implementation  tf, because {reason}"
        if reason is not None
        else "implementation  fused, because the library loads (tf where XLA compiles)",
    ]
    if library.unavailable_reason() is not None:
        nothing = "self-check      skipped: there is nothing to compare it with"
        return [*lines, nothing]
    difference = _largest_difference()
    verdict = "passed" if difference < 1e-5 else "FAILED"
    return [
        *lines,
        f"self-check      {verdict}: fused and tf differ by at most {difference:.1e}",
    ]


def _build():
    """What the library was built from, and whether that is what is here now."""
    facts = {
        name.replace("_", " "): " ".join(value) if isinstance(value, list) else value
        for name, value in build_record.read(library.PATH).items()
        if value
    }
    if not facts:
        return "no record"
    facts["sources"] = facts["sources"][:12]
    described = "; ".join(f"{name}: {value}" for name, value in facts.items())
    stale = build_record.staleness(library.PATH, library.SOURCES)
    return described if stale is None else f"STALE. {stale} ({described})"


def _version():
    try:
        return metadata.version("ratm-tf")
    except metadata.PackageNotFoundError:
        return "not installed"


def _largest_difference():
    """Returns how far apart the two forms are on random images in `[0, 1]`."""
    images = tf.random.stateless_uniform([2, 40, 50, 3], seed=(1, 2))
    window = tf.constant([[25.0, 20.0, 1.0, 2.0, 1.5, 1.2], [-3.0, 45.0, 4, 0.1, 1, 2]])
    fused, plain = (
        gaussian_glimpse(images, window, (9, 12), implementation=implementation)
        for implementation in ("fused", "tf")
    )
    return float(tf.reduce_max(tf.abs(fused - plain)))


if __name__ == "__main__":
    print("\n".join(report()))
