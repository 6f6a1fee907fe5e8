"""`gaussian_glimpse`, as a function of tensors, and its gradients."""

import functools
import numbers

import tensorflow as tf

from ratm_tf.attention import filterbank, library
from ratm_tf.attention.implementation import choose
from ratm_tf.types import Implementation, Size, TensorLike

_DTYPES = (tf.uint8, tf.bfloat16, tf.float16, tf.float32, tf.float64)


def gaussian_glimpse(
    images: TensorLike,
    window: TensorLike,
    glimpse_size: Size = (28, 28),
    implementation: Implementation = "auto",
) -> tf.Tensor:
    """Reads a grid of Gaussians from each image, where its window says.

    A glimpse is `F_Y x F_X^T` for each channel alone (Eq. 4 of the paper). Row
    `i` of `F_X` is a Gaussian over the columns of the image, normalised to sum
    to one (Eq. 11), about the mean `center_x + (i - (M - 1) / 2) * stride_x`
    (Eq. 9), and likewise `F_Y` over its rows. Pixel centres sit on the
    integers. A window may lie off the image, where it sees the edge pixels.

    The gradient with respect to a window is exact, that with respect to sigma
    being zero where sigma is below `filterbank.MIN_SIGMA` (negative ones too),
    which it is raised to. Second derivatives are taken through the TensorFlow
    form. Wrap images that need no gradient in `tf.stop_gradient` inside a loop
    such as an RNN, which cannot know by itself that nobody asks for it.

    Args:
        images: shape `[B, H, W, C]`, dtype uint8, bfloat16, float16, float32 or
            float64, finite, H and W positive. The scale of the values is kept. To
            the fused op a pixel that is not finite matters where a Gaussian sees it,
            within 5.5 sigma of its mean or of the pixel nearest to that (6 for
            gradients, 9 in float64), and nowhere else; to the TensorFlow form,
            everywhere.
        window: `center_x, center_y, sigma_x, sigma_y, stride_x, stride_y` in
            pixels, shape `[B, 6]`, or `[B, K, 6]` for K windows into each image.
            Any real dtype; computed in float32, or float64 for float64 images. A
            window with a NaN or infinite number gets a NaN glimpse and a NaN
            gradient, and adds nothing to the gradient of the images.
        glimpse_size: rows and columns `(N, M)` of a glimpse, positive integers.
        implementation: `"fused"`, the compiled op; `"tf"`, plain TensorFlow, which
            XLA can compile; or `"auto"`, the fused op where it is available, for the
            GPU too if there is one, and XLA is not compiling. An
            `implementation_scope` overrules it, and the environment variable
            `RATM_TF_PY_OPS=1` makes it `"tf"` throughout.

    Returns:
        Glimpses of shape `[B, N, M, C]`, or `[B, K, N, M, C]` for K windows, in the
        dtype of `images`, or float32 if that is uint8.

    Raises:
        TypeError: an argument has a dtype other than those above.
        ValueError: an argument has a shape or a value other than those above, or
            `"fused"` was asked for where XLA compiles.
        RuntimeError: `"fused"` was asked for and is not available.
        tf.errors.ResourceExhaustedError: there is no memory to work in.
        tf.errors.InvalidArgumentError: shapes unknown when a graph was built turn
            out wrong as it runs.

    Example:
    >>> frames = tf.random.uniform([2, 100, 120, 3])
    >>> window = tf.constant([[60.0, 50.0, 1.0, 1.0, 2.0, 2.0]] * 2)
    >>> gaussian_glimpse(frames, window, glimpse_size=(28, 20)).shape
    TensorShape([2, 28, 20, 3])
    """
    # Of a call on one small image most is Python, in which nothing is done twice, and
    # AutoGraph is told to leave it alone only where there is AutoGraph.
    read = _glimpse if tf.executing_eagerly() else _glimpse_in_a_graph
    return read(images, window, glimpse_size, implementation)


