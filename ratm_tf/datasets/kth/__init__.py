"""KTH human actions (Schuldt et al., 2004), boxes of Jiang et al. (2012).

The walking, jogging and running people of section 6.3 of the paper.
"""

from ratm_tf.datasets.deprecated import make_callable

TRAIN_FRAMES = 30  # at most; test sequences are whole
FRAME_SIZE = (120, 160)
MOVING = ("jogging", "running", "walking")  # the actions of section 6.3

make_callable(__name__)
