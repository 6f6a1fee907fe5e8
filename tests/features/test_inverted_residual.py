import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.features import InvertedResidual
from tests.features.convolution import convolved

RNG = np.random.default_rng(0)
# Channels that come in and options, with maps in between of whole vectors and others.
CASES = {
    "adds": (5, {"expanded": 24, "filters": 5}),
    "adds none": (3, {"expanded": 7, "filters": 24}),
    "first": (
        3,
        {"expanded": 32, "filters": 16, "kernel_size": 3, "expand_strides": 2},
    ),
    "half": (4, {"expanded": 9, "filters": 4, "strides": 2}),
    "wide": (1, {"expanded": 2, "filters": 1, "kernel_size": 4, "expand_strides": 3}),
    "sparse": (2, {"expanded": 8, "filters": 3, "expand_strides": 2, "strides": 3}),
}
TOLERANCES = {"float32": 2e-6, "float16": 5e-3, "bfloat16": 4e-2, "float64": 1e-12}


def layer_of(case, **options):
    channels, sizes = CASES[case]
    layer = InvertedResidual(**sizes, **options)
    layer.build([None, None, None, channels])
    for weight in layer.weights:
        fan = np.prod(weight.shape[:-1])
        weight.assign(2 * RNG.normal(size=weight.shape) / np.sqrt(fan))
    return layer


def reference(layer, maps):
    """By six arrays in float64."""
    expand, expand_bias, depthwise, depthwise_bias, project, project_bias = (
        weight.numpy().astype(float) for weight in layer.weights
    )
    x = convolved(maps, expand.transpose(3, 2, 0, 1), layer.expand_strides)
    x = np.clip(x + expand_bias, 0, 6)
    x = convolved(x, depthwise.transpose(2, 0, 1)[:, np.newaxis], layer.strides)
    x = np.clip(x + depthwise_bias, 0, 6) @ project + project_bias
    return x + maps if x.shape == maps.shape else x


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3)])
@pytest.mark.parametrize("case", CASES)
def test_is_what_the_paper_says(case, size, dtype, implementation):
    layer = layer_of(case, dtype=dtype, implementation=implementation)
    maps = 3 * RNG.normal(size=[3, *size, CASES[case][0]])
    maps = maps.astype("float32" if dtype != "float64" else dtype)
    expected = reference(layer, maps.astype(float))
    found = layer(maps)
    assert found.dtype == dtype
    assert found.shape == expected.shape == layer.compute_output_shape(maps.shape)
    tolerance = TOLERANCES[dtype] * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_numerical_ones(case, implementation):
    layer = layer_of(case, dtype="float64")
    maps = tf.constant(RNG.normal(size=[2, 4, 5, CASES[case][0]]))

    @tf.function
    def loss(maps):
        return tf.reduce_sum(tf.sin(tf.cast(layer(maps), tf.float64)))

    def gradients(layer, maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            value = tf.reduce_sum(tf.sin(layer(maps)))
        return tape.gradient(value, [maps, *(w.value for w in layer.weights)])

    (analytical,), (numerical,) = tf.test.compute_gradient(loss, [maps], delta=1e-6)
    np.testing.assert_allclose(analytical, numerical, atol=1e-6)
    narrow = layer_of(case, implementation=implementation)
    narrow.set_weights(layer.get_weights())
    for found, expected in zip(
        tf.function(gradients)(narrow, tf.cast(maps, tf.float32)),
        gradients(layer, maps),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_shapes_are_known_as_far_as_they_can_be(implementation):
    layer = layer_of("first", implementation=implementation)
    for size, expected in (((64, 64), (32, 32)), ((None, 5), (None, 3))):
        spec = tf.TensorSpec([None, *size, 3])
        graph = tf.function(layer).get_concrete_function(spec)
        assert tuple(graph.output_shapes) == (None, *expected, 16)
        assert layer.compute_output_shape(spec.shape) == (None, *expected, 16)


def test_batches_without_maps_have_none(implementation):
    layer = layer_of("adds", implementation=implementation)
    assert layer(tf.zeros([0, 8, 8, 5])).shape == (0, 8, 8, 5)


def test_what_is_no_number_stays_where_it_is(implementation):
    layer = layer_of("adds", implementation=implementation)
    maps = np.ones([1, 9, 9, 5], np.float32)
    maps[0, 4, 4, 2] = np.nan
    found = np.isnan(layer(maps)).any(axis=(0, 3))
    assert found[3:6, 3:6].any()
    found[3:6, 3:6] = False
    assert not found.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expanded": 0}, "`expanded`.*Received: 0"),
        ({"filters": 2.0}, r"`filters`.*Received: 2\.0"),
        ({"kernel_size": -1}, "`kernel_size`"),
        ({"expand_strides": None}, "`expand_strides`"),
        ({"strides": (2, 2)}, r"`strides`.*\(2, 2\)"),
        ({"implementation": "fast"}, "`implementation`"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        InvertedResidual(**({"expanded": 4, "filters": 2} | options))


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 8, None)])
def test_maps_of_unknown_form_are_refused(shape):
    with pytest.raises(ValueError, match=r"\[B, N, M, C\] with a known C"):
        InvertedResidual(4, 2).build(shape)
