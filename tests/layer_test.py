"""One test of what Keras expects, for layers, cells, models, losses and metrics.

Each check takes a function that makes a fresh subject, and is independent of the
others. Values are compared with those of the plainest way to the same end: an eager
call, a loop in Python, Keras's own layer.
"""

import copy
import json

import keras
import numpy as np
import tensorflow as tf


def check_config(make):
    """A config is JSON, is not written into, and makes the same thing each time."""
    subject = make()
    config = subject.get_config()
    before = copy.deepcopy(config)
    for _ in range(2):
        again = type(subject).from_config(config)
        assert config == before
        assert _as_json(again.get_config()) == _as_json(config)
    serialized = keras.saving.serialize_keras_object(subject)
    restored = keras.saving.deserialize_keras_object(_as_json(serialized))
    assert type(restored) is type(subject)
    assert _as_json(restored.get_config()) == _as_json(config)


def check_call(make, inputs):
    """Called unbuilt, built, in a graph, by XLA and on symbols, it does the same."""
    layer = make()
    expected = layer(*inputs)

    built = make()
    built.build(*_map(lambda x: (None, *x.shape[1:]), inputs))
    assert _shapes(built.weights) == _shapes(layer.weights)
    built.set_weights(layer.get_weights())
    _assert_close(built(*inputs), expected)

    for jit_compile in (False, True):
        graph = tf.function(built, jit_compile=jit_compile)
        _assert_close(graph(*inputs), expected, 1e-4)

    symbolic = _map(
        lambda x: keras.KerasTensor((None, *x.shape[1:]), str(x.dtype)), inputs
    )
    keras.tree.map_structure(_assert_described, layer(*symbolic), expected)


def check_gradients(make, inputs):
    """All trainable weights get the same finite gradient in a graph as eagerly."""
    layer = make()
    layer(*inputs)

    def gradients():
        with tf.GradientTape() as tape:
            outputs = keras.tree.flatten(layer(*inputs))
            loss = sum(tf.reduce_sum(tf.square(output)) for output in outputs)
        weights = [weight.value for weight in layer.trainable_weights]
        return tape.gradient(loss, weights)

    eager = gradients()
    for gradient in eager:
        assert np.isfinite(gradient).all()
    _assert_close(tf.function(gradients)(), eager, 1e-3)


def check_saving(make, inputs, path, parts=lambda subject: [subject]):
    """What was saved loads: values, what is trainable, and the optimizer's state."""
    subject = make()
    model = as_model(subject, inputs)
    expected = model(inputs)
    for frozen in [None, *parts(subject)]:
        if frozen:
            frozen.trainable = False
        model.compile(keras.optimizers.Adam(1e-3), _loss(model))
        model.optimizer.build(model.trainable_variables)
        for variable in model.optimizer.variables:
            variable.assign(keras.ops.ones_like(variable) * 7)
        model.save(path)
        loaded = keras.saving.load_model(path)
        if not frozen:
            _assert_close(loaded(inputs), expected, 0)
        _assert_close(loaded.weights, model.weights, 0)
        assert _named(loaded.trainable_weights) == _named(model.trainable_weights)
        state = [variable.numpy() for variable in loaded.optimizer.variables]
        assert len(state) == len(model.optimizer.variables)
        assert np.all(np.concatenate([values.ravel() for values in state]) == 7)
        if frozen:
            frozen.trainable = True


def check_training(make, inputs):
    """Several steps in one execution learn what as many single ones do."""
    histories = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        model = as_model(make(), inputs)
        targets = _map(np.zeros_like, model(inputs))
        model.compile(
            keras.optimizers.SGD(1e-3), _loss(model), steps_per_execution=steps
        )
        fitted = model.fit(
            inputs, targets, batch_size=1, epochs=2, shuffle=False, verbose=0
        )
        histories.append((fitted.history["loss"], model.get_weights()))
    _assert_close(*histories, 1e-5)


def check_mixed_precision(make, inputs, tolerance=2e-2):
    """With half precision inside, weights stay float32 and values close."""
    layer = make()
    expected = layer(*inputs)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = make()
        outputs = half(*inputs)
        half.set_weights(layer.get_weights())
        outputs = half(*inputs)
    finally:
        keras.config.set_dtype_policy(policy)
    assert {weight.dtype for weight in half.weights} <= {"float32"}
    _assert_close(outputs, expected, tolerance)


