"""How fast a `tf.data` pipeline delivers."""

import time


def throughput(dataset, num_elements=100):
    """Measures how fast a dataset delivers, with nothing else to do.

    Args:
        dataset: a `tf.data.Dataset`, batched or not.
        num_elements: how many elements to time, after a tenth as many to warm up;
            a dataset that ends sooner is timed to its end.

    Returns:
        Elements per second; times the batch size, these are sequences per second.

    Raises:
        ValueError: If the dataset ends before anything could be timed.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets import throughput
    >>> throughput(tf.data.Dataset.range(1000)) > 100
    True
    """
    num_warm_up = max(1, num_elements // 10)
    count = -num_warm_up
    for _ in dataset.take(num_warm_up + num_elements):
        count += 1
        if count == 0:
            start = time.perf_counter()
    if count <= 0:
        raise ValueError(
            f"dataset must have more than the {num_warm_up} elements to warm up, got "
            f"{num_warm_up + count}."
        )
    return count / (time.perf_counter() - start)
