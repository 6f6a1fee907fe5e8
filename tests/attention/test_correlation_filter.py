import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention.correlation_filter import (
    CorrelationFilter,
    peak,
    standardized,
)

# Channels in whole vectors, and some more.
CELLS, CHANNELS, RIDGE = 16, 19, 0.016
MOST = 7
RNG = np.random.default_rng(0)


def smooth_maps(*shape):
    """Maps of few frequencies."""
    spectrum = np.fft.fft2(
        RNG.normal(size=[*shape, CELLS, CELLS, CHANNELS]), axes=(-3, -2)
    )
    frequencies = np.abs(np.fft.fftfreq(CELLS, 1 / CELLS)) <= 4
    spectrum *= np.outer(frequencies, frequencies)[..., np.newaxis]
    return np.fft.ifft2(spectrum, axes=(-3, -2)).real


def low(spectrum):
    """Without the frequencies that the filter has not."""
    kept = np.abs(np.fft.fftfreq(CELLS, 1 / CELLS)) <= MOST
    return spectrum * np.outer(kept, kept)[..., np.newaxis]


def transformed(maps, exponent):
    hann = np.hanning(CELLS) ** exponent
    window = np.outer(hann, hann)[..., np.newaxis]
    return low(np.fft.fft2(maps * window, axes=(-3, -2)))


