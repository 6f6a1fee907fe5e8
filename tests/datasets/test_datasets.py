import subprocess
import sys

import pytest

import ratm_tf
from ratm_tf import datasets

# Without what `ratm_tf` itself loads, and with OpenCV and TFDS broken.
PROGRAM = """
import sys, types

package = sys.modules["ratm_tf"] = types.ModuleType("ratm_tf")
package.__path__ = [sys.argv[1]]
sys.modules |= {"cv2": None, "tensorflow_datasets": None}
import ratm_tf.datasets.bouncing_balls, ratm_tf.datasets.moving_mnist
import ratm_tf.datasets.people, ratm_tf.datasets.kth, ratm_tf.datasets.otb
print(*{"h5py", "keras", "numpy", "tensorflow"} & set(sys.modules))
ratm_tf.datasets.bouncing_balls_sequences, ratm_tf.datasets.moving_mnist_sequences
ratm_tf.datasets.load_digits, ratm_tf.datasets.random_parts
"""


def test_nothing_is_loaded_before_it_is_used():
    command = [sys.executable, "-c", PROGRAM, *ratm_tf.__path__]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"


def test_names_are_listed_and_are_what_they_say():
    assert sorted(dir(datasets)) == sorted(datasets.__all__)
    for name in datasets.__all__:
        assert getattr(datasets, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'imagenet'"):
        _ = datasets.imagenet