def as_model(subject, inputs):
    """The subject, if it is a model, or a functional model of it."""
    if isinstance(subject, keras.Model):
        return subject
    symbols = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    return keras.Model(symbols, subject(*symbols))


def check_masks(rnn, sequences):
    """A masked step leaves the state as it was, and repeats the output."""
    kept = np.array([0, 1, 3])
    mask = np.isin(np.arange(sequences.shape[1]), kept)
    masked = rnn(sequences, mask=tf.constant(np.tile(mask, [len(sequences), 1])))
    expected = rnn(sequences[:, kept]).numpy()
    np.testing.assert_allclose(masked.numpy()[:, kept], expected, atol=1e-5)
    repeated = np.maximum.accumulate(np.where(mask, np.arange(len(mask)), 0))
    np.testing.assert_array_equal(masked, masked.numpy()[:, repeated])


def check_stateful(make_cell, sequences):
    """A stateful RNN goes on where it was, and starts anew when it is reset."""
    cell = make_cell()
    whole = keras.layers.RNN(cell, return_sequences=True)(sequences)
    rnn = keras.layers.RNN(cell, return_sequences=True, stateful=True)
    for _ in range(2):
        parts = [rnn(sequences[:, :2]), rnn(sequences[:, 2:])]
        np.testing.assert_allclose(tf.concat(parts, axis=1), whole, atol=1e-5)
        rnn.reset_state()


def check_unrolling(make_cell, sequences):
    """An unrolled RNN does what a loop does."""
    cell = make_cell()
    loop, unrolled = (
        keras.layers.RNN(cell, return_sequences=True, unroll=unroll)
        for unroll in (False, True)
    )
    _assert_close(unrolled(sequences), loop(sequences))


def check_loss(make, y_true, y_pred):
    """Means, sums, weights and single values agree, in any precision and any mode."""
    loss, total, single = (
        type(make())(**make().get_config() | {"reduction": reduction})
        for reduction in ("sum_over_batch_size", "sum", "none")
    )
    values = single(y_true, y_pred).numpy()
    assert values.shape == y_pred.shape[:2]
    weights = np.random.default_rng(0).random(values.shape).astype(np.float32)
    for weight in (1.0, weights, 0.0 * weights):
        np.testing.assert_allclose(
            total(y_true, y_pred, weight), np.sum(values * weight), rtol=1e-4
        )
        np.testing.assert_allclose(
            loss(y_true, y_pred, weight), np.mean(values * weight), rtol=1e-4
        )
    for jit_compile in (False, True):
        graph = tf.function(single, jit_compile=jit_compile)
        np.testing.assert_allclose(graph(y_true, y_pred), values, rtol=1e-4)
    half = tf.cast(y_pred, tf.float16)
    np.testing.assert_allclose(single(y_true, half), values, rtol=5e-2, atol=1e-2)
    np.testing.assert_allclose(single(y_pred, y_pred), 0.0, atol=1e-6)


def check_metric(make, y_true, y_pred):
    """Batches add up, in a graph as well, and a reset forgets them."""
    whole = make()
    whole.update_state(y_true, y_pred)
    expected = float(whole.result())
    metric = make()
    update = tf.function(metric.update_state)
    for _ in range(2):
        for batch in range(len(y_true)):
            update(y_true[batch : batch + 1], y_pred[batch : batch + 1])
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)
        metric.reset_state()
    assert float(metric.result()) == 0.0


def _loss(model):
    outputs = getattr(model, "output_names", None)
    return "mse" if outputs else {"boxes": "mse", "glimpses": "mse"}


def _named(weights):
    # Keras numbers the layers of a process in the weights' paths.
    return [(weight.name, tuple(weight.shape)) for weight in weights]


def _shapes(weights):
    return [tuple(weight.shape) for weight in weights]


def _as_json(config):
    return json.loads(json.dumps(config))


def _map(function, structure):
    return keras.tree.map_structure(function, structure)


def _assert_described(symbol, value):
    assert symbol.dtype == keras.backend.standardize_dtype(value.dtype)
    assert len(symbol.shape) == len(value.shape)
    assert all(a in (None, b) for a, b in zip(symbol.shape, value.shape, strict=True))


def _assert_close(found, expected, tolerance=1e-5):
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(
            np.float64(a), np.float64(b), rtol=tolerance, atol=tolerance
        ),
        keras.tree.flatten(found),
        keras.tree.flatten(expected),
    )