def label():
    distances = (np.arange(CELLS) + CELLS // 2) % CELLS - CELLS // 2
    of_axis = np.exp(-0.5 * (distances / (0.06 * CELLS)) ** 2)
    return np.fft.fft2(np.outer(of_axis, of_axis))[..., np.newaxis]


def reference_filter(samples, support=None, rounds=2):
    """The filter's spectrum, by the formulas of the papers."""
    spectra = [transformed(maps, 0.75) for maps in samples]
    numerator = np.mean([np.conj(label()) * one for one in spectra], axis=0)
    power = np.mean([np.sum(np.abs(one) ** 2, axis=-1) for one in spectra], axis=0)
    denominator = power[..., np.newaxis] + RIDGE * CELLS**2
    if support is None:
        return numerator / denominator
    halves = np.abs((np.arange(CELLS) + 0.5) / CELLS * 2 - 1)
    inside = 1 / (1 + np.exp((halves / support - 1) / 0.13))
    mask = np.outer(inside, inside)[..., np.newaxis]

    def kept_inside(spectrum):
        maps = np.fft.ifft2(spectrum, axes=(0, 1))
        return low(np.fft.fft2(maps * mask, axes=(0, 1)))

    kept = np.abs(np.fft.fftfreq(CELLS, 1 / CELLS)) <= MOST
    penalty = 0.2 * denominator[kept][:, kept][: MOST + 1].mean()
    constrained = kept_inside(numerator / denominator)
    dual = np.zeros_like(constrained)
    for _ in range(rounds):
        free = (numerator + penalty * constrained - dual) / (denominator + penalty)
        free = low(free)
        constrained = kept_inside(free + dual / penalty)
        dual += penalty * (free - constrained)
        penalty *= 3
    return constrained


def reference_response(spectrum, maps):
    product = np.sum(np.conj(spectrum) * transformed(maps, 0.5), axis=-1)
    response = np.fft.ifft2(product).real
    return np.fft.fftshift(response)


@pytest.mark.parametrize("support", [None, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_ridge_regression_of_several_windows(support, dtype, implementation):
    samples, searched = smooth_maps(2), smooth_maps(3)
    subject = CorrelationFilter(
        CELLS, support, ridge=RIDGE, implementation=implementation
    )
    fits = subject.fit(tf.constant(samples, dtype))
    solved = subject.solve(*(tf.reduce_mean(fit, axis=0)[tf.newaxis] for fit in fits))
    response = subject.respond(solved, tf.constant(searched, dtype))

    spectrum = reference_filter(samples, support)
    expected = [reference_response(spectrum, maps) for maps in searched]
    np.testing.assert_allclose(
        response, expected, 0, 1e-4 if dtype == "float32" else 1e-12
    )


def test_each_sequence_has_its_own_filter_and_windows(implementation):
    samples, searched = np.float32(smooth_maps(2)), np.float32(smooth_maps(2, 3))
    subject = CorrelationFilter(CELLS, 0.5, implementation=implementation)
    solved = subject.solve(*subject.fit(tf.constant(samples)))
    together = subject.respond(
        solved, tf.reshape(tf.constant(searched), [6, CELLS, CELLS, CHANNELS])
    )
    for index in range(2):
        one = slice(index, index + 1)
        learnt = subject.solve(*subject.fit(tf.constant(samples[one])))
        alone = subject.respond(learnt, tf.constant(searched[index]))
        np.testing.assert_allclose(together[3 * index : 3 * index + 3], alone, 0, 1e-5)


def test_a_support_leaves_the_surroundings_out():
    maps = tf.constant(smooth_maps(1))
    surroundings = np.ones([CELLS, CELLS, 1])
    surroundings[4:-4, 4:-4] = 0

    def share(support):
        subject = CorrelationFilter(CELLS, support)
        solved = subject.solve(*subject.fit(maps))
        # The filter itself: the response to a single bright cell, seen by one channel.
        places = np.zeros([1, CELLS, CELLS, CHANNELS])
        places[0, CELLS // 2, CELLS // 2, 0] = 1
        answer = subject.respond(solved, tf.constant(places)).numpy()[0]
        # It is seen from the other side.
        answer = answer[::-1, ::-1, np.newaxis] ** 2
        return (answer * surroundings).sum() / answer.sum()

    assert share(0.4) < 0.2 * share(None)


def test_gradients_are_right():
    subject = CorrelationFilter(CELLS, 0.5)
    samples, searched = smooth_maps(1), smooth_maps(1)

    @tf.function  # A graph: it is called some hundred times.
    def loss(samples, searched):
        response = subject.respond(subject.solve(*subject.fit(samples)), searched)
        return tf.reduce_sum(tf.square(response))

    theory, numeric = tf.test.compute_gradient(
        lambda step: loss(samples + step * 0.1, searched - step * 0.1),
        [tf.constant(RNG.normal(size=[1, CELLS, CELLS, 1]) * 0.01)],
        delta=1e-5,
    )
    np.testing.assert_allclose(theory[0], numeric[0], 1e-4, 1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_peak_lies_between_cells(dtype, implementation):
    x, y = np.meshgrid(*[np.arange(CELLS) - CELLS // 2] * 2)
    response = np.exp(-0.5 * ((x - 3.3) ** 2 + (y + 2.2) ** 2) / 9)
    place, height, sharpness = peak(
        tf.constant(response[np.newaxis], dtype), implementation
    )
    np.testing.assert_allclose(place[0], [3.3, -2.2], atol=0.02)
    np.testing.assert_allclose(height[0], response.max(), rtol=1e-6)
    low = response.min()
    expected = (response.max() - low) ** 2 / np.mean((response - low) ** 2)
    np.testing.assert_allclose(sharpness[0], expected, rtol=1e-5)


@pytest.mark.parametrize("place", [(0, 0), (CELLS - 1, CELLS - 1)])
def test_beside_a_peak_at_an_edge_is_the_other_edge(place, implementation):
    response = RNG.uniform(0, 0.5, [1, CELLS, CELLS]).astype(np.float32)
    row, column = place
    response[0, row, column] = 1
    flat, index = response.ravel(), row * CELLS + column
    offset = []
    for step in (1, CELLS):
        before, after = flat[index - step], flat[(index + step) % CELLS**2]
        offset.append(0.5 * (after - before) / (2 - before - after))
    expected = np.array([column, row]) - CELLS // 2 + offset
    found, _, _ = peak(tf.constant(response), implementation)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_a_flat_response_has_a_peak_somewhere(implementation):
    place, height, sharpness = peak(tf.zeros([1, CELLS, CELLS]), implementation)
    assert np.isfinite(place).all() and height[0] == 0 and sharpness[0] == 0


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 16])
def test_maps_are_standardized(centred, channels, implementation):
    maps = RNG.normal(2.0, 3.0, [2, 5, 7, channels]).astype(np.float32)
    found = standardized(tf.constant(maps), 0.1, 0.2, centred, implementation)
    expected = np.float64(maps)
    if centred:
        expected = expected - expected.mean(axis=(1, 2), keepdims=True)
    power = np.mean(expected**2, axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, expected / (np.sqrt(power + 0.1) + 0.2), 0, 1e-5)


@pytest.mark.parametrize("cells", [3, 2, 7])
def test_other_sizes_are_refused(cells):
    with pytest.raises(ValueError, match=f"`cells`.*Received: {cells}"):
        CorrelationFilter(cells)
