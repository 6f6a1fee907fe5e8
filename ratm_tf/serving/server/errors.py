"""Errors that both protocols have codes for: TensorFlow's."""

import tensorflow as tf


def invalid_argument(message):
    """Makes the error of a request that says something wrong.

    Args:
        message: what was expected, and what came instead.

    Returns:
        A `tf.errors.InvalidArgumentError`.

    Example:
    >>> from ratm_tf.serving.server.errors import invalid_argument
    >>> invalid_argument("Expected less.").message
    'Expected less.'
    """
    return tf.errors.InvalidArgumentError(None, None, message)
