import pathlib

import pytest

import ratm_tf
from ratm_tf.datasets import moving_mnist

SAMPLE = pathlib.Path(ratm_tf.datasets.__file__).with_name("mnist_sample.npz")


def test_moving_mnist_passes_the_paper():
    """Table 1 has 63.53 over 30 frames."""
    test = moving_mnist(
        "test", num_frames=30, batch_size=50, num_sequences=200, mnist_path=SAMPLE
    )
    tracker = ratm_tf.load_pretrained("moving_mnist")
    metrics = ratm_tf.evaluate(tracker, test, [(1, 30)], verbose=0)
    assert metrics["corner_iou_1_30"] > 0.75


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_cnn.*moving_mnist.*nobody"):
        ratm_tf.load_pretrained("nobody")
