import pathlib

import pytest

import ratm_tf
from ratm_tf.datasets import moving_mnist

SAMPLE = pathlib.Path(ratm_tf.datasets.__file__).with_name("mnist_sample.npz")


@pytest.mark.parametrize(
    ("name", "num_digits", "least"),
    [("moving_mnist", 1, 0.75), ("moving_mnist_two_digits", 2, 0.69)],
)
def test_moving_mnist_passes_the_paper(name, num_digits, least):
    """Table 1 has 63.53 over 30 frames, and 51.62 with two digits."""
    test = moving_mnist(
        "test",
        num_frames=30,
        num_digits=num_digits,
        batch_size=50,
        num_sequences=200,
        mnist_path=SAMPLE,
    )
    tracker = ratm_tf.load_pretrained(name)
    metrics = ratm_tf.evaluate(tracker, test, [(1, 30)], verbose=0)
    assert metrics["corner_iou_1_30"] > least


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_cnn.*moving_mnist.*nobody"):
        ratm_tf.load_pretrained("nobody")
