"""Both builds are told of every file there is, and of no other."""

import pathlib
import platform
import runpy
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def test_lists_are_complete():
    lists = runpy.run_path(str(ROOT / "custom_ops" / "sources.bzl"))
    listed = {lists["SIMD_SOURCE"], lists["CUDA_KERNELS"]}
    for name in ("SOURCES", "HEADERS", "SIMD_HEADERS"):
        listed |= set(lists[name])
    listed |= {*lists["CUDA_SOURCES"], *lists["CUDA_KERNEL_HEADERS"]}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "custom_ops").rglob("*")
        if path.suffix in (".cc", ".cu", ".h") and "tests" not in path.parts
    }
    assert listed == there


def test_flags_name_each_architecture_and_those_to_come():
    flags = runpy.run_path(str(ROOT / "custom_ops" / "sources.bzl"))
    assert flags["cuda_architecture_flags"](["75", "90"]) == [
        "-gencode=arch=compute_75,code=sm_75",
        "-gencode=arch=compute_90,code=[sm_90,compute_90]",
    ]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="this is not x86-64")
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
@pytest.mark.parametrize(
    "name,has",
    [("generic", set()), ("avx2", {"AVX2"}), ("avx512", {"AVX2", "AVX512F"})],
)
@pytest.mark.parametrize("further", ["-march=skylake-avx512", "-mavx512f"])
def test_further_flags_add_no_instructions(name, has, further):
    flags = runpy.run_path(str(ROOT / "custom_ops" / "sources.bzl"))["SIMD_FLAGS"]
    command = ["g++", further, *flags[name], "-dM", "-E", "-x", "c++", "/dev/null"]
    macros = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {each for each in ("AVX2", "AVX512F") if f"__{each}__" in macros} == has
