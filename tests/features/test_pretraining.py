import keras
import numpy as np

from ratm_tf.features.pretraining import pretrain


def classifier():
    model = keras.Sequential(
        [keras.Input([2]), keras.layers.Dense(2, activation="softmax")]
    )
    model.compile(
        keras.optimizers.SGD(0.5),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def test_keeps_the_best_across_calls(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=[200, 2]).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(int)
    options = {"model_dir": tmp_path, "patience": 3, "validation_data": (x, y)}

    def accuracy(model):
        return np.mean(model.predict(x, verbose=0).argmax(-1) == y)

    model = pretrain(classifier(), x, y, epochs=8, batch_size=20, **options)
    first = accuracy(model)
    assert first > 0.9 and not model.compiled
    assert all(weight.dtype == "float32" for weight in model.weights)

    # Labels that are wrong teach the opposite: what was better stays.
    again = pretrain(classifier(), x, 1 - y, epochs=20, batch_size=20, **options)
    assert accuracy(again) == first
