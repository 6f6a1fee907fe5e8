import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention.glimpse_cell import GlimpseCell
from tests.attention import reference

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, [2, 20, 24, 3], np.uint8)
RAW = np.float32(RNG.uniform(-0.5, 0.5, [2, 4, 6]))


class Cell(GlimpseCell):
    def __init__(self, implementation="auto"):
        super().__init__((5, 7), implementation=implementation)
        self._channels = 3


def expected(frames, raw):
    """Glimpses `[B, K, N, M, C]` by Eq. 4-11 in float64."""
    span = np.array([23, 19])
    center = span * (raw[..., :2] + 1) / 2
    stride = span / [6, 4] * abs(raw[..., 4:])
    windows = np.concatenate([center, np.maximum(abs(raw[..., 2:4]), 0.25), stride], -1)
    return windows, reference.glimpse(frames, windows, (5, 7))


@pytest.mark.parametrize("implementation", ["auto", "tf"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_reads_are_in_0_to_1(implementation, dtype):
    frames = FRAMES if dtype == np.uint8 else np.float32(FRAMES / 255)
    glimpses, windows = Cell(implementation).read(tf.constant(frames), tf.constant(RAW))
    true_windows, true_glimpses = expected(FRAMES, RAW)
    np.testing.assert_allclose(windows, true_windows, rtol=1e-5)
    np.testing.assert_allclose(glimpses, true_glimpses / 255, 0, 1e-5)


def test_all_read_one_frame():
    glimpses, _ = Cell().read(tf.constant(FRAMES[:1]), tf.constant(RAW))
    _, true_glimpses = expected(FRAMES[[0, 0]], RAW)
    np.testing.assert_allclose(glimpses, true_glimpses / 255, 0, 1e-5)


def test_a_shape_needs_channels():
    cell = Cell()
    assert cell.glimpse_shape == (5, 7, 3)
    cell._channels = None
    with pytest.raises(ValueError, match="built cell"):
        _ = cell.glimpse_shape
