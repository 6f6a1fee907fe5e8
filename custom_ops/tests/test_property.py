"""The CPU's arithmetic, on random cases and under sanitizers.

`pytest -s -m slow custom_ops/tests/test_property.py` tries 20,000 cases of each type,
and says how long a thousand take.
"""

import pathlib
import re
import runpy
import shutil
import subprocess

import pytest
import tensorflow as tf

from ratm_tf.attention import library

ROOT = pathlib.Path(__file__).parents[2]
TESTS = ROOT / "custom_ops" / "tests"
OP = runpy.run_path(str(ROOT / "custom_ops" / "sources.bzl"))


FLAGS = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"]
ARITHMETIC = [
    ROOT / "custom_ops" / "cpu" / name
    for name in ("simd.cc", "scratch.cc", "instruction_set.cc")
]


def found(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"there is no {program}")
    return path


def run(folder, cases, *arguments, compiler="g++", emulator=()):
    """Builds the test with these arguments of the compiler, and runs it."""
    program = folder / "property_test"
    emulator = [*map(found, emulator)]
    source = TESTS / "property_test.cc"
    command = [found(compiler), *FLAGS, source, *arguments, "-o", program]
    subprocess.run(command, check=True)
    result = subprocess.run(
        [*emulator, program, str(cases)], capture_output=True, text=True
    )
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("cases", [200, pytest.param(20_000, marks=pytest.mark.slow)])
def test_the_library_as_it_is_built(fused, tmp_path, cases):
    run(
        tmp_path,
        cases,
        *(library.PATH, "-Wl,--no-as-needed", *tf.sysconfig.get_link_flags()),
        f"-Wl,-rpath,{tf.sysconfig.get_lib()}",
    )


@pytest.mark.slow
@pytest.mark.parametrize("instruction_set", OP["SIMD_FLAGS"])
def test_sanitized(tmp_path, instruction_set):
    flags = OP["SIMD_FLAGS"][instruction_set]
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    features = cpuinfo.read_text().split() if cpuinfo.exists() else []
    needed = [flag[2:] for flag in flags if re.fullmatch("-m(?!no-)[^=]+", flag)]
    if not set(needed) <= set(features):
        pytest.skip(f"the processor has no {instruction_set}")
    run(
        tmp_path,
        100,
        *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        *flags,
        f"-DRATM_SIMD={instruction_set}",
        *ARITHMETIC,
    )


@pytest.mark.slow
def test_on_another_processor(tmp_path):
    """The build for machines other than x86-64, on one that is emulated."""
    run(
        tmp_path,
        100,
        *("-static", "-DRATM_SIMD=generic", *ARITHMETIC),
        compiler="aarch64-linux-gnu-g++",
        emulator=["qemu-aarch64"],
    )


@pytest.mark.slow
def test_instruction_sets_share_no_code(tmp_path):
    """The linker keeps one of equal functions, maybe of another instruction set."""
    simd = tmp_path / "simd.o"
    command = [found("g++"), *FLAGS, "-DRATM_SIMD=generic", "-c", ARITHMETIC[0]]
    subprocess.run([*command, "-o", simd], check=True)
    symbols = subprocess.run(
        [found("nm"), "--demangle", "--defined-only", simd],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    shared = [line for line in symbols if re.search(r" [VWu] ", line)]
    assert shared
    assert [line for line in shared if "ratm::generic::" not in line] == []
