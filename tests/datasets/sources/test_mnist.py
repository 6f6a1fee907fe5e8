import inspect
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ratm_tf.datasets import load_digits
from ratm_tf.datasets.sources import mnist
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH

LOAD = """
from absl import app
from ratm_tf.datasets import load_digits

def main(_):
    for split in ("train", "test"):
        digits = load_digits(split, fallback=FALLBACK)
        images, labels = digits
        print(images.shape, images.dtype, labels.dtype, labels[:3], digits.source)

app.run(main)
"""

PREPARE = """
import tensorflow_datasets as tfds

with tfds.core.registered.skip_registration():

    class Mnist(tfds.testing.DummyMnist):
        VERSION = tfds.core.Version("3.0.1")

Mnist().download_and_prepare()
"""


def run_offline(program, tmp_path, check=True):
    """Runs a program with no network and its own Keras and TFDS folders."""
    folders = {"KERAS_HOME": "keras", "TFDS_DATA_DIR": "tfds"}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {name: str(tmp_path / folder) for name, folder in folders.items()}
        | {"https_proxy": "http://127.0.0.1:9", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=60,
        check=check,
    )


def test_sample_is_balanced_and_shared_out_by_split():
    sizes = {"train": 5000, "test": 1000}
    digits = {}
    for split, size in sizes.items():
        images, labels = load_digits(split, SAMPLE_PATH)
        assert images.shape == (size, 28, 28) and images.dtype == np.uint8
        assert labels.shape == (size,) and labels.dtype == np.int64
        np.testing.assert_array_equal(np.bincount(labels), [size // 10] * 10)
        digits[split] = {image.tobytes() for image in images}
        assert len(digits[split]) == size
    assert not digits["train"] & digits["test"]
    assert SAMPLE_PATH.stat().st_size < 1_500_000


def test_offline_falls_back_to_the_sample_and_warns_once(tmp_path):
    result = run_offline("FALLBACK = True" + LOAD, tmp_path)
    assert result.stdout == (
        "(5000, 28, 28) uint8 int64 [5 0 4] the packaged sample\n"
        "(1000, 28, 28) uint8 int64 [7 2 1] the packaged sample\n"
    )
    told = [line for line in result.stderr.splitlines() if "MNIST" in line]
    assert [line[0] for line in told] == ["W", "I", "I"]
    assert "taking 6,000 digits of it, the sample" in told[0]
    assert "MNIST train: 5000 digits from the packaged sample" in told[1]
    assert "MNIST test: 1000 digits from the packaged sample" in told[2]
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "keras" / "datasets").iterdir())


def test_offline_is_an_error_that_says_what_failed_and_how_to_fall_back(tmp_path):
    result = run_offline("FALLBACK = False" + LOAD, tmp_path, check=False)
    assert result.returncode != 0 and result.stdout == ""
    error = result.stderr.splitlines()[-1]
    assert error.startswith("OSError: Expected to get MNIST. Received: URLError(")
    assert "Connection refused" in error and str(tmp_path / "tfds" / "mnist") in error
    assert "pass `fallback=True`" in error


def test_offline_prefers_what_tfds_has_prepared(tmp_path):
    result = run_offline("FALLBACK = True" + PREPARE + LOAD, tmp_path)
    assert result.stdout.count("(20, 28, 28) uint8 int64") == 2
    prepared = tmp_path / "tfds" / "mnist" / "3.0.1"
    assert result.stdout.count(f" {prepared}\n") == 2
    assert f"MNIST train: 20 digits from {prepared}" in result.stderr
    assert "sample" not in result.stderr


@pytest.fixture
def downloads(monkeypatch):
    """What is downloaded is the sample; the list tells with which arguments."""
    calls = []
    monkeypatch.setattr(mnist, "download", lambda *a: calls.append(a) or SAMPLE_PATH)
    return calls


def test_without_a_path_digits_are_those_that_keras_downloads(downloads):
    for split in "train", "test":
        digits, expected = load_digits(split), load_digits(split, SAMPLE_PATH)
        assert digits.source == "keras.datasets.mnist"
        assert expected.source == str(SAMPLE_PATH)
        np.testing.assert_array_equal(digits.images, expected.images)
        np.testing.assert_array_equal(digits.labels, expected.labels)
    assert downloads == [(mnist.URL, "mnist.npz", mnist.SHA256)] * 2


def test_the_file_is_the_one_that_keras_knows():
    source = inspect.getsource(keras.datasets.mnist.load_data)
    folder, _, name = mnist.URL.rpartition("/")
    for expected in mnist.SHA256, f'"{folder}/"', name:
        assert expected in source


def test_unknown_split():
    with pytest.raises(ValueError, match="`split` to be .* Received: 'validation'"):
        load_digits("validation")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.npz, which is missing"):
        load_digits("train", tmp_path / "nothing.npz", fallback=True)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x_train": np.zeros([2, 28, 28], np.uint8)},
            "to hold y_train. Received: x_train",
        ),
        (
            {"x_train": np.zeros([2, 784], np.uint8), "y_train": np.zeros(2)},
            r"x_train .* Received: uint8 of shape \[2, 784\]",
        ),
        (
            {"x_train": np.zeros([2, 28, 28]), "y_train": np.zeros(2)},
            "x_train .* Received: float64",
        ),
        (
            {"x_train": np.zeros([2, 28, 28], np.uint8), "y_train": np.zeros(3)},
            r"y_train .* of shape \[2\]. Received: float64 of shape \[3\]",
        ),
        (
            {"x_train": np.zeros([0, 28, 28], np.uint8), "y_train": np.zeros(0)},
            r"x_train .* Received: uint8 of shape \[0, 28, 28\]",
        ),
        (
            {"x_train": np.zeros([2, 28, 28], np.uint8), "y_train": np.int8([3, -1])},
            r"y_train .* of 0..9. Received: .*-1.* of digit 1",
        ),
        (
            {"x_train": np.zeros([2, 28, 28], np.uint8), "y_train": np.array([2, 10])},
            r"y_train .* of 0..9. Received: .*10.* of digit 1",
        ),
        (
            {"x_train": np.zeros([2, 28, 28], np.uint8), "y_train": np.array([2.5, 1])},
            r"y_train .* of 0..9. Received: .*2.5.* of digit 0",
        ),
        (
            {"x_train": np.zeros([1, 28, 28], np.uint8), "y_train": np.array(["7"])},
            r"y_train .* to be numbers .* Received: <U1 of shape \[1\]",
        ),
        ({"x_train": np.array([None]), "y_train": np.zeros(1)}, "a whole .npz file"),
    ],
)
def test_wrong_file(tmp_path, arrays, message):
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match=message) as error:
        load_digits("train", tmp_path / "mnist.npz")
    assert str(tmp_path / "mnist.npz") in str(error.value)


def test_damaged_files_are_named(tmp_path):
    path, whole = tmp_path / "mnist.npz", SAMPLE_PATH.read_bytes()
    damaged = [whole[: len(whole) * part // 7] for part in range(7)]
    damaged += [b"text", whole[:99] + bytes(99) + whole[198:]]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"Expected {path} to be a whole .npz"):
            load_digits("train", path)
    np.save(tmp_path / "images.npy", np.zeros([2, 28, 28], np.uint8))
    with pytest.raises(ValueError, match="images.npy to be a whole .npz"):
        load_digits("train", tmp_path / "images.npy")
