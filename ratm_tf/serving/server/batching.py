"""Running the requests of several clients as one batch."""

import collections
import itertools
import threading
import weakref

import tensorflow as tf

_FREE_QUEUES = collections.defaultdict(list)
"""Names of queues that no function uses any more, by parameters: TensorFlow keeps a
queue and its threads as long as the process runs."""
_NUMBERS = itertools.count()


def batched(function, specs, parameters):
    """Makes concurrent calls of a function run as one, along the first axis.

    TensorFlow's batch scheduler does it, which is TensorFlow Serving's too. Each
    function has a queue of its own. A call that is larger than a batch runs alone, and
    so does each of a batch that is refused, because one of them is wrong or they differ
    in other axes than the first; as many at a time as batches do.

    Args:
        function: maps named tensors to a dict of tensors.
        specs: dict of `tf.TensorSpec` of the inputs, with a first axis, by name.
        parameters: what `read_batching_parameters` returns.

    Returns:
        A function of the same inputs and outputs.

    Example:
    >>> from ratm_tf.serving.server.batching import batched
    >>> double = batched(
    ...     lambda x: {"y": 2 * x},
    ...     {"x": tf.TensorSpec([None])},
    ...     dict(max_batch_size=4, batch_timeout_micros=1000, max_enqueued_batches=10,
    ...          num_batch_threads=1))
    >>> double(x=tf.constant([1.0, 2.0]))["y"].numpy()
    array([2., 4.], dtype=float32)
    """
    names = sorted(specs)
    outputs = []
    free = _FREE_QUEUES[tuple(sorted(parameters.items()))]
    queue = free.pop() if free else f"queue_{next(_NUMBERS)}"

    @tf.function(input_signature=[specs[name] for name in names], autograph=False)
    def run(*tensors):
        @tf.nondifferentiable_batch_function(**parameters)
        def together(*tensors):
            results = function(**dict(zip(names, tensors, strict=True)))
            outputs[:] = sorted(results)
            return [results[name] for name in outputs]

        with tf.name_scope(queue):  # The scheduler names its queues by the scope.
            return together(*tensors)

    run.get_concrete_function()  # Which also finds the names of the outputs.
    weakref.finalize(run, free.append, queue)

    turns = threading.BoundedSemaphore(parameters["num_batch_threads"])

    def alone(**tensors):
        with turns:
            return function(**tensors)

    def call(**tensors):
        # The scheduler takes no call that is larger than a batch.
        if tensors[names[0]].shape[0] > parameters["max_batch_size"]:
            return alone(**tensors)
        try:
            results = run(*(tensors[name] for name in names))
        except tf.errors.InvalidArgumentError:
            return alone(**tensors)
        return dict(zip(outputs, results, strict=True))

    return call
