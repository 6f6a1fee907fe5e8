"""Both builds are told of every file there is, and of no other."""

import pathlib
import runpy

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
