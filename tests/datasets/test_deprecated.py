import subprocess
import sys
import types

import numpy as np
import pytest

import ratm_tf
from tests.datasets.kth.clips import DUMMY


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bouncing_balls", {"num_frames": 2}),
        ("kth", {"data_dir": DUMMY, "test_subject": 1, "num_frames": 2}),
    ],
)
def test_a_folder_answers_the_calls_of_its_function_with_one_warning(name, arguments):
    folder = getattr(ratm_tf.datasets, name)
    assert isinstance(folder, types.ModuleType)
    with pytest.warns(DeprecationWarning, match=f"Use `.*{name}_sequences") as caught:
        old = folder("test", num_sequences=1, **arguments)
    assert len(caught) == 1 and caught[0].filename == __file__
    function = getattr(ratm_tf.datasets, f"{name}_sequences")
    new = function("test", num_sequences=1, **arguments)
    [(ours, theirs)] = zip(old, new, strict=True)
    np.testing.assert_array_equal(ours["frames"], theirs["frames"])


@pytest.mark.parametrize("name", ["moving_mnist", "otb", "people"])
def test_the_others_answer_too(name):
    folder = getattr(ratm_tf.datasets, name)
    with pytest.warns(DeprecationWarning, match=f"Use `.*{name}_sequences"):
        with pytest.raises(TypeError, match=f"{name}_sequences"):
            folder()


def test_whatever_is_imported_first_a_folder_is_a_folder():
    program = """
import types
from ratm_tf.datasets.kth.sequences import kth_sequences
from ratm_tf.datasets import kth, otb_sequences
import ratm_tf.datasets.otb.sequences
assert isinstance(kth, types.ModuleType)
assert ratm_tf.datasets.kth_sequences is kth_sequences is kth.sequences.kth_sequences
assert ratm_tf.datasets.otb_sequences is otb_sequences
assert isinstance(ratm_tf.datasets.otb, types.ModuleType)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
