"""Wheel and sdist hold what they should, with the op and without."""

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
    *(".git", ".venv*", ".*_cache", "build", "dist", "site", "runs", "serving", "data"),
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
    """Builds a wheel of a copy; returns the process that did."""
    copy = folder / "source"
    shutil.copytree(source, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, "-v"]
    return subprocess.run(
        [*command, "--no-build-isolation", copy],
        env=os.environ | {"RATM_TF_CUDA": "0"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_wheel_with_the_op(source, tmp_path):
    result = build_wheel(source, tmp_path, RATM_TF_REQUIRE_FUSED="1")
    assert result.returncode == 0, result.stdout
    (path,) = tmp_path.glob("*-py3-none-*.whl")
    assert not path.stem.endswith("any")
    wheel = zipfile.ZipFile(path)
    assert "ratm_tf/attention/_gaussian_glimpse_ops.so" in wheel.namelist()
    record = json.loads(wheel.read("ratm_tf/attention/_gaussian_glimpse_ops.json"))
    assert record["sources"] == build_record.hash_of_sources(ROOT)
    assert record["tensorflow"] == metadata.version("tensorflow")
    assert "generic" in record["instruction_sets"]
    assert record["gpu_architectures"] == [] and record["nvcc"] is None


def test_wheel_without_the_op(source, tmp_path):
    result = build_wheel(
        source,
        tmp_path,
        RATM_TF_REQUIRE_FUSED="0",
        RATM_TF_HOME_PAGE="https://example.org/ratm/",
    )
    assert result.returncode == 0, result.stdout
    (path,) = tmp_path.glob("*-py3-none-any.whl")
    wheel = zipfile.ZipFile(path)
    names = wheel.namelist()
    assert not [name for name in names if "_gaussian_glimpse_ops." in name]
    assert "ratm_tf/attention/filterbank.py" in names
    assert "ratm_tf/pretrained/moving_mnist.keras" in names
    assert "ratm_tf/py.typed" in names
    (described,) = [name for name in names if name.endswith("/METADATA")]
    readme = wheel.read(described).decode()
    assert "](https://example.org/ratm/docs/film_strip.png)" in readme
    assert not re.search(r"\]\((?!https://)", readme)
    for sample in ("mnist_sample.npz", "mnist_sample.md", "LICENSE", "NOTICE"):
        assert [name for name in names if name.endswith(f"/{sample}")], sample
    (scripts,) = [name for name in names if name.endswith("/entry_points.txt")]
    assert "ratm-tf = ratm_tf.cli.main:main" in wheel.read(scripts).decode()
    packaged = {path.parts[0] for path in map(pathlib.PurePosixPath, names)}
    assert {name for name in packaged if not name.endswith(".dist-info")} == {"ratm_tf"}
    tests = re.compile(
        r"(^|/)(tests|dummy_data|conftest\.py|\w+_test\.py|test_\w+\.py)"
    )
    assert not list(filter(tests.search, names))
    # What `ratm-tf build` needs.
    wheel.extractall(tmp_path / "site")
    sources = tmp_path / "site" / "ratm_tf"
    assert build_record.hash_of_sources(sources) == build_record.hash_of_sources(ROOT)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"CXX": "no-such-compiler"}, "no C++ compiler no-such-compiler"),
        (
            {
                "RATM_TF_CUDA": "1",
                "CUDA_HOME": "/nonexistent",
                "CXX": sys.executable,
                "PATH": str(pathlib.Path(sys.executable).parent),
            },
            "there is no nvcc",
        ),
    ],
)
def test_an_op_that_is_required_and_cannot_be_built(
    source, tmp_path, environment, reason
):
    result = build_wheel(source, tmp_path, RATM_TF_REQUIRE_FUSED="1", **environment)
    assert result.returncode != 0 and reason in result.stdout


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
    files = {"BUILD", "WORKSPACE", "conftest.py", "pyproject.toml", "setup.py"}
    assert files | {"LICENSE", "NOTICE", "CITATION.cff", "CHANGELOG.md"} <= names
    assert not [name for name in names if "_gaussian_glimpse_ops." in name]


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_other_pythons_are_told_which_are_supported(version):
    assert 'requires-python = ">=3.10,<3.14"' in (ROOT / "pyproject.toml").read_text()
    code = f"""
import runpy, setuptools, sys
sys.version_info = {(*version, 0)}
runpy.run_path("setup.py")
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "needs Python 3.10-3.13" in result.stderr.splitlines()[0]
