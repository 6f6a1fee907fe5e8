"""Training on several devices or machines at once, by `tf.distribute`.

Keras's own `fit` neither takes dicts from several workers nor clips the gradients of
all of them together: what stands in for it here does.
"""

import contextlib
import json
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import keras
import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker")


def make_strategy(
    name: Literal["none", "mirrored", "multi_worker"],
) -> tf.distribute.Strategy:
    """Makes what trackers are trained by, in whose `scope()` they are made.

    Args:
        name: `"none"`, TensorFlow's default; `"mirrored"`, all GPUs of this machine;
            or `"multi_worker"`, the machines that the environment variable `TF_CONFIG`
            names. The last one is to be made before TensorFlow is used.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: if there is none of that name.
        RuntimeError: if TensorFlow was used before.

    Example:
    >>> ratm_tf.training.make_strategy("none").num_replicas_in_sync
    1
    """
    makers = {
        "none": tf.distribute.get_strategy,
        "mirrored": tf.distribute.MirroredStrategy,
        "multi_worker": tf.distribute.MultiWorkerMirroredStrategy,
    }
    if name not in makers:
        raise ValueError(
            f"Expected `strategy` to be one of {STRATEGIES}. Received: {name!r}"
        )
    handler = signal.getsignal(signal.SIGTERM)
    strategy = makers[name]()
    if handler is not None:  # Several workers would not end by it.
        signal.signal(signal.SIGTERM, handler)
    return strategy


@contextlib.contextmanager
def _all_there() -> Iterator[None]:
    """Says in one sentence that a worker is not there any more."""
    seen = tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError
    try:
        yield
    except seen as gone:
        raise RuntimeError(
            "Expected all workers to be there. One is gone: start those again that "
            "ended, and all go on after the last finished epoch"
        ) from gone


def is_chief(strategy):
    """Whether this process is the one that writes files.

    Args:
        strategy: a `tf.distribute.Strategy`.

    Example:
    >>> from ratm_tf.training.workers import is_chief
    >>> is_chief(tf.distribute.get_strategy())
    True
    """
    return strategy.extended.should_checkpoint


@_all_there()
def from_chief(strategy, make):
    """Gives every worker what the chief makes; the others wait until it has.

    Args:
        strategy: a `tf.distribute.Strategy`.
        make: function without arguments that returns JSON values.

    Returns:
        What the chief's `make` returned.

    Raises:
        RuntimeError: if a worker is gone.

    Example:
    >>> from ratm_tf.training.workers import from_chief
    >>> from_chief(tf.distribute.get_strategy(), lambda: {"epoch": 3})
    {'epoch': 3}
    """
    if strategy.num_replicas_in_sync == 1:
        return make()
    text = json.dumps(make()).encode() if is_chief(strategy) else b""
    size = int(_of_the_first(strategy, tf.constant(len(text))))
    codes = _of_the_first(strategy, tf.constant(list(text.ljust(size))))
    return json.loads(bytes(codes.numpy().tolist()))


@_all_there()
def as_the_chief(strategy, model):
    """Gives a model, and its optimizer, the values that the chief's have.

    Args:
        strategy: the `tf.distribute.Strategy` that it was made in.
        model: a `keras.Model`, built, as its optimizer is.

    Example:
    >>> from ratm_tf.training.workers import as_the_chief
    >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    >>> model.compile("sgd")
    >>> as_the_chief(tf.distribute.get_strategy(), model)
    """
    if strategy.num_replicas_in_sync > 1:
        for variable in [*model.weights, *model.optimizer.variables]:
            variable.assign(_of_the_first(strategy, variable.value))


def _of_the_first(strategy, value):
    """A tensor as the first replica, which is the chief's, has it."""

    def mine():
        context = tf.distribute.get_replica_context()
        here = tf.convert_to_tensor(value)
        first = context.replica_id_in_sync_group == 0
        return tf.where(first, here, tf.zeros_like(here))

    return strategy.reduce("SUM", strategy.run(mine), axis=None)


def prepare(strategy, model):
    """Readies a model that a strategy's replicas are to train.

    Its optimizer is built. Predicting, which Keras has all workers do together, each
    does alone.

    Args:
        strategy: the `tf.distribute.Strategy` that it was made in.
        model: a `keras.Model`, built and compiled.

    Example:
    >>> from ratm_tf.training.workers import prepare
    >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    >>> model.compile("sgd")
    >>> prepare(tf.distribute.get_strategy(), model)
    """
    if not model.optimizer.built:
        with strategy.scope():
            model.optimizer.build(model.trainable_weights)
    if strategy.num_replicas_in_sync == 1:
        return
    _sum_then_clip(model.optimizer)
    model.predict_function = tf.function(
        lambda batches: model.predict_step(batches[0]), reduce_retracing=True
    )


