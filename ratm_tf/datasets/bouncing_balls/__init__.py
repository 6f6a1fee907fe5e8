"""Bouncing balls (section 6.1 of the paper)."""

from ratm_tf.datasets.deprecated import make_callable

TRAIN_SEQUENCES, TEST_SEQUENCES = 100_000, 10_000
TRAIN_FRAMES = TEST_FRAMES = 32
FRAME_SIZE = (20, 20)

make_callable(__name__)
