"""A model's folder, of which anything may become."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec

from ratm_tf import serving
from ratm_tf.serving.server import served_model

SPEC = ModelSpec(name="numbers")


def save(folder, number):
    """Writes a model that says its number, which it keeps in a variable."""
    module = tf.Module()
    module.number = tf.Variable(float(number))
    module.call = tf.function(
        lambda x: {"y": x + module.number}, [tf.TensorSpec([None], tf.float32, "x")]
    )
    tf.saved_model.save(module, folder, module.call)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Whole versions by number, to copy from."""
    folder = tmp_path_factory.mktemp("saved")
    return {number: save(folder / str(number), number) for number in (1, 2, 3)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "numbers").mkdir()
    return tmp_path / "numbers"


@pytest.fixture
def model(folder):
    return serving.ServedModel(folder)


def number_of(model):
    outputs = model.version(SPEC).run("serving_default", {"x": np.float32([0])})
    return outputs["y"][0]


def states(model):
    return {
        status.version: (status.State.Name(status.state), status.status.error_message)
        for status in model.status(SPEC).model_version_status
    }


@pytest.mark.parametrize(
    "late",
    [
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "saved_model.pb",
    ],
)
@pytest.mark.parametrize("cut", [0, 20, None])
def test_a_version_that_comes_file_by_file(late, cut, saved, folder, model):
    """One file is short, or missing, when the version is first seen."""
    shutil.copytree(saved[1], folder / "1")
    content = (folder / "1" / late).read_bytes()
    times = os.stat(folder / "1" / late)
    if cut is None:
        (folder / "1" / late).unlink()
    else:
        (folder / "1" / late).write_bytes(content[:cut])
    for _ in range(3):
        model.refresh()
    assert not model.available
    # As copies do, it keeps the time of the original.
    (folder / "1" / late).write_bytes(content)
    os.utime(folder / "1" / late, ns=(times.st_atime_ns, times.st_mtime_ns))
    for _ in range(2):
        model.refresh()
    assert number_of(model) == 1
    assert states(model) == {1: ("AVAILABLE", "")}


def test_a_version_is_not_tried_while_it_changes(saved, folder, model, monkeypatch):
    tried = []
    load = served_model.ModelVersion
    monkeypatch.setattr(
        served_model,
        "ModelVersion",
        lambda *arguments: tried.append(1) or load(*arguments),
    )
    shutil.copytree(saved[1], folder / "1")
    data = folder / "1" / "variables" / "variables.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(b"")
    model.refresh()
    assert len(tried) == 1
    for size in range(5):
        data.write_bytes(content[:size])
        model.refresh()
    assert len(tried) == 1
    data.write_bytes(content)
    model.refresh()
    model.refresh()
    assert len(tried) == 2 and number_of(model) == 1


def test_what_does_not_load_is_tried_again_though_it_is_the_same(
    saved, folder, model, monkeypatch
):
    """The fault may be elsewhere, such as in too little memory."""
    shutil.copytree(saved[1], folder / "1")
    with monkeypatch.context() as patched:
        patched.setattr(served_model, "ModelVersion", lambda *_: 1 / 0)
        model.refresh()
    model.refresh()
    assert not model.available and "zero" in states(model)[1][1]
    monkeypatch.setattr(served_model, "RETRY_SECONDS", 0.0)
    model.refresh()
    assert number_of(model) == 1


def test_the_newest_is_broken_at_the_start(saved, folder, model):
    for number in (1, 2):
        shutil.copytree(saved[number], folder / str(number))
    (folder / "3").mkdir()
    (folder / "3" / "saved_model.pb").write_bytes(b"broken")
    model.refresh()
    assert number_of(model) == 2
    assert states(model)[2][0] == "AVAILABLE" and states(model)[3][0] == "END"
    assert 1 not in states(model)


def test_one_between_a_broken_one_and_that_in_use(saved, folder, model):
    shutil.copytree(saved[1], folder / "1")
    model.refresh()
    (folder / "3").mkdir()
    (folder / "3" / "saved_model.pb").write_bytes(b"broken")
    model.refresh()
    assert number_of(model) == 1
    shutil.copytree(saved[2], folder / "2")
    model.refresh()
    assert number_of(model) == 2
    shutil.rmtree(folder / "3")
    shutil.copytree(saved[3], folder / "3")
    for _ in range(2):
        model.refresh()
    assert number_of(model) == 3
    assert {n: state for n, (state, _) in states(model).items()} == {
        1: "END",
        2: "END",
        3: "AVAILABLE",
    }


def test_folders_that_are_no_versions(saved, folder, model):
    shutil.copytree(saved[1], folder / "1")
    for name in ("9" * 20, "²", "v3", ".export-x", "4"):
        (folder / name).mkdir()
    (folder / ("9" * 20) / "saved_model.pb").touch()
    (folder / "5").touch()
    (folder / "6").mkdir()
    (folder / "6" / "saved_model.pb").mkdir()
    (folder / "7").symlink_to(folder / "7")
    model.refresh()
    assert number_of(model) == 1 and states(model).keys() == {1}


def test_which_requests_it_answers(saved, folder, model):
    with pytest.raises(tf.errors.NotFoundError, match=r"Latest\(numbers\)"):
        model.version(SPEC)
    shutil.copytree(saved[1], folder / "1")
    model.refresh()
    for wrong, error in (
        (ModelSpec(), tf.errors.InvalidArgumentError),
        (ModelSpec(name="cats"), tf.errors.NotFoundError),
        (ModelSpec(name="numbers", version={"value": 2}), tf.errors.NotFoundError),
        (
            ModelSpec(name="numbers", version_label="stable"),
            tf.errors.InvalidArgumentError,
        ),
    ):
        for ask in (model.version, model.status, model.metadata):
            with pytest.raises(error):
                ask(wrong)
    one = ModelSpec(name="numbers", version={"value": 1})
    assert model.version(one).number == 1
    assert model.metadata(one).model_spec.version.value == 1
