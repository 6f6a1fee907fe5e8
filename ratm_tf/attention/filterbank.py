"""Gaussian filter banks and the glimpse they read, in plain TensorFlow.

This is the reference form of the glimpse and the fallback of the fused op. It
is dense: its cost follows the image. XLA compiles it and it has derivatives of
every order.
"""

import contextlib
import threading

import tensorflow as tf

MIN_SIGMA = 1e-6
"""Smaller (and negative) standard deviations count as this many pixels."""

_scope = threading.local()


@contextlib.contextmanager
def portable(branches=True):
    """Takes this thread's glimpses in a form that other runtimes run, too.

    It computes in float32 alone, in which boxes differ by less than 1e-3 pixels, and
    does not look out for windows that are not finite. It holds for eager calls, and for
    graphs while they are traced.

    Args:
        branches: whether what is seldom needed may be left out while it is not.

    Yields:
        None.

    Example:
    >>> with portable():
    ...     grid_means(10.0, 2.0, 3).dtype
    tf.float32
    """
    outer = _is_portable(), has_branches()
    _scope.portable, _scope.branches = True, branches
    try:
        yield
    finally:
        _scope.portable, _scope.branches = outer


def has_branches():
    """Whether graphs of this thread may branch, see `portable`.

    Example:
    >>> with portable(branches=False):
    ...     has_branches()
    False
    """
    return getattr(_scope, "branches", True)


def _is_portable():
    return getattr(_scope, "portable", False)


def _filter_dtype() -> tf.DType:
    return tf.float32 if _is_portable() else tf.float64


def grid_means(center, stride, size):
    """Places the Gaussians of one axis: Eq. 9 of the paper.

    `mu[i] = center + (i - (size - 1) / 2) * stride` for `i = 0 .. size - 1`.

    Args:
        center: centre of the grid in pixels, any floating dtype, shape `[...]`.
        stride: distance between neighbours in pixels, any sign, shape `[...]`.
        size: number of Gaussians, a positive integer.

    Returns:
        The means in pixels, float64 (float32 if `portable`), shape `[..., size]`.

    Example:
    >>> grid_means(10.0, 2.0, 3).numpy()
    array([ 8., 10., 12.])
    """
    dtype = _filter_dtype()
    offsets = tf.range(size, dtype=dtype) - (size - 1) / 2
    center = tf.cast(center, dtype)[..., tf.newaxis]
    stride = tf.cast(stride, dtype)[..., tf.newaxis]
    return center + offsets * stride


