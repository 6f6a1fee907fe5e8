"""Errors that both protocols have codes for: TensorFlow's."""

import tensorflow as tf


def invalid_argument(message):
    """Makes the error of a request that says something wrong.

    Args:
        message: what was expected, and what came instead.

    Returns:
        A `tf.errors.InvalidArgumentError`.

    Example:
    >>> from ratm_tf.serving.protocol.errors import invalid_argument
    >>> invalid_argument("Expected less.").message
    'Expected less.'
    """
    return tf.errors.InvalidArgumentError(None, None, message)


def resource_exhausted(message):
    """Makes the error of a request that would take too much.

    Args:
        message: what is limited, and to how much.

    Returns:
        A `tf.errors.ResourceExhaustedError`.

    Example:
    >>> from ratm_tf.serving.protocol.errors import resource_exhausted
    >>> resource_exhausted("Expected less.").message
    'Expected less.'
    """
    return tf.errors.ResourceExhaustedError(None, None, message)
