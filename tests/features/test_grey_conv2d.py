import keras
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.features import GreyConv2D


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [5, (3, 4), (1, 2)])
def test_values_and_gradients_are_those_of_conv2d(padding, kernel_size):
    options = {"filters": 6, "kernel_size": kernel_size, "padding": padding}
    ours = GreyConv2D(**options, dtype="float64")
    theirs = keras.layers.Conv2D(**options, dtype="float64")
    images = tf.random.stateless_normal([3, 9, 11, 1], [0, 1], dtype=tf.float64)
    for layer in (ours, theirs):
        layer.build(images.shape)
    ours.set_weights(theirs.get_weights())

    @tf.function
    def gradients(layer):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images)
            loss = tf.reduce_sum(outputs**3)
        return outputs, tape.gradient(loss, [images, *layer.trainable_weights])

    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12),
        gradients(ours),
        gradients(theirs),
    )


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_gradient_is_the_numerical_one(dtype):
    layer = GreyConv2D(4, 3, dtype="float64")
    layer.build([None, 6, 6, 1])
    images = tf.random.stateless_normal([2, 6, 6, 1], [0, 1], dtype=tf.float64)
    (analytical,), (numerical,) = tf.test.compute_gradient(
        lambda images: tf.tanh(layer(images)), [images], delta=1e-5
    )
    np.testing.assert_allclose(analytical, numerical, atol=1e-8)

    narrow = GreyConv2D(4, 3, dtype=dtype.name)
    narrow.build([None, 6, 6, 1])
    narrow.set_weights(layer.get_weights())
    (narrow_gradient,), _ = tf.test.compute_gradient(
        lambda images: tf.tanh(tf.cast(narrow(images), tf.float64)), [images]
    )
    tolerance = 1e-5 if dtype == tf.float32 else 0.05
    np.testing.assert_allclose(narrow_gradient, analytical, atol=tolerance)


def test_saves_and_loads(tmp_path):
    model = keras.Sequential([keras.Input([8, 8, 1]), GreyConv2D(2, 3)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).random([2, 8, 8, 1], np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, [2, 8, 8, 3], r"\[B, H, W, 1\].*\(2, 8, 8, 3\)"),
        ({"strides": 2}, [2, 8, 8, 1], r"`strides`.*\(1, 1\).*\(2, 2\)"),
        ({"dilation_rate": 2}, [2, 8, 8, 1], r"`dilation_rate`.*\(2, 2\)"),
        ({"data_format": "channels_first"}, [2, 1, 8, 8], "`data_format`"),
    ],
)
def test_bad_input_is_named(options, shape, message):
    with pytest.raises(ValueError, match=message):
        GreyConv2D(2, 3, **options).build(shape)
