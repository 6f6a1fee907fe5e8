import keras
import numpy as np
import pytest

from ratm_tf.features import EvenBrightness

GLIMPSES = np.random.default_rng(0).random([4, 6, 5, 2]).astype(np.float32)


@pytest.mark.parametrize("mean", [0.1, 2.0])
def test_scales_each_glimpse_alone(mean):
    found = EvenBrightness(mean)(GLIMPSES)
    for glimpse, scaled in zip(np.float64(GLIMPSES), found, strict=True):
        expected = glimpse * mean / (glimpse.mean() + 1e-3)
        np.testing.assert_allclose(scaled, expected, rtol=1e-5)


def test_a_darker_glimpse_comes_out_the_same():
    layer = EvenBrightness()
    np.testing.assert_allclose(layer(GLIMPSES / 4), layer(GLIMPSES), rtol=1e-2)


def test_nothing_to_see_stays_nothing():
    dark = keras.ops.zeros([1, 6, 5, 1])
    np.testing.assert_array_equal(EvenBrightness()(dark), dark)
    assert np.max(EvenBrightness()(dark + 1e-5)) < 1e-2


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`mean` > 0"):
        EvenBrightness(0.0)
    with pytest.raises(ValueError, match=r"\[B, N, M, C\]"):
        EvenBrightness()(GLIMPSES[0])
