import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from ratm_tf.datasets import builders

NAMES = {
    "ratm_bouncing_balls": builders.BouncingBalls,
    "ratm_kth": builders.KTH,
    "ratm_moving_mnist": builders.MovingMNIST,
    "ratm_people": builders.People,
}


def test_builders_stand_beside_those_of_tfds():
    for name, builder in NAMES.items():
        assert tfds.builder_cls(name) is builder
    assert list(builders.MovingMNIST.builder_configs) == ["one_digit", "two_digits"]
    assert tfds.builder_cls("moving_mnist") is not builders.MovingMNIST


def test_tfds_keeps_what_it_had():
    program = """
import tensorflow_datasets as tfds
before = set(tfds.list_builders())
moving_mnist = tfds.builder_cls("moving_mnist")
import ratm_tf.datasets.builders
assert moving_mnist is tfds.builder_cls("moving_mnist")
assert before <= set(tfds.list_builders())
print(*sorted(set(tfds.list_builders()) - before))
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == sorted(NAMES)


@pytest.mark.parametrize("name", ["bouncing_balls", "kth", "people"])
def test_old_names_warn_once(name):
    with pytest.warns(DeprecationWarning, match=f"Use 'ratm_{name}'") as caught:
        builder = tfds.builder_cls(name)
    assert builder is NAMES[f"ratm_{name}"] and len(caught) == 1