def filter_bank(mu, sigma, length):
    """Builds the filter bank of one axis: Eq. 11 of the paper.

    Row `i` is `exp(-(a - mu[i])**2 / (2 * sigma**2))` over the pixels
    `a = 0 .. length - 1`, normalised to sum to one. The normalisation is a
    softmax, so it holds for every window: as sigma goes to zero a row becomes
    the nearest pixel, and off the image it becomes the edge pixel.

    Args:
        mu: means in pixels, any floating dtype, shape `[..., n]`.
        sigma: standard deviation in pixels, any floating dtype, shape `[...]`.
            Below `MIN_SIGMA` it counts as `MIN_SIGMA`, with a gradient of zero.
        length: number of pixels along the axis, a positive integer or scalar
            tensor.

    Returns:
        The rows, float64 (float32 if `portable`) in `[0, 1]`, shape
        `[..., n, length]`.

    Example:
    >>> filter_bank(grid_means(1.0, 1.0, 3), 1e-3, 3).numpy()
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    dtype = _filter_dtype()
    most = dtype.max ** (1 / 3)  # Its square is finite.
    mu = tf.clip_by_value(tf.cast(mu, dtype), -most, most)[..., tf.newaxis]
    sigma = tf.cast(sigma, dtype)[..., tf.newaxis, tf.newaxis]
    sigma = tf.where(sigma < MIN_SIGMA, tf.constant(MIN_SIGMA, dtype), sigma)
    last = tf.cast(length, dtype) - 1
    nearest = tf.stop_gradient(tf.clip_by_value(tf.round(mu), 0.0, last))
    # (a - mu)^2 less the smallest such square, without their cancellation.
    distance = tf.range(last + 1) - nearest
    excess = distance * (distance + 2 * (nearest - mu))
    return tf.nn.softmax(-0.5 * excess / tf.square(sigma))


def glimpse(images, window, glimpse_size):
    """Reads Gaussian glimpses: Eq. 4 of the paper, `F_Y x F_X^T` per channel.

    Args:
        images: shape `[B, H, W, C]`, dtype uint8, bfloat16, float16, float32 or
            float64, H and W positive.
        window: `center_x, center_y, sigma_x, sigma_y, stride_x, stride_y` in
            pixels, floating, shape `[B, 6]`, or `[B, K, 6]` for K windows into each
            image. A window with a NaN or infinite number has a NaN glimpse and a
            NaN gradient, and adds nothing to the gradient of the images.
        glimpse_size: rows and columns `(N, M)` of a glimpse.

    Returns:
        Glimpses of shape `[B, N, M, C]`, or `[B, K, N, M, C]` for K windows, in
        the dtype of `images`, or float32 if that is uint8 (values stay in
        `0 .. 255`).

    Example:
    >>> images = tf.random.uniform([2, 20, 30, 1])
    >>> window = tf.tile([[15.0, 10.0, 1.0, 1.0, 2.0, 2.0]], [2, 1])
    >>> glimpse(images, window, (5, 7)).shape
    TensorShape([2, 5, 7, 1])
    """
    if window.shape.rank == 2:
        windows = tf.expand_dims(window, axis=1)
        return tf.squeeze(glimpse(images, windows, glimpse_size), axis=1)
    output_dtype = tf.float32 if images.dtype == tf.uint8 else images.dtype
    if _is_portable():
        return tf.cast(_products(images, window, glimpse_size), output_dtype)
    finite = tf.reduce_all(tf.math.is_finite(window), axis=-1)[..., tf.newaxis]
    glimpses = _products(
        images, tf.where(finite, window, tf.ones_like(window)), glimpse_size
    )
    # The sum is NaN, and so are its derivatives, where the window is not finite.
    broken = tf.where(finite, tf.zeros_like(window), window) * float("nan")
    broken = tf.reduce_sum(broken, axis=-1)[..., tf.newaxis, tf.newaxis, tf.newaxis]
    glimpses = tf.where(
        finite[..., tf.newaxis, tf.newaxis], glimpses, tf.cast(broken, glimpses.dtype)
    )
    return tf.cast(glimpses, output_dtype)


def _products(images, window, glimpse_size):
    """`F_Y x F_X^T` of finite windows `[B, K, 6]`, in float32 or as float64 images."""
    rows, columns = glimpse_size
    dtype = tf.float64 if images.dtype == tf.float64 else tf.float32
    shape = tf.shape(images)
    batch, height, width, channels = (
        shape[i] if static is None else static
        for i, static in enumerate(images.shape.as_list())
    )
    count = window.shape[1] if window.shape[1] is not None else tf.shape(window)[1]

    center_x, center_y, sigma_x, sigma_y, stride_x, stride_y = tf.unstack(
        window, 6, axis=-1
    )
    filter_x = filter_bank(grid_means(center_x, stride_x, columns), sigma_x, width)
    filter_y = filter_bank(grid_means(center_y, stride_y, rows), sigma_y, height)
    filter_x, filter_y = tf.cast(filter_x, dtype), tf.cast(filter_y, dtype)

    # Every window of an image in one product, which reads the image once.
    filter_y = tf.reshape(filter_y, [batch, count * rows, height])
    lines = tf.reshape(tf.cast(images, dtype), [batch, height, width * channels])
    lines = tf.einsum("bqh,bhx->bqx", filter_y, lines)
    lines = tf.reshape(lines, [batch, count, rows, width, channels])
    return tf.einsum("bknwc,bkmw->bknmc", lines, filter_x)
