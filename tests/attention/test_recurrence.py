import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.attention import library
from ratm_tf.attention.recurrence import recurrence

pytestmark = pytest.mark.skipif(
    library.unavailable_reason() is not None, reason="needs the fused op"
)
B, T, H, W, C, UNITS, SIZE = 3, 4, 13, 17, 2, 7, (5, 4)


def bank(center, sigma, stride, length, count):
    means = center + (np.arange(count) - (count - 1) / 2) * stride
    exponents = -((np.arange(length) - means[:, None]) ** 2) / (2 * sigma**2)
    filters = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return filters / filters.sum(axis=1, keepdims=True)


def test_is_the_papers_recurrence():
    rng = np.random.default_rng(0)
    frames = rng.random([B, T, H, W, C])
    inputs = np.prod(SIZE) * C
    hidden, bias = rng.random([B, UNITS]), rng.normal(size=UNITS)
    kernel = rng.normal(size=[inputs + UNITS, UNITS]) / np.sqrt(inputs)
    place = place_bias = [[8.0, 6.0, 0.1, -1.5, -2.0, 1.5]] * B
    place_kernel = rng.normal(size=[UNITS, 6]) * [1, 1, 0.1, 0.1, 0.1, 0.1]

    windows, glimpses = recurrence(
        tf.unstack(tf.cast(frames, tf.float32), axis=1),
        *(
            tf.constant(x, tf.float32)
            for x in (hidden, place, kernel, bias, place_kernel, place_bias)
        ),
        SIZE,
        min_sigma=0.5,
    )
    place = np.array(place)
    for t in range(T):
        window = np.concatenate([place[:, :2], np.abs(place[:, 2:])], axis=1)
        window[:, 2:4] = np.maximum(window[:, 2:4], 0.5)
        np.testing.assert_allclose(windows[:, t], window, rtol=1e-4)
        glimpse = [
            np.einsum(
                "nh,hwc,mw->nmc", bank(*w[1::2], H, 5), frame, bank(*w[::2], W, 4)
            )
            for w, frame in zip(window, frames[:, t], strict=True)
        ]
        np.testing.assert_allclose(glimpses[:, t], glimpse, atol=1e-4)
        both = np.concatenate([np.reshape(glimpse, [B, -1]), hidden], axis=1)
        hidden = np.maximum(both @ kernel + bias, 0)
        place = hidden @ place_kernel + place_bias


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("given", [False, True])
def test_gradients_are_those_of_the_loop(dtype, given):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, [B, T, H, W, C])
    frames = tf.constant(frames if dtype == "uint8" else frames / 255, dtype)
    cell = ratm_tf.RATMCell(
        UNITS, SIZE, initial_window="given" if given else "learned", min_sigma=0.5
    )
    cell.build([None, H, W, C])
    assert cell.plain
    for weight in cell.weights[:4]:
        weight.assign(weight + 0.2 * rng.normal(size=weight.shape))
    first = tf.constant([[0.1, -0.1, 1.0, -1.5, 0.4, -0.6]] * B)
    first += 0.1 * rng.normal(size=[B, 6])
    loop = keras.layers.RNN(cell, return_sequences=True)
    weights = [rng.normal(size=[B, T, 6]), rng.normal(size=[B, T, *SIZE, C])]

    def both(track):
        with tf.GradientTape() as tape:
            tape.watch(first)
            states = cell.get_initial_state(B, first if given else None)
            parts = track(states)
            loss = sum(
                tf.reduce_sum(part * weight)
                for part, weight in zip(parts, weights, strict=True)
            )
        sources = [weight.value for weight in cell.trainable_weights]
        return parts, tape.gradient(loss, sources + [first] * given)

    parts, gradients = both(tf.function(lambda states: cell.track(frames, states)))
    expected_parts, expected = both(
        lambda states: cell.split_output(loop(frames, initial_state=states))
    )
    for part, expected_part in zip(parts, expected_parts, strict=True):
        np.testing.assert_allclose(part, expected_part, rtol=1e-4, atol=1e-5)
    assert len(gradients) == 5
    for gradient, by_loop in zip(gradients, expected, strict=True):
        scale = np.max(np.abs(by_loop))
        assert scale > 0
        np.testing.assert_allclose(gradient / scale, by_loop / scale, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"features": keras.layers.Flatten()},
        {"recurrent_cell": keras.layers.GRUCell(8)},
        {"recurrent_cell": ratm_tf.IRNNCell(8, use_bias=False)},
        {"scales": (1, 2)},
        {"sees_window": True},
        {"window_update": "residual"},
        {"dtype": "mixed_bfloat16"},
        {"implementation": "tf"},
        {"recurrent_cell": ratm_tf.IRNNCell(8, activity_regularizer="l2")},
    ],
)
def test_cells_of_another_kind_are_not_plain(arguments):
    cell = ratm_tf.RATMCell(glimpse_size=SIZE, **arguments)
    cell.build([None, H, W, C])
    assert not cell.plain
