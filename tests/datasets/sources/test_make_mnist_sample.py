import numpy as np

from ratm_tf.datasets import load_digits
from ratm_tf.datasets.sources.make_mnist_sample import pick
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def test_digits_are_picked_evenly_and_keep_their_order():
    labels = np.random.default_rng(0).integers(0, 10, 3000)
    numbers = np.arange(3000)
    picked, classes = pick(numbers, labels, per_class=20)
    assert np.all(np.diff(picked) > 0) and classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, labels[picked])
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        chosen = picked[classes == digit]
        assert len(chosen) == 20 and {members[0], members[-1]} <= set(chosen)
        gaps = np.diff(np.searchsorted(members, chosen))
        assert gaps.max() - gaps.min() <= 1


def test_the_sample_is_such_a_choice():
    for split, per_class in (("train", 500), ("test", 100)):
        images, labels = load_digits(split, SAMPLE_PATH)
        picked, classes = pick(images, labels, per_class)
        np.testing.assert_array_equal(picked, images)
        np.testing.assert_array_equal(classes, labels)
