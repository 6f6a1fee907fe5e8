import pathlib

import keras
import numpy as np
import tensorflow as tf

import ratm_tf
from ratm_tf.datasets import load_digits
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH
from ratm_tf.features import mnist_cnn

PRETRAINED = pathlib.Path(ratm_tf.__file__).parent / "pretrained" / "mnist_cnn.keras"


def sample_digits():
    images, labels = load_digits("test", SAMPLE_PATH)
    return images[..., np.newaxis] / np.float32(255), labels


def test_layers_are_the_papers():
    model = mnist_cnn()
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    stage = ["MaxPooling2D", "Dropout", "ReLU"]
    convolutions = ["GreyConv2D", *stage, "Conv2D", *stage]
    assert kinds == [*convolutions, "Flatten", "Dense"]
    weights = [tuple(weight.shape) for weight in model.weights]
    assert weights == [(5, 5, 1, 32), (32,), (5, 5, 32, 32), (32,), (512, 10), (10,)]


def test_outputs_are_probabilities():
    images, _ = sample_digits()
    probabilities = mnist_cnn()(images[:8], training=False).numpy()
    assert probabilities.dtype == np.float32 and np.all(probabilities >= 0)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_mixed_precision_keeps_probabilities_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = mnist_cnn()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model(np.zeros([2, 28, 28, 1], np.float32)).dtype == tf.float32


def test_frozen_model_passes_gradients_to_the_glimpses():
    images, _ = sample_digits()
    model = mnist_cnn()
    model.trainable = False
    glimpses = tf.Variable(images[:4])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(glimpses, training=False)[:, 0])
    assert not model.trainable_variables
    gradient = tape.gradient(loss, glimpses).numpy()
    assert np.all(np.abs(gradient).sum(axis=(1, 2, 3)) > 0)


def test_pretrained_model_is_small_and_knows_the_digits(tmp_path):
    assert PRETRAINED.stat().st_size < 2 * 2**20
    model = keras.saving.load_model(PRETRAINED)
    images, labels = sample_digits()
    probabilities = model.predict(images, verbose=0)
    assert np.mean(probabilities.argmax(axis=-1) == labels) >= 0.98

    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored.predict(images, verbose=0), probabilities)
    weights = [weight.shape for weight in model.weights]
    assert weights == [weight.shape for weight in mnist_cnn().weights]
