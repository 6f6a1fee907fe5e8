"""How the op library loads and fails to, each in a process of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest
import tensorflow as tf

from ratm_tf.attention import build_record, library
from tests import programs

PRELUDE = """
import pathlib
import tensorflow as tf
from ratm_tf.attention import library
from ratm_tf.attention.functional import gaussian_glimpse

def read(implementation="auto"):
    gaussian_glimpse(tf.ones([1, 4, 4, 1]), tf.ones([1, 6]), (2, 2), implementation)
"""


def run(program, cwd=None, **environment):
    """Runs a program after the prelude; returns what it wrote to either stream."""
    program = PRELUDE + textwrap.dedent(program)
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    if cwd is None:
        result = programs.run_code(program, **environment)
    else:  # There is another package.
        result = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            cwd=cwd,
        )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


FROM_PACKAGE = pathlib.Path("ratm_tf", "attention", library.PATH.name)
REBUILD = "`ratm-tf build` with a C++ compiler builds it"
# How to damage it, the reason given, and the advice.
BREAK = {
    "missing": (
        "library.PATH = pathlib.Path('/nowhere/ops.so')",
        "does not exist",
        REBUILD,
    ),
    "corrupt": (
        "library.PATH = pathlib.Path(library.__file__)",
        "does not load",
        REBUILD,
    ),
    "another release": (
        "tf.__version__ = '2.20.0'",
        "this is TensorFlow 2.20.0",
        REBUILD,
    ),
}


@pytest.mark.parametrize("how", BREAK)
def test_failure_falls_back_with_one_warning(how):
    damage, reason, hint = BREAK[how]
    output = run(
        f"""
        {damage}
        read()
        read()
        assert {reason!r} in library.unavailable_reason()
        try:
            read("fused")
        except RuntimeError as error:
            assert {reason!r} in str(error) and {hint!r} in str(error)
        else:
            raise AssertionError("fused ran")
        """,
        RATM_TF_PY_OPS="0",
    )
    assert output.count("RuntimeWarning") == 1
    assert output.count(hint) == 1


def test_where_there_is_none_it_is_built_once(fused, tmp_path):
    """By a copy of the package, as pip leaves it: without the library."""
    root = pathlib.Path(library.__file__).parents[2]
    built = shutil.ignore_patterns("_gaussian_glimpse_ops.*", "__pycache__", "*.keras")
    for folder in ("ratm_tf", "custom_ops"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=built)
    there = {"cwd": tmp_path, "PYTHONPATH": str(tmp_path), "RATM_TF_PY_OPS": "0"}
    output = run("read()", **there, CXX="no-such-compiler")
    assert output.count("there is no C++ compiler no-such-compiler") == 1
    programs = ['read("fused")', 'read("fused")']
    outputs = [run(program, **there) for program in programs]
    assert ["Building the fused" in output for output in outputs] == [True, False]
    record = json.loads(build_record.path_of(tmp_path / FROM_PACKAGE).read_text())
    assert record["tensorflow"] == tf.__version__


def test_a_library_older_than_its_sources_is_told_of_once(fused, tmp_path):
    output = run(
        f"""
        import shutil
        from ratm_tf.attention import build_record
        folder = pathlib.Path({str(tmp_path)!r})
        (folder / "custom_ops").mkdir()
        shutil.copy(library.PATH, folder / "ops.so")
        build_record.write(folder / "ops.so", folder, tensorflow=tf.__version__)
        (folder / "custom_ops" / "new.h").write_text("int x;")
        library.PATH, library.SOURCES = folder / "ops.so", folder
        read("fused")
        read("fused")
        """,
        RATM_TF_PY_OPS="0",
    )
    assert output.count("RuntimeWarning") == 1
    assert "built from other sources than those of custom_ops" in output


@pytest.mark.parametrize("value", ["1", "true"])
def test_environment_switches_the_fused_op_off_silently(value):
    output = run(
        f"""
        read("fused")
        assert "RATM_TF_PY_OPS={value}" in library.unavailable_reason()
        assert library._load.cache_info().currsize == 0
        """,
        RATM_TF_PY_OPS=value,
    )
    assert "RuntimeWarning" not in output


@pytest.mark.parametrize(
    "value,off",
    [("1", True), ("True", True), ("yes", True)]
    + [(value, False) for value in ("", "0", "false", "FALSE", " 0 ")],
)
def test_values_that_switch_the_fused_op_off(monkeypatch, value, off):
    monkeypatch.setenv("RATM_TF_PY_OPS", value)
    assert library.switched_off() == off


@pytest.mark.parametrize("how", ["load_op_library", "load_library"])
@pytest.mark.parametrize("which", ["the same", "a copy"])
def test_a_library_that_someone_else_loaded(fused, tmp_path, which, how):
    output = run(
        f"""
        import shutil
        path = library.PATH
        if {which!r} == "a copy":
            path = shutil.copy(path, {str(tmp_path / "ops.so")!r})
        tf.{how}(str(path))
        if ({which!r}, {how!r}) == ("a copy", "load_library"):
            assert "another copy" in library.unavailable_reason()
        else:
            read("fused")
        read()
        print("done")
        """,
        RATM_TF_PY_OPS="0",
    )
    assert "done" in output


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_that_ends_is_an_error(fused):
    output = run(
        """
        import resource
        read("fused")
        images = tf.random.stateless_uniform([1, 1, 300_000, 1], (1, 2))
        window = tf.constant([[15e4, 0, 1e6, 1, 1, 1]])

        def large():
            return gaussian_glimpse(images, window, (1, 3000), "fused")

        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (1 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for call in (large, tf.function(large)):
            try:
                call()
            except tf.errors.ResourceExhaustedError:
                print("exhausted")
        read("fused")
        """,
        RATM_TF_PY_OPS="0",
    )
    assert output.count("exhausted\n") == 2


def test_results_do_not_depend_on_thread_counts(fused):
    program = """
    import hashlib
    tf.config.threading.set_intra_op_parallelism_threads({threads})
    tf.random.set_seed(1)
    images = tf.random.stateless_uniform([3, 300, 400, 3], (1, 2))
    window = tf.constant([[[200.0, 150, 9, 8, 12, 9], [90, 80, 2, 3, 4, 5]]] * 3)
    with tf.GradientTape() as tape:
        tape.watch([images, window])
        glimpses = gaussian_glimpse(images, window, (40, 30), "fused")
        loss = tf.reduce_sum(glimpses ** 2)
    digest = hashlib.sha256(glimpses.numpy().tobytes())
    for gradient in tape.gradient(loss, [images, window]):
        digest.update(gradient.numpy().tobytes())
    print("digest", digest.hexdigest())
    """
    digests = set()
    for threads in (1, 2, 7):
        output = run(program.format(threads=threads))
        digests |= {line for line in output.splitlines() if line.startswith("digest")}
    assert len(digests) == 1
