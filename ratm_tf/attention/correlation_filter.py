"""What a target looks like, as a correlation filter."""

import numpy as np
import tensorflow as tf

from ratm_tf.attention.fused_op import fused_op
from ratm_tf.types import Implementation, Shape

# A response is as smooth as its label: the filter needs no frequency beyond so many.
_FREQUENCIES = 8
# Width of the label, a Gaussian about the target, in windows.
_LABEL = 0.06


class CorrelationFilter:
    """Finds in one window what was in the middle of others.

    Of the features `x` of windows on a target, in `C` maps, it makes the filter `h`
    whose correlation with them comes closest to a label `y`, a Gaussian in the middle:
    ridge regression, which has a closed form in the frequencies `X` of the maps,

        H = conj(Y) X / (sum_c |X_c|^2 + ridge)

    and whose numerator and denominator can be averaged over frames. The correlation of
    `h` with another window's features, their *response*, peaks where the target is.

    A filter of a whole window holds the background as much as the target. With
    `support` it is kept inside that part of the window, by rounds of the alternating
    direction method of multipliers (Lukezic et al., *Discriminative correlation filter
    with channel and spatial reliability*, 2017).

    All is done on the few lowest frequencies, in real numbers, by matrix products.

    Args:
        cells: rows and columns of the maps, an even number.
        support: half the width of the filter, in halves of a window; None for all of
            it.
        rounds: of the method that keeps it there.
        ridge: what keeps the filter small, against features of mean square one.
        implementation: `"auto"`, `"fused"` or `"tf"`, as in `ratm_tf.gaussian_glimpse`.

    Raises:
        ValueError: `cells` is not even or is less than 4.

    Example:
    >>> filter = CorrelationFilter(cells=16)
    >>> maps = tf.random.stateless_normal([1, 16, 16, 8], seed=[0, 0])
    >>> learnt = filter.solve(*filter.fit(maps))
    >>> response = filter.respond(learnt, tf.roll(maps, 3, axis=2))
    >>> peak(response)[0].numpy().round() + 0.0  # Three cells to the right.
    array([[3., 0.]], dtype=float32)
    """

    def __init__(
        self,
        cells: int = 32,
        support: float | None = None,
        rounds: int = 2,
        ridge: float = 0.016,
        implementation: Implementation = "auto",
    ) -> None:
        if cells < 4 or cells % 2:
            raise ValueError(
                f"Expected `cells` to be an even number from 4 on. Received: {cells!r}"
            )
        self.cells = cells
        self.support = support
        self.rounds = rounds
        self.ridge = ridge
        self.implementation = implementation
        self._frequencies = most = min(_FREQUENCIES, cells // 2 - 1)
        places = np.arange(cells)
        # Displacements: the middle of the response is none.
        distances = places - cells // 2
        self._to_response = _synthesis(distances, cells, most)
        hann = np.hanning(cells)
        self._learning = _analysis(places, cells, most, hann**0.75)
        self._searching = _analysis(places, cells, most, hann**0.5)
        label = np.exp(-0.5 * (distances / (_LABEL * cells)) ** 2)
        angles = 2 * np.pi * np.outer(np.arange(-most, most + 1), distances) / cells
        of_axis = np.cos(angles) @ label
        label = np.outer(of_axis[most:], of_axis)
        self._label = np.concatenate([label, label], axis=-1)[..., np.newaxis]
        if support is not None:
            halves = np.abs((places + 0.5) / cells * 2 - 1)
            inside = 1 / (1 + np.exp((halves / support - 1) / 0.13))
            rows, self._columns_inside = _analysis(places, cells, most, inside)
            columns, to_rows = _synthesis(places, cells, most)
            self._to_columns = columns.T
            self._rows_inside = rows @ to_rows

    @property
    def numerator_shape(self) -> Shape:
        """Of one window, without its channels."""
        frequencies = self._frequencies
        return (frequencies + 1, 2 * (2 * frequencies + 1))

    @property
    def denominator_shape(self) -> Shape:
        """Of one window."""
        frequencies = self._frequencies
        return (frequencies + 1, 2 * frequencies + 1)

    def fit(self, maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What windows with the target in the middle say of the filter.

        Args:
            maps: float32 `[B, cells, cells, C]`, features.

        Returns:
            Numerators `[B, *numerator_shape, C]`, real parts before imaginary ones, and
            denominators `[B, *denominator_shape]`. Averages of them are those of a
            filter for all the windows.
        """
        return _fit(self.implementation, maps, *self._learning, self._label)

    def solve(self, numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
        """The filter of a numerator and a denominator, see `fit`.

        Returns:
            `[B, *numerator_shape, C]`.
        """
        ridge = self.ridge * self.cells**2
        if self.support is None:
            return numerator / _both(denominator + ridge)
        return _solve(
            self.implementation,
            numerator,
            denominator,
            self._to_columns,
            self._rows_inside,
            self._columns_inside,
            ridge=ridge,
            rounds=self.rounds,
        )

    def respond(self, filters: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
        """The response of windows to a filter.

        Args:
            filters: float32 `[B, *numerator_shape, C]`, from `solve`.
            maps: float32 `[B * K, cells, cells, C]`, features of `K` windows for each.

        Returns:
            float32 `[B * K, cells, cells]`: at `[cells / 2 + y, cells / 2 + x]`, how
            much the target seems to be `x`, `y` cells from the window's middle.
        """
        return _respond(
            self.implementation, filters, maps, *self._searching, *self._to_response
        )


@fused_op("CorrelationFit")
def _fit(maps, rows, columns, label):
    numbers = _transformed(maps, rows, columns)
    real, imaginary = tf.split(numbers, 2, axis=2)
    power = tf.reduce_sum(tf.square(real) + tf.square(imaginary), axis=-1)
    return label * numbers, power


@fused_op("CorrelationSolve")
def _solve(numerator, power, to_columns, rows_inside, columns_inside, *, ridge, rounds):
    cells, channels = to_columns.shape[0] // 2, numerator.shape[-1]

    def kept_inside(filters):
        """The frequencies of what is inside of the support."""
        across = to_columns @ filters
        shape = [-1, *across.shape[1:]]
        lines = tf.reshape(across, [-1, rows_inside.shape[0], cells * channels])
        return columns_inside @ tf.reshape(rows_inside @ lines, shape)

    denominator = _both(power + ridge)
    penalty = 0.2 * tf.reduce_mean(denominator, axis=[1, 2, 3], keepdims=True)
    inside = kept_inside(numerator / denominator)
    dual = tf.zeros_like(inside)
    for _ in range(rounds):
        free = (numerator + penalty * inside - dual) / (denominator + penalty)
        inside = kept_inside(free + dual / penalty)
        dual += penalty * (free - inside)
        penalty *= 3.0
    return inside


@fused_op("CorrelationRespond")
def _respond(filters, maps, rows, columns, from_columns, from_rows):
    numbers = _transformed(maps, rows, columns)
    shape = [tf.shape(filters)[0], -1, *numbers.shape[1:]]
    real, imaginary = tf.split(tf.reshape(numbers, shape), 2, axis=3)
    like, unlike = tf.split(filters[:, tf.newaxis], 2, axis=3)
    spectrum = tf.concat(
        [
            tf.reduce_sum(real * like + imaginary * unlike, axis=-1),
            tf.reduce_sum(imaginary * like - real * unlike, axis=-1),
        ],
        axis=-1,
    )
    across = tf.reshape(spectrum, [-1, *spectrum.shape[2:]]) @ from_columns
    return from_rows @ tf.reshape(across, [-1, from_rows.shape[1], maps.shape[1]])


def _transformed(maps, rows, columns):
    """The frequencies of maps: `[B, *numerator_shape, C]`."""
    cells, channels = rows.shape[1], maps.shape[-1]
    across = rows @ tf.reshape(maps, [-1, cells, cells * channels])
    across = tf.reshape(across, [-1, rows.shape[0] // 2, 2 * cells, channels])
    return columns @ across


def peak(
    response: tf.Tensor, implementation: Implementation = "auto"
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where a response is highest, between the cells, and how it stands out.

    Args:
        response: float32 `[B, cells, cells]`, see `CorrelationFilter.respond`.
        implementation: `"auto"`, `"fused"` or `"tf"`, as in `ratm_tf.gaussian_glimpse`.

    Returns:
        `(place, height, sharpness)`: the displacement `[B, 2]`, x and y in cells, by
        parabolas through the neighbours; the height `[B]` there; and `[B]` its square
        above the lowest over the mean square of that, the *average peak-to-correlation
        energy* (Wang, Liu and Huang, 2017).

    Example:
    >>> response = tf.exp(-0.5 * (tf.range(-8.0, 8.0) - 1.25) ** 2)
    >>> place, _, _ = peak((response[:, None] * response)[None])
    >>> place.numpy().round(1)
    array([[1.2, 1.2]], dtype=float32)
    """
    return _peak(implementation, response)


@fused_op("ResponsePeak")
def _peak(response):
    cells = response.shape[-1]
    flat = tf.reshape(response, [-1, cells * cells])
    index = tf.argmax(flat, axis=-1, output_type=tf.int32)
    place = tf.stack([index % cells, index // cells], axis=-1)
    height = tf.gather(flat, index, batch_dims=1)

    def between(axis_step):
        before, after = (
            tf.gather(flat, (index + step) % cells**2, batch_dims=1)
            for step in (-axis_step, axis_step)
        )
        bend = tf.maximum(2.0 * height - before - after, 1e-9)
        return tf.clip_by_value(0.5 * (after - before) / bend, -0.5, 0.5)

    offset = tf.stack([between(1), between(cells)], axis=-1)
    low = tf.reduce_min(flat, axis=-1, keepdims=True)
    energy = tf.reduce_mean(tf.square(flat - low), axis=-1)
    sharpness = tf.square(height - low[:, 0]) / tf.maximum(energy, 1e-12)
    return tf.cast(place - cells // 2, response.dtype) + offset, height, sharpness


def standardized(
    maps: tf.Tensor,
    ridge: float = 0.0,
    floor: float = 0.0,
    centred: bool = False,
    implementation: Implementation = "auto",
) -> tf.Tensor:
    """Maps over the root of their mean square.

    Args:
        maps: float32 `[B, N, M, C]`.
        ridge: what is added to the mean square.
        floor: what is added to its root.
        centred: whether the mean of each channel is subtracted before.
        implementation: `"auto"`, `"fused"` or `"tf"`, as in `ratm_tf.gaussian_glimpse`.

    Returns:
        float32 `[B, N, M, C]`.

    Example:
    >>> maps = tf.constant([3.0, 4.0, 0.0, 0.0])[None, None, None]
    >>> standardized(maps).numpy().ravel()
    array([1.2, 1.6, 0. , 0. ], dtype=float32)
    """
    return _standardized(
        implementation, maps, centred=centred, ridge=ridge, floor=floor
    )


@fused_op("Standardized")
def _standardized(maps, *, centred, ridge, floor):
    if centred:
        maps -= tf.reduce_mean(maps, axis=[1, 2], keepdims=True)
    power = tf.reduce_mean(tf.square(maps), axis=[1, 2, 3], keepdims=True)
    return maps / (tf.sqrt(power + ridge) + floor)


def _analysis(places, cells, most, window=1.0):
    """Matrices that take maps, under a window function, to their lowest frequencies.

    The first is of rows: to real and imaginary parts of one frequency after the other.
    The second is of columns: from the two parts to the two.
    """
    angles = 2 * np.pi * np.outer(np.arange(-most, most + 1), places) / cells
    cosine, sine = np.cos(angles) * window, np.sin(angles) * window
    half = slice(most, None)  # Of real maps the other half follows.
    rows = np.stack([cosine[half], -sine[half]], axis=1).reshape(-1, len(places))
    return rows, np.block([[cosine, sine], [-sine, cosine]])


def _synthesis(places, cells, most):
    """Matrices that take frequencies back to maps: of columns, transposed; of rows."""
    rows, columns = _analysis(places, cells, most)
    twice = np.repeat([1.0] + [2.0] * most, 2)  # Once for each half.
    return columns, rows.T * twice / cells**2


def _both(of_pairs):
    """For real and imaginary parts, of all channels."""
    return tf.concat([of_pairs, of_pairs], axis=-1)[..., tf.newaxis]
