import os
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

from ratm_tf import doctor
from ratm_tf.attention import build_record, library
from ratm_tf.attention.implementation import fallback_reason


def test_report_names_the_versions_and_the_implementation():
    report = "\n".join(doctor.report())
    for fact in (tf.__version__, keras.__version__, np.__version__, str(library.PATH)):
        assert fact in report
    chosen = "fused" if fallback_reason() is None else "tf"
    assert f"implementation  {chosen}, because" in report
    assert "FAILED" not in report
    assert ("self-check      passed" in report) == (
        library.unavailable_reason() is None
    )


def test_report_says_what_the_library_was_built_from(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "PATH", tmp_path / "ops.so")
    monkeypatch.setattr(library, "SOURCES", tmp_path)
    assert doctor._build() == "no record"
    source = tmp_path / "custom_ops" / "glimpse.h"
    source.parent.mkdir()
    source.write_text("int x;")
    build_record.write(
        library.PATH,
        tmp_path,
        tensorflow="2.21.0",
        gpu_architectures=["80", "90"],
        nvcc=None,
    )
    described = "tensorflow: 2.21.0; gpu architectures: 80 90; sources: "
    assert doctor._build().startswith(described)
    source.write_text("int y;")
    assert doctor._build().startswith("STALE. ")
    assert described in doctor._build()


def test_program_says_why_the_fallback_runs():
    output = subprocess.run(
        [sys.executable, "-m", "ratm_tf.doctor"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "RATM_TF_PY_OPS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert "implementation  tf, because the fused op is unavailable" in output
    assert "RATM_TF_PY_OPS=1" in output
    assert "op kernels      none" in output
    assert "self-check      skipped" in output
