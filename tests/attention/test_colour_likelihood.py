import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention.colour_likelihood import ColourLikelihood

CONTEXT = 4.0
RED, GREEN = [0.8, 0.1, 0.1], [0.2, 0.6, 0.1]


def window(colours, shift=0, size=32):
    """A target of one colour, a quarter of the window, on another colour."""
    target, around = colours
    picture = np.tile(np.float32(around), [size, size, 1])
    half = size // 8
    middle = size // 2
    picture[
        middle - half : middle + half, middle + shift - half : middle + shift + half
    ] = target
    return picture[np.newaxis]


def test_histograms_are_of_the_target_and_of_its_surroundings(implementation):
    subject = ColourLikelihood((32, 32, 3), 16, CONTEXT, implementation)
    histograms = subject.histograms(tf.constant(window([RED, GREEN]))).numpy()[0]
    np.testing.assert_allclose(histograms.sum(axis=0), 1, rtol=1e-6)
    for colour, histogram in zip([RED, GREEN], histograms.T, strict=True):
        bins = np.floor(np.array(colour) * 16).astype(int)
        place = tuple(bins)
        cube = histogram.reshape(16, 16, 16)
        assert np.unravel_index(cube.argmax(), cube.shape) == place
        np.testing.assert_allclose(cube[place], 0.6**3, rtol=1e-5)
        neighbour = cube[bins[0] - 1, bins[1], bins[2]]
        np.testing.assert_allclose(neighbour, 0.2 * 0.6**2, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_target_is_likely_where_its_colour_is(channels, implementation):
    colours = np.array([RED, GREEN])[:, :channels]
    subject = ColourLikelihood((32, 32, channels), 16, CONTEXT, implementation)
    histograms = subject.histograms(tf.constant(window(colours)))
    likely = subject.of_boxes(histograms, tf.constant(window(colours, shift=6)))[
        0
    ].numpy()
    assert np.unravel_index(likely.argmax(), likely.shape) == (8, 8 + 3)
    np.testing.assert_allclose(likely.max(), 1, atol=0.05)
    assert likely[2, 2] < 0.02


def test_means_are_over_the_box(implementation):
    """By Bayes' rule, from the histograms, pixel by pixel, in float64."""
    rng = np.random.default_rng(0)
    glimpses = rng.uniform(size=[2, 32, 32, 1]).astype(np.float32)
    subject = ColourLikelihood((32, 32, 1), 16, CONTEXT, implementation)
    histograms = np.float64(subject.histograms(tf.constant(glimpses[:1])))[0]
    target, around = histograms.T
    likely = (0.5 * target + 0.9e-4) / (0.5 * (target + around) + 3e-4)
    likely /= max(np.sum(target * likely), 0.05)
    pixels = likely[np.minimum(np.int32(glimpses[1, ..., 0] * 64), 63)]

    def inside(displacement):
        distance = np.abs((np.arange(32) + 0.5) / 32 - 0.5 - displacement / 16)
        half = 0.475 / CONTEXT
        return np.clip((half - distance) * 32 + 0.5, 0, 1) / (2 * half * 32)

    expected = [
        [inside(y) @ pixels @ inside(x) for x in range(-8, 8)] for y in range(-8, 8)
    ]
    likelihood = subject.of_boxes(
        tf.constant(histograms[np.newaxis], tf.float32), tf.constant(glimpses[1:])
    )
    np.testing.assert_allclose(likelihood[0], expected, rtol=1e-4)


def test_each_sequence_has_its_own_colours(implementation):
    subject = ColourLikelihood((32, 32, 3), 16, CONTEXT, implementation)
    first, second = window([RED, GREEN]), window([GREEN, RED])
    histograms = subject.histograms(tf.constant(np.concatenate([first, second])))
    np.testing.assert_allclose(histograms[0, :, 0], histograms[1, :, 1], 1e-5)
    likely = subject.of_boxes(histograms, tf.constant(np.concatenate([first, second])))
    np.testing.assert_allclose(likely[0], likely[1], rtol=1e-5)


def test_colours_beyond_the_range_are_those_at_its_ends(implementation):
    subject = ColourLikelihood((4, 4, 1), 4, 2.0, implementation)
    glimpses = np.full([1, 4, 4, 1], 1.5, np.float32)
    glimpses[0, 1:3, 1:3] = -0.5  # The target; around it are the others.
    histograms = subject.histograms(tf.constant(glimpses)).numpy()[0]
    # At an end there is but one neighbour.
    np.testing.assert_allclose(histograms[[0, 63], [0, 1]], 0.6 / 0.8, rtol=1e-5)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="1 or 3 channels.*Received: 2"):
        ColourLikelihood((32, 32, 2), 16, CONTEXT)
