"""KTH-like videos of cut-out people."""

from ratm_tf.datasets.deprecated import make_callable

TRAIN_SEQUENCES, TEST_SEQUENCES = 1_200, 2_000  # KTH has 1,200 of the three actions
TRAIN_FRAMES = TEST_FRAMES = 30
FRAME_SIZE = (120, 160)

make_callable(__name__)