def _glimpse(images, window, glimpse_size, implementation):
    if not isinstance(images, tf.Tensor):
        images = tf.convert_to_tensor(images)
    if not isinstance(window, tf.Tensor):
        window = tf.convert_to_tensor(window)
    images_shape, window_shape, given_dtype = images.shape, window.shape, window.dtype
    arguments = images.dtype, images_shape, given_dtype, window_shape, glimpse_size
    if type(glimpse_size) is tuple and [*map(type, glimpse_size)] == [int, int]:
        glimpse_size, window_dtype, dtype = _checked(*arguments)
    else:
        glimpse_size, window_dtype, dtype = _check_arguments(*arguments)
    fused = choose(implementation) == "fused"

    if given_dtype is not window_dtype:
        window = tf.cast(window, window_dtype)
    leading = None
    if window_shape.rank is None:
        window, leading = _windows_of_each_image(window)
    if images_shape.rank is None:
        images = tf.ensure_shape(images, [None] * 4)
    if fused:
        glimpses = library.loaded().ratm_gaussian_glimpse(
            images, window, *glimpse_size, dtype
        )
    else:
        glimpses = filterbank.glimpse(images, window, glimpse_size)
    if leading is None:
        return glimpses
    channels = tf.shape(images)[-1:]
    return tf.reshape(glimpses, tf.concat([leading, glimpse_size, channels], axis=0))


_glimpse_in_a_graph = tf.autograph.experimental.do_not_convert(_glimpse)


def check_dtype(name, dtype):
    """Raises a `TypeError` for an argument of a dtype that no image has."""
    if dtype not in _DTYPES:
        names = ", ".join(known.name for known in _DTYPES)
        raise TypeError(
            f"Expected `{name}` to have one of the dtypes {names}. "
            f"Received: {dtype.name}"
        )


