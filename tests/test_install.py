"""The wheel holds what it should, with compilers and without."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def build_wheel(folder, **environment):
    source = folder / "source"
    tracked = ["custom_ops", "ratm_tf", "setup.py", "pyproject.toml", "README.md"]
    for name in [*tracked, "MANIFEST.in", "BUILD"]:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, "-v"]
    result = subprocess.run(
        [*command, "--no-build-isolation", source],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist(), result.stdout + result.stderr


@pytest.mark.slow
def test_wheel_with_a_compiler(tmp_path):
    names, _ = build_wheel(tmp_path, RATM_TF_REQUIRE_FUSED="1")
    assert "ratm_tf/attention/_gaussian_glimpse_ops.so" in names
    assert "ratm_tf/datasets/sources/mnist_sample.npz" in names
    assert "ratm_tf/pretrained/moving_mnist.keras" in names


@pytest.mark.slow
def test_wheel_without_a_compiler(tmp_path):
    names, output = build_wheel(
        tmp_path,
        CXX="no-such-compiler",
        RATM_TF_CUDA="0",
        RATM_TF_REQUIRE_FUSED="0",
    )
    assert not [name for name in names if name.endswith(".so")]
    assert "ratm_tf/attention/filterbank.py" in names
    assert "the fused Gaussian glimpse was not built" in output


@pytest.mark.slow
def test_wheel_that_lacks_a_cuda_compiler_it_was_asked_for(tmp_path):
    names, output = build_wheel(
        tmp_path,
        CUDA_HOME="/nonexistent",
        PATH=str(pathlib.Path(sys.executable).parent),
        RATM_TF_CUDA="1",
        RATM_TF_REQUIRE_FUSED="0",
    )
    assert not [name for name in names if name.endswith(".so")]
    assert "there is no nvcc" in output
