import keras
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention import GaussianGlimpse, gaussian_glimpse
from ratm_tf.attention.implementation import fallback_reason
from ratm_tf.attention.window import window_from_activations

IMAGES = np.random.default_rng(0).uniform(size=[3, 20, 24, 2]).astype(np.float32)
ACTIVATIONS = np.random.default_rng(1).normal(size=[3, 6]).astype(np.float32)


def test_reads_the_window_of_the_activations(implementation):
    layer = GaussianGlimpse(
        (5, 7), min_sigma=0.5, implementation=implementation, return_window=True
    )
    glimpses, window = layer(IMAGES, ACTIVATIONS)
    expected = window_from_activations(ACTIVATIONS, (20, 24), (5, 7), 0.5)
    np.testing.assert_allclose(window, expected, rtol=1e-6)
    np.testing.assert_allclose(
        glimpses, gaussian_glimpse(IMAGES, expected, (5, 7), "tf"), atol=1e-6
    )


def test_several_windows_an_image(implementation):
    activations = np.stack([ACTIVATIONS, ACTIVATIONS[::-1]], axis=1)
    layer = GaussianGlimpse((5, 7), implementation=implementation)
    glimpses = layer(IMAGES, activations)
    assert glimpses.shape == (3, 2, 5, 7, 2)
    np.testing.assert_allclose(glimpses[:, 0], layer(IMAGES, ACTIVATIONS), atol=1e-6)


def test_one_size_and_one_list(implementation):
    layer = GaussianGlimpse(5, implementation=implementation)
    assert layer.glimpse_size == (5, 5)
    expected = layer(IMAGES, ACTIVATIONS)
    np.testing.assert_array_equal(layer([IMAGES, ACTIVATIONS]), expected)
    inputs = [keras.Input([None, None, 2]), keras.Input([6])]
    model = keras.Model(inputs, GaussianGlimpse(5)(inputs))
    np.testing.assert_allclose(model([IMAGES, ACTIVATIONS]), expected, atol=1e-5)


@pytest.mark.parametrize("length", [4, None])
def test_in_each_step_of_a_sequence(implementation, length):
    """Within a model of one image, as `keras.layers.TimeDistributed` takes it."""
    image = keras.Input([20, 24, 2])
    raw = keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(image))
    reader = keras.Model(
        image, GaussianGlimpse(5, implementation=implementation)(image, raw)
    )
    frames = np.stack([IMAGES, IMAGES[::-1], IMAGES / 2, IMAGES * 2], axis=1)
    sequence = keras.Input([length, 20, 24, 2])
    model = keras.Model(sequence, keras.layers.TimeDistributed(reader)(sequence))
    assert model.output_shape == (None, length, 5, 5, 2)
    expected = np.stack([reader(frame) for frame in np.moveaxis(frames, 1, 0)], axis=1)
    np.testing.assert_allclose(model(frames), expected, atol=1e-5)


def test_uint8_images_keep_their_range(implementation):
    layer = GaussianGlimpse((5, 7), implementation=implementation)
    frames = np.full([3, 20, 24, 1], 255, np.uint8)
    glimpses = layer(frames, ACTIVATIONS)
    assert glimpses.dtype == tf.float32
    np.testing.assert_allclose(glimpses, 255.0, rtol=1e-5)


def test_functional_model_of_any_image_size_saves_and_loads(implementation, tmp_path):
    images = keras.Input([None, None, 2])
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    activations = keras.layers.Dense(6, bias_initializer="ones")(pooled)
    outputs = GaussianGlimpse((5, 7), implementation=implementation)(
        images, activations
    )
    assert outputs.shape == (None, 5, 7, 2)
    model = keras.Model(images, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for size in [(20, 24), (9, 5)]:
        batch = IMAGES[:, : size[0], : size[1]]
        np.testing.assert_array_equal(model.predict(batch), loaded.predict(batch))


def test_config_round_trip():
    layer = GaussianGlimpse((5, 7), 0.1, "tf", return_window=True, name="look")
    assert GaussianGlimpse.from_config(layer.get_config()).get_config() == (
        layer.get_config()
    )


def test_trains(implementation):
    """The window finds a bright square by gradient descent."""
    images = np.zeros([1, 40, 40, 1], np.float32)
    images[:, 24:32, 8:16] = 1.0
    activations = tf.Variable([[0.0, 0.0, 5.0, 5.0, 0.3, 0.3]])
    layer = GaussianGlimpse((5, 5), implementation=implementation)
    optimizer = keras.optimizers.Adam(0.02)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer(images, activations))
        optimizer.apply([tape.gradient(loss, activations)], [activations])
    _, window = GaussianGlimpse((5, 5), return_window=True)(images, activations)
    np.testing.assert_allclose(window[0, :2], [11.5, 27.5], atol=1.5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_dtype_policies(implementation, dtype):
    layer = GaussianGlimpse(
        (5, 7), implementation=implementation, return_window=True, dtype=dtype
    )
    glimpses, window = layer(IMAGES, ACTIVATIONS)
    assert glimpses.dtype == layer.compute_dtype and window.dtype == tf.float32
    expected = GaussianGlimpse((5, 7))(IMAGES, ACTIVATIONS)
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-5}
    np.testing.assert_allclose(
        tf.cast(glimpses, tf.float32), expected, atol=tolerance[layer.compute_dtype]
    )


def test_jit_compiles():
    layer = GaussianGlimpse((5, 7))
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(
        compiled(IMAGES, ACTIVATIONS), layer(IMAGES, ACTIVATIONS), atol=1e-5
    )
    assert layer.supports_jit == (fallback_reason() is not None)
    assert GaussianGlimpse((5, 7), implementation="tf").supports_jit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"glimpse_size": (0, 5)}, "glimpse_size"),
        ({"glimpse_size": (5,)}, "glimpse_size"),
        ({"glimpse_size": 2.5}, "glimpse_size"),
        ({"glimpse_size": "ab"}, "glimpse_size"),
        ({"glimpse_size": None}, "glimpse_size"),
        ({"min_sigma": -1.0}, "min_sigma"),
        ({"implementation": "cuda"}, "implementation"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianGlimpse(**arguments)


def test_wrong_activations_are_named():
    with pytest.raises(ValueError, match="no `activations`"):
        GaussianGlimpse()(IMAGES)
    with pytest.raises(ValueError, match="activations"):
        GaussianGlimpse()(IMAGES, ACTIVATIONS[:, :5])
