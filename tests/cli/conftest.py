import pytest
from absl import flags
from absl.testing import flagsaver

from ratm_tf.cli import program, tracker, video  # noqa: F401  (define the flags)


@pytest.fixture
def set_flags():
    """Sets flags for the length of a test."""
    flags.FLAGS.mark_as_parsed()
    saved = flagsaver.save_flag_values()

    def set_flags(**values):
        for name, value in values.items():
            setattr(flags.FLAGS, name, value)

    yield set_flags
    flagsaver.restore_flag_values(saved)
