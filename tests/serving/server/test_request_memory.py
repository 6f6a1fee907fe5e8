"""How much of all requests is in memory at a time."""

import pytest
import tensorflow as tf

from ratm_tf.serving.server.request_memory import MOST_AT_A_TIME, RequestMemory


def test_has_a_bound_and_forgets():
    memory = RequestMemory(10)
    for _ in range(3):
        with memory.hold() as take, memory.hold() as other:
            take(MOST_AT_A_TIME * 10 - 1)
            other(1)
            with pytest.raises(tf.errors.UnavailableError, match="Try again"):
                other(1)
        with pytest.raises(KeyError), memory.hold() as take:
            take(5)
            raise KeyError
    with memory.hold() as take:
        take(MOST_AT_A_TIME * 10)
