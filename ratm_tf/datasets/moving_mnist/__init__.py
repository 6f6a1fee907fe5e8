"""Moving MNIST with one or two digits (section 6.2 of the paper)."""

from ratm_tf.datasets.deprecated import make_callable

TRAIN_SEQUENCES = 100_000
TEST_SEQUENCES = {1: 10_000, 2: 5_000}  # by the number of digits
TRAIN_FRAMES, TEST_FRAMES = 10, 30
FRAME_SIZE = (100, 100)

make_callable(__name__)
