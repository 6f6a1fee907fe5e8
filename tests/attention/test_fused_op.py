import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention.correlation_filter import (
    CorrelationFilter,
    peak,
    standardized,
)
from ratm_tf.attention.fused_op import fused_op
from ratm_tf.attention.implementation import implementation_scope

RNG = np.random.default_rng(0)


def filtered(maps, implementation="auto"):
    subject = CorrelationFilter(16, 0.5, implementation=implementation)
    return subject.respond(subject.solve(*subject.fit(maps)), maps)


def types_of(function, dtype=tf.float32):
    graph = tf.function(function).get_concrete_function(
        tf.TensorSpec([None, 16, 16, 8], dtype)
    )
    return {op.type for op in graph.graph.get_operations()}


def test_it_is_one_op_where_that_is_wanted(fused):
    names = {"Ratm>CorrelationFit", "Ratm>CorrelationSolve", "Ratm>CorrelationRespond"}
    assert names <= types_of(filtered)
    assert not names & types_of(lambda maps: filtered(maps, "tf"))
    assert not names & types_of(filtered, tf.float64)
    with implementation_scope("tf"):
        assert not names & types_of(filtered)


def test_xla_compiles_it(fused):
    maps = tf.constant(RNG.normal(size=[1, 16, 16, 8]), tf.float32)
    compiled = tf.function(filtered, jit_compile=True)
    np.testing.assert_allclose(compiled(maps), filtered(maps), atol=1e-4)


@pytest.mark.parametrize("eager", [False, True])
def test_gradients_are_the_functions(fused, eager):
    def loss(maps, dtype):
        response = filtered(standardized(tf.cast(maps, dtype), centred=True))
        _, height, _ = peak(response)
        return tf.reduce_sum(height) + tf.reduce_mean(tf.square(response))

    def gradient(maps, dtype):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            value = loss(maps, dtype)
        return tape.gradient(value, maps)

    maps = tf.constant(RNG.normal(size=[2, 16, 16, 8]))
    run = gradient if eager else tf.function(gradient)
    expected = gradient(maps, tf.float64)
    found = run(maps, tf.float32)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-3)


def test_a_library_without_the_op_runs_the_function(fused):
    @fused_op("NoSuchOpEither")
    def sums(maps, weights, *, scale):
        return scale * maps @ weights

    maps = tf.constant(RNG.normal(size=[2, 3]), tf.float32)
    found = sums("auto", maps, np.ones([3, 1]), scale=2.0)
    np.testing.assert_allclose(found[:, 0], 2 * maps.numpy().sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda ops, x: ops.ratm_correlation_fit(x, x[0, 0], x[0, 0], x[0]),
        lambda ops, x: ops.ratm_correlation_solve(
            x, x[0], x[0, 0], x[0, 0], x[0, 0], ridge=1.0, rounds=1
        ),
        lambda ops, x: ops.ratm_correlation_respond(
            x, x, x[0, 0], x[0, 0], x[0, 0], x[0, 0]
        ),
        lambda ops, x: ops.ratm_response_peak(x[0]),
        lambda ops, x: ops.ratm_colour_histograms(x, x[0, 0], bins=4, neighbours=0.2),
        lambda ops, x: ops.ratm_colour_likelihood(
            x[0], x, x[0, 0], x[0, 0], bins=4, doubt=0.1
        ),
        lambda ops, x: ops.ratm_inverted_residual(
            *(x, x, x[0, 0, 0], x[0], x[0, 0, 0], x[0, 0], x[0, 0, 0]),
            expand_strides=1,
            strides=1,
        ),
    ],
)
def test_kernels_refuse_shapes_that_do_not_fit(fused, call):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the shape"):
        call(fused, tf.ones([2, 3, 4, 5]))


def test_kernels_refuse_glimpses_without_pixels(fused):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must not be empty"):
        fused.ratm_colour_likelihood(
            tf.ones([1, 4, 2]),
            tf.ones([1, 3, 0, 1]),
            tf.ones([2, 3]),
            tf.ones([0, 2]),
            bins=4,
            doubt=0.1,
        )


def test_what_is_no_number_stays_so(fused):
    responses = np.ones([2, 4, 4], np.float32)
    responses[0], responses[1, 2, 3] = np.nan, np.nan
    place, _, sharpness = peak(tf.constant(responses), "fused")
    assert np.isnan(place[0]).all()
    assert np.isnan(sharpness).all()
