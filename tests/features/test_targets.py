import keras
import numpy as np
import pytest

from ratm_tf.features import target_features


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_of_what_lies_about_their_cells(channels):
    model = target_features(channels, filters=8)
    assert model.input_shape == (None, 64, 64, channels)
    assert model.output_shape == (None, 32, 32, 8)
    glimpse = np.zeros([1, 64, 64, channels], np.float32)
    glimpse[0, 30:32, 20:22] = 1
    change = np.abs(model(glimpse) - model(np.zeros_like(glimpse)))[0].sum(axis=-1)
    rows, columns = np.nonzero(change)
    # Cell (15, 10) covers these pixels, and lies in the middle of what they change.
    assert (rows.min(), rows.max()) == (13, 17)
    assert (columns.min(), columns.max()) == (8, 12)


def test_weights_are_its_own():
    keras.utils.set_random_seed(0)
    first, second = target_features(), target_features()
    assert np.abs(first.weights[0] - second.weights[0]).max() > 0
