import json
import os
import pathlib
import shutil

import pytest
import tensorflow as tf

from ratm_tf import build


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A tiny op's sources, and a cache of their own."""
    folder = tmp_path / "checkout" / "custom_ops"
    folder.mkdir(parents=True)
    lists = {
        "FLAGS": ["-O0"],
        "HOST_FLAGS": [],
        "SOURCES": ["custom_ops/one.cc", "custom_ops/two.cc"],
        "SIMD_SOURCE": "custom_ops/simd.cc",
        "SIMD_FLAGS": {"generic": [], "avx2": ["-mavx2"]},
    }
    text = "\n".join(f"{name} = {value!r}" for name, value in lists.items())
    (folder / "sources.bzl").write_text(text)
    (folder / "shared.h").write_text("int shared();\n")
    include = '#include "custom_ops/shared.h"\n'
    for name in ("one", "two"):
        (folder / f"{name}.cc").write_text(f"{include}int {name}() {{ return 1; }}\n")
    simd = "#define NAME(x) simd_##x\n#define OF(x) NAME(x)\n"
    simd += "int OF(RATM_SIMD)() { return 1; }\n"
    (folder / "simd.cc").write_text(include + simd)
    monkeypatch.setattr(build, "SOURCES", folder.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RATM_TF_CUDA", "0")
    monkeypatch.setenv("CXXFLAGS", "")
    return folder


@pytest.fixture
def compilations(monkeypatch):
    """What has been compiled since the list was last cleared."""
    sources = []
    run = build._run

    def watched(command, log):
        if "-c" in command:
            sources.append(pathlib.Path(command[command.index("-c") + 1]).name)
        return run(command, log)

    monkeypatch.setattr(build, "_run", watched)
    return sources


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")


@needs_compiler
def test_compiles_what_changed_alone(sources, compilations, tmp_path, monkeypatch):
    lines = []
    target = tmp_path / "new" / "ops.so"

    def compiled():
        compilations.clear()
        version = build.build(target, lines.append)
        assert version == tf.__version__ and target.stat().st_size > 0
        return sorted(compilations)

    everything = ["one.cc", "simd.cc", "two.cc"]
    if os.uname().machine == "x86_64":
        everything.insert(1, "simd.cc")
    assert compiled() == everything
    count = len(everything)
    assert [line.split()[0] for line in lines] == [
        f"[{number}/{count}]" for number in range(1, count + 1)
    ]
    record = json.loads(target.with_suffix(".json").read_text())
    assert record["tensorflow"] == tf.__version__ and record["nvcc"] is None
    (sources / "tests").mkdir()
    (sources / "tests" / "cases.h").write_text("int cases();\n")
    assert compiled() == []
    with (sources / "two.cc").open("a") as file:
        file.write("int three() { return 3; }\n")
    assert compiled() == ["two.cc"]
    (sources / "shared.h").write_text("int other();\n")
    assert compiled() == everything
    monkeypatch.setenv("CXXFLAGS", "-Wall")
    assert compiled() == everything
    monkeypatch.setenv("CXXFLAGS", "")
    assert compiled() == []


@needs_compiler
def test_what_the_compiler_says_is_shown(sources, tmp_path):
    (sources / "one.cc").write_text("#error it is wrong\n")
    lines = []
    with pytest.raises(RuntimeError, match="compiler failed"):
        build.build(tmp_path / "ops.so", lines.append)
    assert any("it is wrong" in line for line in lines)
    assert not list(tmp_path.glob("ops.*"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CXX": "no-such-compiler"}, "no-such-compiler"),
        (
            {"RATM_TF_CUDA": "1", "CUDA_HOME": "/nowhere", "NVCC": ""},
            "there is no nvcc",
        ),
    ],
)
def test_what_is_missing_is_named(sources, tmp_path, monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: name != "nvcc" and which(name))
    if "CXX" not in environment:
        monkeypatch.setenv("CXX", "true")
    with pytest.raises(RuntimeError, match=message):
        build.build(tmp_path / "ops.so")


def test_without_tensorflow_it_says_so(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "find_tensorflow", lambda: None)
    with pytest.raises(RuntimeError, match="no TensorFlow"):
        build.build(tmp_path / "ops.so")


def test_finds_the_tensorflow_that_python_would_import():
    folder, version = build.find_tensorflow()
    assert folder == pathlib.Path(tf.__file__).parent
    assert version == tf.__version__


def test_compiles_as_tensorflow_asks():
    folder, _ = build.find_tensorflow()
    asked = set(tf.sysconfig.get_compile_flags())
    asked -= {f"-I{folder / 'include'}", "--std=c++17"}
    assert asked == set(build.TENSORFLOW_FLAGS)
