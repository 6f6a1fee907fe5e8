"""Bazel builds the op library from BUILD, and that library passes the op's tests."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TESTS = ("custom_ops/tests/test_ops.py", "tests/attention/test_functional.py")
LIBRARY = "ratm_tf/attention/_gaussian_glimpse_ops.so"


@pytest.mark.slow
def test_library_passes_the_tests_of_the_op(tmp_path):
    if shutil.which("bazel") is None:
        pytest.skip("there is no Bazel")
    environment = os.environ | {"PYTHON": sys.executable, "RATM_TF_REQUIRE_FUSED": "1"}
    build = tmp_path / "build"
    command = [ROOT / "custom_ops" / "bazel_build.sh", build]
    subprocess.run(command, env=environment, check=True)
    outputs = build / "bazel-bin" / "external" / "ratm_tf"
    assert (outputs / "libgaussian_glimpse_ops_lib.lo").exists()

    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("_gaussian_glimpse_ops.*", "__pycache__")
    for name in ("custom_ops", "ratm_tf", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    shutil.copy(outputs / LIBRARY, copy / LIBRARY)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *TESTS],
        cwd=copy,
        env=environment | {"PYTHONPATH": str(copy), "RATM_TF_PY_OPS": "0"},
        check=True,
    )
