"""How fast a `tf.data` pipeline delivers."""

import time

import tensorflow as tf

from ratm_tf.datasets.arguments import integer


class Rate:
    """Counts per second, from when the first ones are over.

    The first ones of a program take longer: it traces functions and fills buffers.

    Args:
        warm_up: how many to leave out, at least 1.

    Example:
    >>> from ratm_tf.datasets.rate import Rate
    >>> rate = Rate()
    >>> rate.reached(1), rate.per_second
    (None, None)
    >>> rate.reached(3), rate.per_second > 0
    (None, True)
    """

    def __init__(self, warm_up=1):
        self._warm_up = warm_up
        self._first = None
        self.per_second = None

    def reached(self, count):
        """Takes note that there have been `count` in all; may be called at leisure."""
        now = time.perf_counter()
        if self._first is not None:
            first, started = self._first
            self.per_second = (count - first) / (now - started)
        elif count >= self._warm_up:
            self._first = count, now


def throughput(dataset: "tf.data.Dataset", num_elements: int = 100) -> float:
    """Measures how fast a dataset delivers, with nothing else to do.

    Args:
        dataset: a `tf.data.Dataset`, batched or not.
        num_elements: how many elements to time, after a tenth as many to warm up;
            a dataset that ends sooner is timed to its end.

    Returns:
        Elements per second, float; times the batch size, these are sequences per
        second.

    Raises:
        ValueError: `num_elements` is no count, or the dataset ends before anything
            could be timed.

    Example:
    >>> from ratm_tf.datasets import throughput
    >>> throughput(tf.data.Dataset.range(1000)) > 100
    True
    """
    num_elements = integer("num_elements", num_elements, at_least=1)
    warm_up = max(1, num_elements // 10)
    rate, count = Rate(warm_up), 0
    for count, _ in enumerate(dataset.take(warm_up + num_elements), start=1):
        rate.reached(count)
    if rate.per_second is None:
        raise ValueError(
            f"Expected `dataset` to have more than the {warm_up} elements to warm up. "
            f"Received: {count}"
        )
    return rate.per_second
