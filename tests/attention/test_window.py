import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention import window as w
from ratm_tf.boxes import corner_box, extent_box

FRAME, GLIMPSE = (41, 81), (5, 9)


def activations(count=7, seed=0):
    return np.random.default_rng(seed).normal(size=[count, 6]).astype(np.float32)


def test_scaling_follows_equations_6_to_8():
    a = activations()
    window = w.window_from_activations(a, FRAME, GLIMPSE).numpy()
    expected = np.stack(
        [
            80 * (a[:, 0] + 1) / 2,
            40 * (a[:, 1] + 1) / 2,
            abs(a[:, 2]),
            abs(a[:, 3]),
            80 / 8 * abs(a[:, 4]),
            40 / 4 * abs(a[:, 5]),
        ],
        axis=-1,
    )
    np.testing.assert_allclose(window, expected, rtol=1e-6)


def test_stride_one_spans_the_frame():
    window = w.window_from_activations([0.0, 0, 1, 1, 1, 1], FRAME, GLIMPSE)
    np.testing.assert_allclose(corner_box(window, GLIMPSE), [0, 0, 80, 40])
    np.testing.assert_allclose(extent_box(window, GLIMPSE), [-5, -5, 85, 45])


def test_min_sigma_is_a_floor():
    window = w.window_from_activations([0.0, 0, 0.1, -3, 1, 1], FRAME, GLIMPSE, 0.5)
    np.testing.assert_allclose(window[2:4], [0.5, 3.0])


def test_gradient_is_that_of_the_scaling():
    a = activations(count=50)
    upstream = activations(count=50, seed=1)

    def scaled(a):
        window = w.window_from_activations(a, FRAME, GLIMPSE, 0.5)
        return tf.reduce_sum(upstream * window)

    variable = tf.Variable(a)
    with tf.GradientTape() as tape:
        total = scaled(variable)
    slope = np.where(a < 0, -1, 1) * ((abs(a) >= 0.5) | ([False] * 4 + [True] * 2))
    slope[:, :2] = 1
    expected = upstream * slope * [40, 20, 1, 1, 10, 10]
    np.testing.assert_allclose(tape.gradient(total, variable), expected, rtol=1e-6)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so_and_alone(number, value):
    a = activations(count=1)[0]
    expected = w.window_from_activations(a, FRAME, GLIMPSE).numpy()
    a[number] = value
    window = w.window_from_activations(a, FRAME, GLIMPSE).numpy()
    expected[number] = value if number < 2 else abs(value)
    np.testing.assert_array_equal(window, expected)


def test_activations_invert_the_scaling():
    a = activations()
    a[:, 2:] = abs(a[:, 2:])
    window = w.window_from_activations(a, FRAME, GLIMPSE)
    inverse = w.activations_from_window(window, FRAME, GLIMPSE)
    np.testing.assert_allclose(inverse, a, atol=1e-5)


@pytest.mark.parametrize("frame", [(1, 1), (1, 30), (30, 1)])
@pytest.mark.parametrize("glimpse", [(1, 1), (1, 4)])
def test_one_pixel_axes_stay_finite(frame, glimpse):
    window = w.window_from_activations(activations(), frame, glimpse)
    assert np.isfinite(window).all()
    assert np.isfinite(w.activations_from_window(window, frame, glimpse)).all()


def test_frame_size_may_be_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec([None, None, 1])])
    def scale(frame):
        size = tf.unstack(tf.shape(frame)[:2])
        return w.window_from_activations([0.0, 0, 1, 1, 1, 1], size, GLIMPSE)

    np.testing.assert_allclose(scale(tf.zeros([41, 81, 1])), [40, 20, 1, 1, 10, 10])
