"""The house: every test lies where its module does, and no name hides another."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import ratm_tf

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "ratm_tf"
TESTS = ROOT / "tests"
# Of the project as a whole, not of a module.
PROJECT_TESTS = {
    "test_bazel",
    "test_compose",
    "test_conformance",
    "test_docs",
    "test_install",
    "test_layout",
    "test_page",
    "test_own_videos",
    "test_tracking",
}
# Modules that the tests of another use throughout, and tables.
TESTED_ELSEWHERE = {
    "cli/classifier",  # by the programs, as all of cli
    "cli/dataset",
    "cli/recorded",
    "cli/run",
    "cli/training",
    "recipes/__main__",  # by the recipes that it prints
    "recipes/experiment",  # by those that make it
    "pretrained/presets",  # by load_pretrained
    "types",  # by mypy
}


def modules():
    """Paths of the package's modules, without those that only list names."""
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            yield str(path.relative_to(PACKAGE).with_suffix(""))


def test_tests_lie_where_their_modules_do():
    known = set(modules())
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent.relative_to(TESTS)
        name = path.stem.removeprefix("test_")
        if folder.parts[:1] == ("experiments",):
            assert (ROOT / "experiments" / f"{name}.py").exists(), path
        elif folder == pathlib.Path() and path.stem in PROJECT_TESTS:
            continue
        elif name == (folder.name or "ratm_tf"):  # of a package itself
            assert (PACKAGE / folder / "__init__.py").exists(), path
        else:
            assert str(folder / name) in known, path


def test_modules_have_tests_where_they_lie():
    missing = [
        module
        for module in modules()
        if module not in TESTED_ELSEWHERE
        and not module.startswith("cli/programs/")  # by tests/experiments
        and not (TESTS / module).with_name(f"test_{module.split('/')[-1]}.py").exists()
    ]
    assert not missing


@pytest.mark.parametrize(
    "package", sorted({path.parent for path in PACKAGE.rglob("__init__.py")}), ids=str
)
def test_no_name_hides_a_module(package):
    name = ".".join(package.relative_to(ROOT).parts)
    imported = importlib.import_module(name)
    for module in pkgutil.iter_modules([str(package)]):
        if module.name.startswith("_") or name == "ratm_tf.cli.programs":
            continue  # Programs have flags that differ, so one is imported at a time.
        full = f"{name}.{module.name}"
        importlib.import_module(full)
        assert getattr(imported, module.name).__name__ == full


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_the_package_loads_nothing():
    heavy = "tensorflow keras cv2 h5py tensorflow_datasets numpy".split()
    code = f"import ratm_tf, sys; print([m for m in {heavy} if m in sys.modules])"
    assert run(code).strip() == "[]"


def test_every_public_name_is_there():
    for name in ratm_tf.__all__:
        assert getattr(ratm_tf, name) is not None
    assert set(ratm_tf.__all__) <= set(dir(ratm_tf))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ratm_tf.nothing  # noqa: B018


def test_what_is_broken_breaks_only_what_needs_it():
    """Of broken libraries, the rest of the package sees nothing; that says which."""
    code = """
import sys
sys.modules |= dict.fromkeys(["cv2", "tensorflow_datasets", "tensorflow_serving"])
import numpy as np
import ratm_tf
tracker = ratm_tf.load_pretrained("bouncing_balls")
online = ratm_tf.OnlineTracker(tracker)
online.init(np.zeros([20, 20], np.uint8))
frames = next(iter(ratm_tf.datasets.bouncing_balls_sequences("test", num_frames=2)))
print(tracker.predict({"frames": frames["frames"][None]}, verbose=0)["boxes"].shape)
try:
    ratm_tf.visualize.save_image
except ImportError as error:
    print(error)
"""
    printed = run(code)
    assert "(1, 2, 4)\n" in printed
    assert "pip install opencv-python-headless" in printed


@pytest.mark.parametrize("first", ["keras", "ratm_tf"])
def test_keras_loads_trackers_once_the_package_is_there(first):
    """The classes are registered, in whatever order things are imported and used."""
    path = PACKAGE / "pretrained" / "moving_mnist.keras"
    code = f"""
import {first}
import keras, ratm_tf
{"ratm_tf.Tracker" if first == "ratm_tf" else ""}
print(type(keras.saving.load_model({str(path)!r})).__name__)
"""
    assert run(code).strip().endswith("Tracker")


# What each program that is not a benchmark is described by.
PROGRAMS = {
    **{
        f"experiments/{path.name}": f"ratm_tf/cli/programs/{path.name}"
        for path in (PACKAGE / "cli" / "programs").glob("*.py")
        if (ROOT / "experiments" / path.name).exists()
    },
}


def test_programs_are_all_here():
    there = {path.name for path in (ROOT / "experiments").glob("*.py")}
    named = {pathlib.Path(path).name for path in PROGRAMS}
    assert all(name.startswith("benchmark") for name in there - named)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_needs_no_tensorflow(program):
    path, described = ROOT / program, (ROOT / PROGRAMS[program]).read_text()
    code = f"""
import runpy, sys
for name in ("tensorflow", "keras", "cv2"):
    sys.modules[name] = None
sys.argv = [{str(path)!r}, "--help"]
try:
    runpy.run_path({str(path)!r}, run_name="__main__")
except SystemExit:
    pass
"""
    printed = run(code)
    assert "flags:" in printed
    assert ast.get_docstring(ast.parse(described)).partition("\n")[0] in printed


def public_callables():
    """Functions, and methods of classes, of all that the package lists as public."""
    packages = [ratm_tf, *(getattr(ratm_tf, name) for name in ratm_tf.__all__)]
    found = {}
    for package in filter(inspect.ismodule, packages):
        listed = getattr(package, "__all__", None)
        if listed is None:
            own = inspect.getmembers(package, inspect.isfunction)
            listed = [name for name, f in own if f.__module__ == package.__name__]
        for name in listed:
            value = getattr(package, name)
            members = vars(value) if inspect.isclass(value) else {name: value}
            for member, function in members.items():
                function = getattr(function, "fget", None) or function
                function = inspect.unwrap(getattr(function, "__func__", function))
                public = member == "__init__" or not member.startswith("_")
                if public and inspect.isfunction(function):
                    if function.__module__.startswith("ratm_tf."):
                        found[f"{package.__name__}.{name}.{member}"] = function
    return found


def test_what_is_public_is_annotated():
    found = public_callables()
    assert len(found) > 150
    for name, function in found.items():
        parameters = [
            parameter
            for parameter in inspect.signature(function).parameters
            if parameter not in ("self", "cls")
        ]
        missing = {*parameters, "return"} - set(function.__annotations__)
        assert not missing, f"{name}: {missing}"


@pytest.mark.parametrize("package", ["", "datasets", "serving"])
def test_tools_see_what_is_loaded_when_it_is_used(package):
    """`__all__`, the tables of names, and the imports of type checkers agree."""
    path = PACKAGE / package / "__init__.py"
    imported = importlib.import_module(f"ratm_tf.{package}".strip("."))
    [block] = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    seen = {
        name.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert seen == set(imported.__all__)
    if package:
        assert seen == set(imported._HOMES)
    else:
        assert seen == {*ratm_tf._MODULES, *ratm_tf._NAMES}
