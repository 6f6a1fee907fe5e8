"""Functions of tensors that are one op where that is to be had."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ratm_tf.attention import library
from ratm_tf.attention.functional import gradients
from ratm_tf.attention.implementation import choose
from ratm_tf.types import Implementation


def fused_op(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Runs a function in plain TensorFlow as an op of the library.

    The op has the function's tensors as its inputs and its keywords as attributes, and
    computes in float32, on the CPU. Where there is no such op or it is not wanted, for
    other dtypes, where XLA compiles and beside a GPU, the function itself runs. Its
    gradients are the op's, too.

    Args:
        name: the op's, without its namespace.

    Returns:
        A decorator. What it gives takes `implementation`, as `ratm_tf.gaussian_glimpse`
        has it, before all else, and arrays among the tensors, of any dtype.

    Example:
    >>> @fused_op("NoSuchOp")
    ... def sums(maps, weights):
    ...     return maps @ weights
    >>> sums("auto", tf.ones([1, 2]), np.ones([2, 1])).numpy()
    array([[2.]], dtype=float32)
    """

    def decorate(function):
        keywords = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]

        @tf.RegisterGradient(f"Ratm>{name}")
        def _gradient(op, *upstream):
            options = {keyword: op.get_attr(keyword) for keyword in keywords}
            same = functools.partial(function, **options)
            return gradients(same, op.inputs, [*upstream])

        @functools.wraps(function)
        def call(implementation: Implementation, *tensors, **options):
            dtype = next((x.dtype for x in tensors if tf.is_tensor(x)), tf.float32)
            inputs = [
                tf.constant(x, dtype) if isinstance(x, np.ndarray) else x
                for x in tensors
            ]
            op = _op(name, implementation) if dtype == tf.float32 else None
            return (op or function)(*inputs, **options)

        return call

    return decorate


def _op(name, implementation):
    """The op, or None where it is not to run."""
    if choose(implementation) == "tf" or tf.config.get_visible_devices("GPU"):
        return None
    snake = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
    return getattr(library.load(), f"ratm_{snake}", None)