@_all_there()
def fit(
    model: keras.Model,
    sequences: Callable[..., tf.data.Dataset],
    *,
    start: int,
    batch_size: int,
    steps_per_epoch: int,
    initial_epoch: int,
    epochs: int,
    validation_data: tf.data.Dataset | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Trains as `keras.Model.fit` does, by the strategy that a model was made in.

    A step takes the sequences that it would take without a strategy, each of them on
    one worker; losses are means over all of them, and gradients are summed before they
    are clipped.

    Args:
        model: a compiled and built `keras.Model` that `prepare` was given.
        sequences: function of a sequence's index, `step` and `batch_size` that returns
            an endless `tf.data.Dataset` of each `step`-th sequence from that one on,
            in such batches.
        start: index of the first sequence.
        batch_size: sequences per step, of all workers together.
        steps_per_epoch: see `keras.Model.fit`.
        initial_epoch: see `keras.Model.fit`.
        epochs: see `keras.Model.fit`.
        validation_data: finite, batched `tf.data.Dataset`; every worker sees all of it.
        callbacks: `keras.callbacks.Callback`s; the chief's alone decide whether
            training stops.

    Returns:
        The `keras.callbacks.History`.

    Raises:
        ValueError: if a batch cannot be split among the workers.
        RuntimeError: if a worker is gone.
    """
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"Expected `batch_size` to be a multiple of the {replicas} replicas. "
            f"Received: {batch_size}"
        )

    elements = []

    def train_part(context):
        dataset = sequences(
            start + context.input_pipeline_id,
            step=context.num_input_pipelines,
            batch_size=batch_size // replicas,
        )
        elements.append(dataset.element_spec)
        return dataset

    def validation_part(context):
        # To all replicas the same: means over its batches are then those of one.
        devices = replicas // context.num_input_pipelines
        return validation_data.flat_map(
            lambda *batch: tf.data.Dataset.from_tensors(batch).repeat(devices)
        )

    distribute = strategy.distribute_datasets_from_function
    told = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        add_progbar=is_chief(strategy),
        verbose=1,
        epochs=epochs,
        steps=steps_per_epoch,
        model=model,
    )
    model.stop_training = False
    told.on_train_begin()
    if initial_epoch < epochs:
        batches = iter(distribute(train_part))
        with strategy.scope():
            model._symbolic_build(data_batch=elements[0])
    train_step = _step(strategy, model.train_step)
    test_step = _step(strategy, model.test_step)
    logs = {}
    for epoch in range(initial_epoch, epochs):
        model.reset_metrics()
        told.on_epoch_begin(epoch)
        for step in range(steps_per_epoch):
            told.on_train_batch_begin(step)
            logs = train_step(next(batches))
            told.on_train_batch_end(step, logs)
        logs = _results(model)
        if validation_data is not None:
            model.reset_metrics()
            for batch in distribute(validation_part):
                test_step(batch)
            logs |= {f"val_{name}": value for name, value in _results(model).items()}
        told.on_epoch_end(epoch, logs)
        model.stop_training = from_chief(strategy, lambda: model.stop_training)
        if model.stop_training:
            break
    told.on_train_end(logs)
    return model.history


def _step(strategy, step):
    """A step of every replica, and the means of what they return."""

    @tf.function(reduce_retracing=True)
    def run(batch):
        logs = strategy.run(step, args=(batch,))
        return {
            name: strategy.reduce("MEAN", value, axis=None)
            for name, value in logs.items()
        }

    return run


def _results(model):
    """The metrics over all that all replicas have seen."""
    return {name: float(value) for name, value in model.get_metrics_result().items()}


def _sum_then_clip(optimizer):
    """Has an optimizer see the sum of all replicas' gradients, and nothing else.

    Keras's clips, and looks for what is not finite, before it sums.
    """

    def apply(grads, trainable_variables):
        pairs = [
            pair
            for pair in zip(grads, trainable_variables, strict=True)
            if pair[0] is not None
        ]
        grads, variables = map(list, zip(*pairs, strict=True))
        grads = tf.distribute.get_replica_context().all_reduce("SUM", grads)
        type(optimizer).apply(optimizer, grads, variables)

    optimizer.apply = apply
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._all_reduce_sum_gradients = lambda grads_and_variables: grads_and_variables
