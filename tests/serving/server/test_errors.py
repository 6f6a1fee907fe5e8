"""Errors that both protocols have codes for."""

import pytest
import tensorflow as tf

from ratm_tf.serving.server.errors import invalid_argument


def test_says_what_was_wrong():
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        raise invalid_argument("Expected less.")
    assert error.value.message == "Expected less."
    assert error.value.error_code == tf.errors.INVALID_ARGUMENT
