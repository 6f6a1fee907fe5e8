"""The blocks of the CUDA kernels, run on the host."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def run_host_test(folder, *flags):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++")
    program = folder / "host_test"
    command = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", *flags]
    source = ROOT / "custom_ops" / "tests" / "host_test.cc"
    subprocess.run([*command, f"-I{ROOT}", source, "-o", program], check=True)
    result = subprocess.run([program], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_agrees_with_the_reference(tmp_path):
    run_host_test(tmp_path)


@pytest.mark.slow
def test_sanitized(tmp_path):
    run_host_test(tmp_path, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
