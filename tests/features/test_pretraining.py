import keras
import numpy as np
import tensorflow as tf

from ratm_tf.features.pretraining import pretrain
from tests import programs

RNG = np.random.default_rng(0)
X = RNG.normal(size=[200, 2]).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(int)


def train(folder, labels, strategy=None, **options):
    """Trains a small classifier; returns it."""
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = keras.Sequential(
            [keras.Input([2]), keras.layers.Dense(2, activation="softmax")]
        )
        model.compile(
            keras.optimizers.SGD(0.5, global_clipnorm=0.3),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    options = {"batch_size": 20, "patience": 3, "validation_data": (X, Y)} | options
    pretrain(model, X, labels, model_dir=folder, **options)
    return model


def accuracy(model):
    return np.mean(model.predict(X, verbose=0).argmax(-1) == Y)


def test_keeps_the_best_across_calls(tmp_path):
    train(tmp_path, Y, epochs=8)
    model = keras.saving.load_model(tmp_path / "model.keras")
    first = accuracy(model)
    assert first > 0.9 and not model.compiled
    assert all(weight.dtype == "float32" for weight in model.weights)

    # Labels that are wrong teach the opposite: what was better stays.
    train(tmp_path, 1 - Y, epochs=20)
    assert accuracy(keras.saving.load_model(tmp_path / "model.keras")) == first


def test_epochs_see_all_examples_each_time_in_another_order(tmp_path):
    seen = {}

    def note(index, x):
        seen[int(index)] = x.numpy().tobytes()

    def vary(x, label, seed):
        tf.py_function(note, [seed[1], x], [])
        return x + 0.01 * tf.random.stateless_normal([2], seed), label

    train(tmp_path, Y, epochs=2, vary=vary)
    epochs = [[seen[200 * epoch + i] for i in range(200)] for epoch in (0, 1)]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        assert set(epoch) == {x.tobytes() for x in X}


def varied(x, label, seed):
    return x + 0.1 * tf.random.stateless_normal([2], seed), label


def train_varied(folder, strategy=None, epochs=2):
    return train(folder, Y, strategy, epochs=epochs, vary=varied).get_weights()


def test_two_devices_and_a_resumed_training_learn_what_one_does(tmp_path):
    expected = train_varied(tmp_path / "one")
    two = programs.call_on_two_devices(train_varied, tmp_path / "two")
    train_varied(tmp_path / "parts", epochs=1)
    for found in (two, train_varied(tmp_path / "parts")):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
