"""Errors that both protocols have codes for."""

import tensorflow as tf

from ratm_tf.serving.protocol import errors


def test_codes():
    assert errors.invalid_argument("a").error_code == tf.errors.INVALID_ARGUMENT
    assert errors.resource_exhausted("a").error_code == tf.errors.RESOURCE_EXHAUSTED
