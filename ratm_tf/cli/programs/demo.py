"""Tracks packaged clips with packaged trackers, and draws what they see.

ratm-tf demo

Takes seconds, and needs neither network nor training. Writes a film strip and a video:
the true box in green, the predicted one in red, and below each frame the glimpse.
"""

from absl import flags, logging

_OUTPUT = flags.DEFINE_string("output", "runs/demo", "Output folder.")


def main(_):
    """Says where the pictures are."""
    from ratm_tf.demo import demo

    logging.set_verbosity(logging.WARNING)
    print("Look at", " and ".join(map(str, demo(_OUTPUT.value))))
