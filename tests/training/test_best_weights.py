import keras
import numpy as np

from ratm_tf.training import keep_best


class Answers(keras.layers.Layer):
    """A single weight, which training moves from 0 on by one each epoch."""

    def build(self, shape):
        self.value = self.add_weight(shape=(), initializer="zeros", name="value")

    def call(self, inputs):
        return inputs * 0 + self.value


def model():
    model = keras.Sequential([keras.Input([1]), Answers()])
    # One step of a slope of -1 an epoch.
    model.compile(keras.optimizers.SGD(1.0), lambda y, p: -keras.ops.mean(p))
    return model


class Score(keras.callbacks.Callback):
    """The best answer is 2."""

    def on_epoch_end(self, epoch, logs=None):
        value = float(self.model.layers[-1].value)
        logs["val_score"] = -abs(value - 2.0)


DATA = np.zeros([1, 1], np.float32), np.zeros([1, 1], np.float32)


def fit(model, path, epochs):
    best = keep_best(model, path, monitor="val_score", patience=3, validation_data=DATA)
    return model.fit(*DATA, epochs=epochs, callbacks=[Score(), *best], verbose=0)


def test_the_best_weights_are_kept_and_training_stops_after_them(tmp_path):
    path = tmp_path / "best.weights.h5"
    trained = model()
    history = fit(trained, path, epochs=100)
    assert len(history.epoch) == 2 + 3
    assert float(trained.layers[-1].value) == 5
    trained.load_weights(path)
    assert float(trained.layers[-1].value) == 2


def test_an_interrupted_training_knows_how_good_its_best_weights_are(tmp_path):
    path = tmp_path / "best.weights.h5"
    first = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    labels = np.array([[1], [1], [0], [1]])
    data = np.ones([4, 1], np.float32), labels

    def compiled(model, bias):
        model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["accuracy"])
        model.layers[-1].set_weights([np.zeros([1, 1]), np.array([bias])])
        return model

    def fit(model):
        best = keep_best(
            model, path, monitor="val_accuracy", patience=2, validation_data=data
        )
        compiled(model, model.wanted)  # as after a restored backup
        return model.fit(
            *data, validation_data=data, epochs=9, callbacks=best, verbose=0
        )

    first.wanted = 1.0  # accuracy 0.75
    fit(compiled(first, 1.0))
    kept = path.read_bytes()
    again = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    again.wanted = 0.0  # accuracy 0.25
    history = fit(compiled(again, 0.0))
    assert path.read_bytes() == kept
    assert len(history.epoch) == 2
