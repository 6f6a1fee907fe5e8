"""Wheel and sdist hold what they should, with compilers and without."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata

import pytest

from ratm_tf.attention import build_record

ROOT = pathlib.Path(__file__).parents[1]


# What is built and run here: never what a package holds.
IGNORED = shutil.ignore_patterns(
    *("_gaussian_glimpse_ops.*", "__pycache__", "*.egg-info"),
    *(".git", ".venv*", ".*_cache", "build", "dist", "runs", "serving", "data"),
)
README_NAMES = re.compile(r"(?:custom_ops|docs|experiments|ratm_tf|tests)/[\w/.-]*\w")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the files as a fresh clone has them."""
    source = tmp_path_factory.mktemp("clone")
    for name in (".ci", "custom_ops", "docs", "experiments", "ratm_tf", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=IGNORED)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, source)
    return source


def build_wheel(source, folder, **environment):
    copy = folder / "source"
    shutil.copytree(source, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, "-v"]
    result = subprocess.run(
        [*command, "--no-build-isolation", copy],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel), result.stdout + result.stderr


@pytest.mark.slow
def test_wheel_with_a_compiler(source, tmp_path):
    wheel, _ = build_wheel(
        source, tmp_path, RATM_TF_REQUIRE_FUSED="1", RATM_TF_CUDA="0"
    )
    names = wheel.namelist()
    assert "ratm_tf/attention/_gaussian_glimpse_ops.so" in names
    assert "ratm_tf/pretrained/moving_mnist.keras" in names
    for sample in ("mnist_sample.npz", "mnist_sample.md"):
        assert [name for name in names if name.endswith(f"/{sample}")], sample
    record = json.loads(wheel.read("ratm_tf/attention/_gaussian_glimpse_ops.json"))
    assert record["sources"] == build_record.hash_of_sources(ROOT)
    assert record["tensorflow"] == metadata.version("tensorflow")
    assert "generic" in record["instruction_sets"]
    assert record["gpu_architectures"] == [] and record["nvcc"] is None
    packaged = {path.parts[0] for path in map(pathlib.PurePosixPath, names)}
    assert {name for name in packaged if not name.endswith(".dist-info")} == {"ratm_tf"}
    tests = re.compile(
        r"(^|/)(tests|dummy_data|conftest\.py|\w+_test\.py|test_\w+\.py)"
    )
    assert not list(filter(tests.search, names))


@pytest.mark.slow
def test_sdist_holds_what_the_readme_runs_and_shows(source, tmp_path):
    program = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    names = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
    for folder in (".ci", "custom_ops", "docs", "experiments", "tests"):
        for path in (source / folder).rglob("*"):
            if path.is_file():
                assert path.relative_to(source).as_posix() in names
    for name in README_NAMES.findall((source / "README.md").read_text()):
        if (source / name).is_file():
            assert name in names
    for name in ("BUILD", "WORKSPACE", "conftest.py", "pyproject.toml", "setup.py"):
        assert name in names
    assert not [name for name in names if "_gaussian_glimpse_ops." in name]


@pytest.mark.slow
def test_wheel_without_a_compiler(source, tmp_path):
    wheel, output = build_wheel(
        source,
        tmp_path,
        CXX="no-such-compiler",
        RATM_TF_CUDA="0",
        RATM_TF_REQUIRE_FUSED="0",
    )
    names = wheel.namelist()
    assert not [name for name in names if "_gaussian_glimpse_ops." in name]
    assert "ratm_tf/attention/filterbank.py" in names
    assert "the fused Gaussian glimpse was not built" in output


@pytest.mark.slow
def test_wheel_that_lacks_a_cuda_compiler_it_was_asked_for(source, tmp_path):
    wheel, output = build_wheel(
        source,
        tmp_path,
        CUDA_HOME="/nonexistent",
        PATH=str(pathlib.Path(sys.executable).parent),
        RATM_TF_CUDA="1",
        RATM_TF_REQUIRE_FUSED="0",
    )
    names = wheel.namelist()
    assert not [name for name in names if "_gaussian_glimpse_ops." in name]
    assert "there is no nvcc" in output
