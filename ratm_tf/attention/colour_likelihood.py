"""Which of a window's pixels have a target's colours, and which its surroundings'."""

import numpy as np
import tensorflow as tf

from ratm_tf.attention.fused_op import fused_op
from ratm_tf.types import Implementation

# Bins of an axis of RGB, and of grey.
_BINS = {3: 16, 1: 64}
# A colour of which less has been seen than this says little.
_DOUBT = 3e-4
# A colour's neighbours are much like it: the share that each of them gets.
_NEIGHBOURS = 0.2


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
        implementation: `"auto"`, `"fused"` or `"tf"`, as in `ratm_tf.gaussian_glimpse`.

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
        self,
        glimpse_shape: tuple[int, int, int],
        cells: int,
        context: float,
        implementation: Implementation = "auto",
    ) -> None:
        *size, self._channels = glimpse_shape
        if self._channels not in _BINS:
            raise ValueError(
                "Expected frames of 1 or 3 channels, grey or RGB. Received: "
                f"{self._channels}"
            )
        self._bins = _BINS[self._channels]
        self.implementation = implementation
        # In halves of the box, from the middle of the window.
        v, u = (np.abs((np.arange(n) + 0.5) / n * 2 - 1) * context for n in size)
        y, x = v[:, np.newaxis], u
        target = (np.maximum(x, y) < 0.9) & (x**2 + y**2 < 1.4)
        self._areas = np.stack([target, np.maximum(x, y) > 1.3], axis=-1)
        self._areas = self._areas.reshape(-1, 2)
        rows, columns = (_box_means(n, cells, context) for n in size)
        self._means = rows, columns.T

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
        return _histograms(
            self.implementation,
            glimpses,
            self._areas,
            bins=self._bins,
            neighbours=_NEIGHBOURS,
        )

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
        return _likelihood(
            self.implementation,
            histograms,
            glimpses,
            *self._means,
            bins=self._bins,
            doubt=_DOUBT,
        )


@fused_op("ColourHistograms")
def _histograms(glimpses, areas, *, bins, neighbours):
    channels = glimpses.shape[-1]
    size = bins**channels
    index = _index(glimpses, bins)
    count = tf.shape(index)[0]
    apart = index + size * tf.range(count)[:, tf.newaxis]
    sums = tf.math.unsorted_segment_sum(
        tf.tile(areas, [count, 1]), tf.reshape(apart, [-1]), size * count
    )
    smooth = (1 - 2 * neighbours) * np.eye(bins) + neighbours * (
        np.eye(bins, k=1) + np.eye(bins, k=-1)
    )
    for axis in range(channels):
        rest = bins ** (channels - 1 - axis)
        sums = smooth @ tf.reshape(sums, [-1, bins, 2 * rest])
    sums = tf.reshape(sums, [-1, size, 2])
    return sums / tf.reduce_sum(sums, axis=1, keepdims=True)


@fused_op("ColourLikelihood")
def _likelihood(histograms, glimpses, rows, columns, *, bins, doubt):
    target, around = tf.unstack(histograms, axis=-1)
    likely = (0.5 * target + 0.3 * doubt) / (0.5 * (target + around) + doubt)
    expected = tf.reduce_sum(target * likely, axis=-1, keepdims=True)
    likely /= tf.maximum(expected, 0.05)
    pixels = tf.gather(likely, _index(glimpses, bins), batch_dims=1)
    return rows @ tf.reshape(pixels, [-1, *glimpses.shape[1:3]]) @ columns


def _index(glimpses, bins):
    """The bin of each pixel: int32 `[B, N * M]`."""
    _, rows, columns, channels = glimpses.shape
    index = tf.clip_by_value(tf.cast(glimpses * bins, tf.int32), 0, bins - 1)
    places = bins ** np.arange(channels - 1, -1, -1, dtype=np.int32)
    index = tf.reduce_sum(index * places, axis=-1)
    return tf.reshape(index, [-1, rows * columns])


def _box_means(size, cells, context):
    """Means over a box along an axis, at each displacement: `[cells, size]`."""
    pixels = (np.arange(size) + 0.5) / size - 0.5  # In windows.
    displacements = (np.arange(cells) / cells - 0.5)[:, np.newaxis]
    half = 0.475 / context  # A little inside of its edges.
    inside = (half - np.abs(pixels - displacements)) * size + 0.5
    return np.clip(inside, 0, 1) / (2 * half * size)
