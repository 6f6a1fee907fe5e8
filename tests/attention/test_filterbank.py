import doctest

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention import filterbank
from tests.attention import reference


def test_grid_means_are_equation_9():
    mu = filterbank.grid_means([10.0, -3.0], [2.0, -0.5], 4)
    np.testing.assert_allclose(mu, [[7, 9, 11, 13], [-2.25, -2.75, -3.25, -3.75]])
    assert mu.dtype == tf.float64


def test_grid_means_keep_half_pixels_of_large_frames():
    mu = filterbank.grid_means(np.float32(4095.5), np.float32(0.0009765625), 3)
    np.testing.assert_array_equal(mu, 4095.5 + np.array([-1, 0, 1]) / 1024)


@pytest.mark.parametrize("center", [-1e30, -40.0, 0.0, 7.5, 12.3, 19.0, 60.0, 1e30])
@pytest.mark.parametrize("sigma", [-1.0, 0.0, 1e-3, 0.1, 1.0, 30.0, 1e30])
def test_rows_are_normalised_everywhere(center, sigma):
    mu = filterbank.grid_means(tf.constant(center, tf.float64), 1.5, 5)
    bank = filterbank.filter_bank(mu, tf.constant(sigma, tf.float64), 20)
    expected, _, _ = reference.filter_bank(center, sigma, 1.5, 5, 20)
    np.testing.assert_allclose(tf.reduce_sum(bank, -1), np.ones(5), rtol=1e-12)
    np.testing.assert_allclose(bank, expected, atol=1e-12)


def test_vanishing_sigma_reads_the_nearest_pixel_and_off_image_the_edge():
    bank = filterbank.filter_bank([[-50.0, 1.4, 2.6, 50.0]], [0.0], 5)
    np.testing.assert_array_equal(tf.argmax(bank[0], axis=-1), [0, 1, 3, 4])
    np.testing.assert_array_equal(tf.reduce_max(bank[0], axis=-1), np.ones(4))


def test_length_of_one():
    bank = filterbank.filter_bank([[-2.0, 0.0, 9.0]], [0.3], 1)
    np.testing.assert_array_equal(bank, np.ones([1, 3, 1]))


def test_gradient_below_the_floor_of_sigma_is_zero():
    mu = tf.constant([[3.5]], tf.float64)
    for sigma in (-2.0, 0.0, 0.9e-6):
        sigma = tf.constant([sigma], tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(sigma)
            bank = filterbank.filter_bank(mu, sigma, 8)
            loss = tf.reduce_sum(bank * tf.range(8, dtype=tf.float64) ** 2)
        assert tape.gradient(loss, sigma).numpy() == 0


def test_examples():
    results = doctest.testmod(
        filterbank, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert results.attempted and not results.failed
