import os
import subprocess
import sys

import numpy as np
import pytest

from ratm_tf.datasets import load_digits
from ratm_tf.datasets.mnist import SAMPLE_PATH

LOAD = """
from absl import app
from ratm_tf.datasets import load_digits

def main(_):
    for split in ("train", "test"):
        images, labels = load_digits(split)
        print(images.shape, images.dtype, labels.dtype, labels[:3])

app.run(main)
"""

PREPARE = """
import tensorflow_datasets as tfds

with tfds.core.registered.skip_registration():

    class Mnist(tfds.testing.DummyMnist):
        VERSION = tfds.core.Version("3.0.1")

Mnist().download_and_prepare()
"""


def run_offline(program, tmp_path):
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
        check=True,
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


def test_offline_falls_back_to_the_sample_and_says_so_once(tmp_path):
    result = run_offline(LOAD, tmp_path)
    assert result.stdout == (
        "(5000, 28, 28) uint8 int64 [5 0 4]\n(1000, 28, 28) uint8 int64 [7 2 1]\n"
    )
    told = [line for line in result.stderr.splitlines() if "MNIST" in line]
    assert len(told) == 2
    assert "5,000 digits from the packaged sample only" in told[0]
    assert "1,000 digits from the packaged sample only" in told[1]
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "keras" / "datasets").iterdir())


def test_offline_prefers_what_tfds_has_prepared(tmp_path):
    result = run_offline(PREPARE + LOAD, tmp_path)
    assert result.stdout.count("(20, 28, 28) uint8 int64") == 2
    assert "MNIST train: 20 digits from " in result.stderr
    assert "sample" not in result.stderr


def test_unknown_split():
    with pytest.raises(ValueError, match="split must be .* got 'validation'"):
        load_digits("validation")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: .*nothing.npz"):
        load_digits("train", tmp_path / "nothing.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros([2, 28, 28], np.uint8)}, "lacks y_train"),
        (
            {"x_train": np.zeros([2, 784], np.uint8), "y_train": np.zeros(2)},
            r"x_train .* got uint8 of shape \[2, 784\]",
        ),
        (
            {"x_train": np.zeros([2, 28, 28]), "y_train": np.zeros(2)},
            "x_train .* got float64",
        ),
        (
            {"x_train": np.zeros([2, 28, 28], np.uint8), "y_train": np.zeros(3)},
            r"y_train .* must have shape \[2\], got \[3\]",
        ),
    ],
)
def test_wrong_file(tmp_path, arrays, message):
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_digits("train", tmp_path / "mnist.npz")