def _check_arguments(
    images_dtype, images_shape, window_dtype, window_shape, glimpse_size
):
    """Checks what is known of the arguments.

    Returns `(N, M)` as ints, and the dtypes of the window and of the glimpses.
    """
    check_dtype("images", images_dtype)
    if not (window_dtype.is_floating or window_dtype.is_integer):
        raise TypeError(
            f"Expected `window` to have a real dtype. Received: {window_dtype.name}"
        )
    if images_shape.rank not in (None, 4):
        raise ValueError(
            "Expected `images` to have the shape [B, H, W, C]. "
            f"Received: {images_shape}"
        )
    if images_shape.rank == 4 and 0 in images_shape[1:3]:
        raise ValueError(
            "Expected `images` to have positive height and width. "
            f"Received shape: {images_shape}"
        )
    if window_shape.rank not in (None, 2, 3) or (
        window_shape.rank is not None and window_shape[-1] not in (None, 6)
    ):
        raise ValueError(
            "Expected `window` to have the shape [B, 6] or [B, K, 6]. "
            f"Received: {window_shape}"
        )
    if not images_shape[:1].is_compatible_with(window_shape[:1]):
        raise ValueError(
            "Expected `images` and `window` to agree in their first dimension, the "
            f"batch. Received shapes: {images_shape} and {window_shape}"
        )
    try:
        rows, columns = glimpse_size
    except (TypeError, ValueError):
        rows = columns = None
    for size in (rows, columns):
        if not isinstance(size, numbers.Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(
                "Expected `glimpse_size` to be two positive integers, (rows, columns). "
                f"Received: {glimpse_size!r}"
            )
    return (
        (int(rows), int(columns)),
        tf.float64 if images_dtype == tf.float64 else tf.float32,
        tf.float32 if images_dtype == tf.uint8 else images_dtype,
    )


# What was found right is looked up. What was not is not kept.
_checked = functools.lru_cache(maxsize=256)(_check_arguments)


def _windows_of_each_image(window):
    """Returns `window` as `[B, K, 6]`, and the leading dimensions it had."""
    with tf.control_dependencies([tf.debugging.assert_rank_in(window, (2, 3))]):
        leading = tf.shape(window)[:-1]
    count = tf.reduce_prod(leading[1:])
    return tf.reshape(window, tf.stack([leading[0], count, 6])), leading


@tf.RegisterGradient("Ratm>GaussianGlimpse")
def _gaussian_glimpse_gradient(op, grad):
    images, window = op.inputs
    size = [op.get_attr("glimpse_height"), op.get_attr("glimpse_width")]
    leading = None
    if window.shape.rank is None:
        window, leading = _windows_of_each_image(window)
        channels = tf.shape(images)[-1:]
        grad = tf.reshape(grad, tf.concat([tf.shape(window)[:2], size, channels], 0))
    grad.set_shape([*window.shape[:-1], *size, None])
    # Only eager mode says what is not asked for; a graph prunes it.
    skipped = getattr(op, "skip_input_indices", None) or ()
    images_gradient = window_gradient = None
    if 0 not in skipped and images.dtype.is_floating:
        shape = tf.shape(images, out_type=tf.int64)
        # The kernels read the size on the host, wherever they run.
        with tf.device("CPU:0"):
            image_size = shape[1:3]
        images_gradient = library.load().ratm_gaussian_glimpse_grad_images(
            image_size=image_size,
            window=window,
            grad=grad,
        )
    if 1 not in skipped:
        window_gradient = library.load().ratm_gaussian_glimpse_grad_window(
            images=images, window=window, grad=grad
        )
        if leading is not None:
            shape = tf.concat([leading, [6]], axis=0)
            window_gradient = tf.reshape(window_gradient, shape)
    return images_gradient, window_gradient


@tf.RegisterGradient("Ratm>GaussianGlimpseGradWindow")
def _gaussian_glimpse_grad_window_gradient(op, upstream):
    size = op.inputs[2].shape[-3:-1]

    def window_gradient(images, window, grad):
        return gradients(
            lambda window: filterbank.glimpse(images, window, size), [window], grad
        )[0]

    return gradients(window_gradient, op.inputs, upstream)


@tf.RegisterGradient("Ratm>GaussianGlimpseGradImages")
def _gaussian_glimpse_grad_images_gradient(op, upstream):
    # Linear in grad: <upstream, images_gradient> is <glimpse(upstream), grad>, where
    # windows that are not finite add nothing.
    _, window, grad = op.inputs

    def glimpse(window):
        return filterbank.glimpse(upstream, window, grad.shape[-3:-1])

    by_window = gradients(glimpse, [window], grad)[0]
    glimpses = glimpse(tf.identity(window))
    finite = tf.reduce_all(tf.math.is_finite(window), axis=-1)
    finite = finite[..., tf.newaxis, tf.newaxis, tf.newaxis]
    return None, by_window, tf.where(finite, glimpses, tf.zeros_like(glimpses))


def gradients(function, inputs, upstream):
    """The gradients of a function of tensors by each, given that of its result.

    In a graph there may be no tape that records: forward-mode stops them all.

    Args:
        function: of the inputs, to a tensor or several.
        inputs: tensors.
        upstream: the gradient of each result.

    Returns:
        A list, None for inputs that are not floating.

    Example:
    >>> float(gradients(tf.square, [tf.constant(3.0)], tf.constant(1.0))[0])
    6.0
    """
    # In the gradient of a loop, inputs belong to another graph until copied.
    inputs = [tf.identity(x) for x in inputs]
    sources = [x for x in inputs if x.dtype.is_floating]
    if tf.executing_eagerly():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            target = function(*inputs)
        found = iter(tape.gradient(target, sources, output_gradients=upstream))
    else:
        found = iter(tf.gradients(function(*inputs), sources, grad_ys=upstream))
    return [next(found) if x.dtype.is_floating else None for x in inputs]
