"""Window parameters (Eq. 5-8): the six numbers that say where a glimpse looks.

A *window* is six numbers in pixels, in this order:
`center_x, center_y, sigma_x, sigma_y, stride_x, stride_y`. Pixel centres sit on the
integers, `x` runs along the columns `0..W-1` and `y` along the rows `0..H-1`.
*Activations* are the six raw numbers of Eq. 5 that a window is made from. The boxes
that a window draws on a frame are in `ratm_tf.boxes`.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from ratm_tf.types import Size, TensorLike

# Of the six numbers of a window, those that may be negative, and the others.
CENTERS = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
MAGNITUDES = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def _as_xy(size):
    """Turns a (height, width) pair into a float32 (width, height) vector `[..., 2]`."""
    height, width = size
    sizes = [tf.cast(width, tf.float32), tf.cast(height, tf.float32)]
    return tf.stack(sizes, axis=-1)


def _spans(frame_size, glimpse_size):
    """The frame's span between its outermost pixel centres, and the grid's in steps."""
    return _as_xy(frame_size) - 1.0, tf.maximum(_as_xy(glimpse_size) - 1.0, 1.0)


def pixels_a_unit(
    frame_size: Sequence[int | tf.Tensor], glimpse_size: Size
) -> tf.Tensor:
    """How many pixels of a window one unit of its activations is (Eq. 6-8).

    Args:
        frame_size: `(H, W)`, integers or integer tensors, scalar or `[...]`.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.

    Returns:
        float32 `[..., 6]`.

    Example:
    >>> pixels_a_unit((41, 81), (5, 5)).numpy()
    array([40., 20.,  1.,  1., 20., 10.], dtype=float32)
    """
    frame_span, grid_span = _spans(frame_size, glimpse_size)
    return tf.concat(
        [frame_span / 2.0, tf.ones_like(frame_span), frame_span / grid_span], axis=-1
    )


def least(min_sigma: float) -> list[float]:
    """The least values of a window's numbers.

    Args:
        min_sigma: smallest standard deviation in pixels.

    Returns:
        Six numbers.

    Example:
    >>> least(0.25)
    [-inf, -inf, 0.25, 0.25, 0.0, 0.0]
    """
    return [-math.inf, -math.inf, min_sigma, min_sigma, 0.0, 0.0]


def window_from_activations(
    activations: TensorLike,
    frame_size: Sequence[int | tf.Tensor],
    glimpse_size: Size,
    min_sigma: float = 0.0,
) -> tf.Tensor:
    """Scales raw activations to a window in pixels (Eq. 6, 7 and 8).

    | | |
    |---|---|
    | Eq. 6 | `center_x = (W - 1) * (g~x + 1) / 2` |
    | Eq. 7 | `stride_x = (W - 1) / max(M - 1, 1) * abs(d~x)` |
    | Eq. 8 | `sigma_x = max(abs(s~x), min_sigma)` |

    The same holds for y with the height `H` and the glimpse's rows `N`.

    Args:
        activations: float tensor `[..., 6]`: `g~x, g~y, s~x, s~y, d~x, d~y`. A centre
            of 0 is the middle of the frame, -1 and 1 are the first and the last pixel
            centre; a stride of 1 makes the grid span the frame exactly.
        frame_size: `(H, W)`, integers or integer tensors, scalar or `[...]`.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.
        min_sigma: smallest standard deviation in pixels. Sigma gets no gradient below.

    Returns:
        The window, float32 `[..., 6]`, in pixels.

    Example:
    >>> whole_frame = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    >>> window_from_activations(whole_frame, (41, 81), (5, 5)).numpy()
    array([40., 20.,  1.,  1., 20., 10.], dtype=float32)
    """
    scale = pixels_a_unit(frame_size, glimpse_size)
    floor = least(min_sigma)

    # In a recurrent network this runs at every step. The gradients that TensorFlow
    # takes of its parts, selections with broadcasting, outlast a small glimpse.
    @tf.custom_gradient
    def scaled(activations):
        slope = tf.sign(activations) * MAGNITUDES + CENTERS
        magnitudes = activations * slope + CENTERS

        def gradient(upstream):
            seen = tf.cast(magnitudes >= floor, tf.float32)
            return upstream * slope * seen * scale

        return tf.maximum(magnitudes, floor) * scale, gradient

    return scaled(tf.cast(activations, tf.float32))


def activations_from_window(
    window: TensorLike, frame_size: Sequence[int | tf.Tensor], glimpse_size: Size
) -> tf.Tensor:
    """Inverts Eq. 6-8: the activations that `window_from_activations` maps to `window`.

    Args:
        window: float tensor `[..., 6]` in pixels.
        frame_size: `(H, W)`, integers or integer tensors, scalar or `[...]`.
        glimpse_size: `(N, M)`, rows and columns of the glimpse.

    Returns:
        The activations, float32 `[..., 6]`. Along an axis of one pixel, where every
        activation gives the same window, centre and stride are 0.

    Example:
    >>> window = [40.0, 20.0, 1.0, 1.0, 20.0, 10.0]
    >>> activations_from_window(window, (41, 81), (5, 5)).numpy()
    array([0., 0., 1., 1., 1., 1.], dtype=float32)
    """
    frame_span, grid_span = _spans(frame_size, glimpse_size)
    center, sigma, stride = tf.split(tf.cast(window, tf.float32), 3, axis=-1)
    middle = frame_span / 2.0
    return tf.concat(
        [
            tf.math.divide_no_nan(center - middle, middle),
            sigma,
            tf.math.divide_no_nan(stride * grid_span, frame_span),
        ],
        axis=-1,
    )
