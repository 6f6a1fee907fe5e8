"""Which of a window's pixels have a target's colours, and which its surroundings'."""

import numpy as np
import tensorflow as tf

# Bins of an axis of RGB, and of grey.
_BINS = {3: 16, 1: 64}
# A colour of which less has been seen than this says little.
_DOUBT = 3e-4


class ColourLikelihood:
    """How likely a target's box is where, by two histograms of colour.

    One is of an ellipse in the box in the middle of a window, the other of what is well
    outside of that box. By Bayes' rule, with even odds, they tell for each pixel of
    another window how likely it is of the target (Possegger, Mauthner and Bischof, *In
    defense of color-based model-free tracking*, 2015).

    Args:
        glimpse_shape: `(N, M, C)` of what windows show, with 1 or 3 channels.
        cells: rows and columns of the map of likelihoods.
        context: how many times wider and higher than the target windows are.

    Raises:
        ValueError: there is another number of channels.

    Example:
    >>> likelihood = ColourLikelihood((64, 64, 3), cells=32, context=3.5)
    >>> glimpses = tf.random.uniform([2, 64, 64, 3])
    >>> histograms = likelihood.histograms(glimpses)
    >>> likelihood.of_boxes(histograms, glimpses).shape
    TensorShape([2, 32, 32])
    """

    def __init__(
        self, glimpse_shape: tuple[int, int, int], cells: int, context: float
    ) -> None:
        *size, self._channels = glimpse_shape
        if self._channels not in _BINS:
            raise ValueError(
                "Expected frames of 1 or 3 channels, grey or RGB. Received: "
                f"{self._channels}"
            )
        self._bins = _BINS[self._channels]
        # In halves of the box, from the middle of the window.
        v, u = (np.abs((np.arange(n) + 0.5) / n * 2 - 1) * context for n in size)
        y, x = v[:, np.newaxis], u
        target = (np.maximum(x, y) < 0.9) & (x**2 + y**2 < 1.4)
        self._areas = np.stack([target, np.maximum(x, y) > 1.3], axis=-1)
        self._areas = self._areas.reshape(-1, 2)
        # A colour's neighbours are much like it.
        smooth = 0.6 * np.eye(self._bins) + 0.2 * (
            np.eye(self._bins, k=1) + np.eye(self._bins, k=-1)
        )
        self._smooth = smooth
        self._rows, self._columns = (_box_means(n, cells, context) for n in size)

    @property
    def size(self) -> int:
        """Bins of a histogram."""
        return self._bins**self._channels

    def histograms(self, glimpses: tf.Tensor) -> tf.Tensor:
        """The colours of targets in the middle of windows, and of what is around.

        Args:
            glimpses: float32 `[B, N, M, C]` in 0..1.

        Returns:
            float32 `[B, size, 2]`, each of the two adding up to one.
        """
        index = self._index(glimpses)
        count = tf.shape(index)[0]
        apart = index + self.size * tf.range(count)[:, tf.newaxis]
        areas = tf.tile(tf.cast(self._areas, glimpses.dtype), [count, 1])
        sums = tf.math.unsorted_segment_sum(
            areas, tf.reshape(apart, [-1]), self.size * count
        )
        for axis in range(self._channels):
            rest = self._bins ** (self._channels - 1 - axis)
            sums = self._smooth @ tf.reshape(sums, [-1, self._bins, 2 * rest])
        sums = tf.reshape(sums, [-1, self.size, 2])
        return sums / tf.reduce_sum(sums, axis=1, keepdims=True)

    def of_boxes(self, histograms: tf.Tensor, glimpses: tf.Tensor) -> tf.Tensor:
        """The mean likelihood inside the box, wherever in a window it may be.

        Args:
            histograms: float32 `[B, size, 2]`.
            glimpses: float32 `[B, N, M, C]` in 0..1.

        Returns:
            float32 `[B, cells, cells]`, as a multiple of what the target itself should
            have: at `[cells / 2 + y, cells / 2 + x]`, that of a box which is `x`, `y`
            cells from the window's middle.
        """
        target, around = tf.unstack(histograms, axis=-1)
        likely = (0.5 * target + 0.3 * _DOUBT) / (0.5 * (target + around) + _DOUBT)
        expected = tf.reduce_sum(target * likely, axis=-1, keepdims=True)
        likely /= tf.maximum(expected, 0.05)
        pixels = tf.gather(likely, self._index(glimpses), batch_dims=1)
        rows, columns = self._rows, self._columns
        pixels = tf.reshape(pixels, [-1, rows.shape[1], columns.shape[1]])
        return rows @ pixels @ columns.T

    def _index(self, glimpses):
        """The bin of each pixel: int32 `[B, N * M]`."""
        bins = tf.cast(glimpses * self._bins, tf.int32)
        bins = tf.clip_by_value(bins, 0, self._bins - 1)
        places = self._bins ** np.arange(self._channels - 1, -1, -1, dtype=np.int32)
        index = tf.reduce_sum(bins * places, axis=-1)
        return tf.reshape(index, [-1, len(self._areas)])


def _box_means(size, cells, context):
    """Means over a box along an axis, at each displacement: `[cells, size]`."""
    pixels = (np.arange(size) + 0.5) / size - 0.5  # In windows.
    displacements = (np.arange(cells) / cells - 0.5)[:, np.newaxis]
    half = 0.475 / context  # A little inside of its edges.
    inside = (half - np.abs(pixels - displacements)) * size + 0.5
    return np.clip(inside, 0, 1) / (2 * half * size)
