"""The CUDA kernels, alone, on a GPU."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc")
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no GPU")
def test_agrees_with_the_reference_on_a_gpu(tmp_path):
    program = tmp_path / "device_test"
    sources = [
        ROOT / "custom_ops" / "cuda" / "launch.cu",
        ROOT / "custom_ops" / "tests" / "device_test.cu",
    ]
    command = ["nvcc", "-std=c++17", "-O3", "-arch=native", f"-I{ROOT}"]
    subprocess.run([*command, *sources, "-o", program], check=True)
    result = subprocess.run([program, "--quick"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
