import doctest

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention import filterbank, functional, library
from ratm_tf.attention.functional import gaussian_glimpse
from tests.attention import reference

DTYPES = [tf.uint8, tf.bfloat16, tf.float16, tf.float32, tf.float64]
# Of the largest value: for glimpses, gradients by images, gradients by window.
TOLERANCE = {
    tf.uint8: (1e-6, None, 5e-6),
    tf.bfloat16: (4e-3, 4e-3, 5e-6),
    tf.float16: (5e-4, 5e-4, 5e-6),
    tf.float32: (1e-6, 2e-6, 5e-6),
    tf.float64: (1e-12, 1e-12, 1e-12),
}
# images [B, H, W, C], windows into each, glimpse size.
SHAPES = [
    ([2, 20, 31, 1], 1, (5, 5)),
    ([2, 33, 50, 3], 3, (28, 20)),
    ([1, 100, 100, 1], 2, (28, 28)),
    ([1, 17, 290, 4], 1, (3, 40)),
    ([2, 5, 3, 1], 2, (3, 4)),
    ([1, 3, 7, 37], 2, (4, 2)),
    ([2, 1, 1, 2], 2, (1, 1)),
    ([1, 300, 1, 1], 1, (9, 2)),
]


def random_images(shape, dtype, seed=0):
    images = np.random.default_rng(seed).uniform(0, 1, shape)
    return tf.cast(images * 255 if dtype == tf.uint8 else images, dtype)


def window_dtype(dtype):
    return tf.float64 if dtype == tf.float64 else tf.float32


def random_windows(kind, shape, count, dtype, seed=1):
    """Returns windows [B, K, 6] of one kind."""
    rng = np.random.default_rng(seed)
    batch, height, width, _ = shape

    def uniform(low, high):
        return rng.uniform(low, high, [batch, count])

    center = [uniform(0, width), uniform(0, height)]
    if kind == "usual":
        rest = [uniform(0.5, 3), uniform(0.5, 3), uniform(0.5, 3), uniform(-3, 3)]
    elif kind == "sharp":
        rest = [uniform(0, 0.3), uniform(0, 0.3), uniform(0, 3), uniform(0, 3)]
    elif kind == "off":
        center = [uniform(-3 * width, 3 * width), uniform(-3 * height, 3 * height)]
        rest = [uniform(0.5, 9), uniform(0.5, 9), uniform(0, 3), uniform(0, 3)]
    elif kind == "sparse":
        rest = [
            uniform(0.3, 1),
            uniform(0.3, 1),
            uniform(0, width / 2),
            uniform(0, height / 2),
        ]
    elif kind == "still":
        rest = [uniform(0.5, 3), uniform(0.5, 3), uniform(0, 0), uniform(0, 0)]
    return tf.cast(np.stack(center + rest, axis=-1), window_dtype(dtype))


def run(images, window, size, implementation, grad=None):
    """Returns glimpses and the gradients by images (None for uint8) and window."""
    sources = [window] if images.dtype == tf.uint8 else [images, window]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        glimpses = gaussian_glimpse(images, window, size, implementation)
    gradients = tape.gradient(glimpses, sources, output_gradients=grad)
    return glimpses, *([None] * (2 - len(gradients))), *gradients


def assert_close(actual, expected, tolerance):
    actual = tf.cast(actual, tf.float64).numpy()
    scale = np.nanmax(np.abs(expected), initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale + 1e-30)


def check(images, window, size, implementation):
    for_glimpses, for_images, for_window = TOLERANCE[images.dtype]
    if implementation == "tf":
        for_window *= 2
    expected = reference.glimpse(images.numpy(), window.numpy(), size)
    glimpse_dtype = tf.float32 if images.dtype == tf.uint8 else images.dtype
    grad = tf.cast(np.random.default_rng(2).normal(size=expected.shape), glimpse_dtype)
    images_grad, window_grad = reference.gradients(
        images.numpy(), window.numpy(), grad.numpy()
    )
    glimpses, by_images, by_window = run(images, window, size, implementation, grad)
    assert glimpses.dtype == glimpse_dtype
    assert by_window.dtype == window.dtype
    assert_close(glimpses, expected, for_glimpses)
    assert_close(by_window, window_grad, for_window)
    if by_images is not None:
        assert by_images.dtype == images.dtype
        assert_close(by_images, images_grad, for_images)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape,count,size", SHAPES)
def test_agrees_with_the_reference(implementation, shape, count, size, dtype):
    images = random_images(shape, dtype)
    check(images, random_windows("usual", shape, count, dtype), size, implementation)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64], ids=lambda d: d.name)
@pytest.mark.parametrize("kind", ["sharp", "off", "sparse", "still"])
def test_agrees_with_the_reference_for_windows(implementation, kind, dtype):
    for shape, count, size in SHAPES[:4]:
        images = random_images(shape, dtype)
        window = random_windows(kind, shape, count, dtype)
        check(images, window, size, implementation)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32], ids=lambda d: d.name)
def test_level_of_images_adds_no_error_to_the_window_gradient(fused, dtype):
    images = random_images([1, 350, 360, 3], dtype)
    window = tf.constant([[[179.5, 174.5, 2.5, 2.5, 5, 5]]])
    grad = tf.ones([1, 1, 64, 64, 3])
    actual = fused.ratm_gaussian_glimpse_grad_window(
        images=images, window=window, grad=grad
    )
    _, expected = reference.gradients(images, window.numpy(), grad)
    assert_close(actual, expected, 3e-6)


def test_half_pixel_ties_of_sharp_windows(implementation):
    images = random_images([1, 9, 9, 1], tf.float64)
    window = tf.constant([[[3.5, 4.5, 0.02, 0.05, 1.0, 1.0]]], tf.float64)
    check(images, window, (3, 3), implementation)
    check(
        tf.cast(images, tf.float32), tf.cast(window, tf.float32), (3, 3), implementation
    )


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32, tf.float64])
@pytest.mark.parametrize("width", [64, 77])
def test_rows_that_start_anywhere(fused, width, dtype):
    """Rows are read as whole vectors, aligned where their stride allows it."""
    shape = [1, 40, width, 1]
    images = random_images(shape, dtype)
    for center in (0, 3.3, 9.1, width - 12.4, width - 1):
        for columns in (1, 5, 20):
            window = [[[center, 20, 1, 2, 1.1, 1.5]]]
            check(images, tf.cast(window, window_dtype(dtype)), (7, columns), "fused")


@pytest.mark.parametrize(
    "sigma,stride,size",
    [(40, 0.5, (67, 33)), (30, -3, (33, 65)), (1, -20, (9, 8)), (6, 0, (3, 40))],
)
def test_neighbours_that_share_all_some_or_none_of_their_taps(
    fused, sigma, stride, size
):
    images = random_images([1, 211, 190, 3], tf.float64)
    window = tf.constant([[[100.2, 95.7, sigma, sigma, stride, stride]]], tf.float64)
    check(images, window, size, "fused")
    images, window = tf.cast(images, tf.float32), tf.cast(window, tf.float32)
    expected = reference.glimpse(images.numpy(), window.numpy(), size)
    assert_close(gaussian_glimpse(images, window, size, "fused"), expected, 1e-6)


def test_pixels_off_the_window_do_not_count(fused):
    images = random_images([1, 64, 64, 1], tf.float32).numpy()
    window = tf.constant([[[20.3, 30.2, 0.7, 0.7, 1.0, 1.0]]])
    grad = tf.ones([1, 1, 4, 4, 1])
    expected = run(tf.constant(images), window, (4, 4), "fused", grad)
    images[:, :24], images[:, 37:] = np.nan, np.nan
    images[:, :, :14], images[:, :, 27:] = 1e30, -1e30
    actual = run(tf.constant(images), window, (4, 4), "fused", grad)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64], ids=lambda d: d.name)
def test_pixels_beside_and_between_taps_do_not_count(fused, dtype):
    """Wherever a row begins in the vectors that it is read by."""
    shape = [1, 40, 64, 1]
    window = tf.constant([[[0, 20.3, 0.5, 0.5, 11.0, 1.0]]], window_dtype(dtype))
    grad = tf.ones([1, 1, 4, 3, 1], dtype)
    for center in range(20, 36):
        images = random_images(shape, dtype).numpy()
        window_here = window + [center, 0, 0, 0, 0, 0]
        expected = run(tf.constant(images), window_here, (4, 3), "fused", grad)
        columns = np.arange(64)[:, None] - [center - 11, center, center + 11]
        images[:, :, (np.abs(columns) > 5).all(1)] = np.nan
        actual = run(tf.constant(images), window_here, (4, 3), "fused", grad)
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32, tf.float64])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_sums_over_many_pixels_are_exact(implementation, axis, dtype):
    images = tf.fill([1, 1, 100_000, 1], tf.constant(200, dtype))
    window = [[5e4, 0, 1e6, 1, 1, 1]]
    size = (1, 5)
    if axis == "y":
        images = tf.reshape(images, [1, 100_000, 1, 1])
        window, size = [[0, 5e4, 1, 1e6, 1, 1]], (5, 1)
    glimpses = gaussian_glimpse(images, window, size, implementation)
    rtol = 1e-14 if dtype == tf.float64 else 6e-7
    if implementation == "tf" and dtype != tf.float64:
        rtol = 1e-4  # TensorFlow's products add up in float32, as processors do it.
    np.testing.assert_allclose(glimpses, np.full([1, *size, 1], 200), rtol=rtol)


@pytest.mark.slow
def test_large_frame(implementation):
    shape = [1, 1080, 1920, 3]
    window = tf.constant([[[1501.3, 700.7, 4.0, 3.0, 5.0, 4.0]]])
    check(random_images(shape, tf.float32), window, (64, 48), implementation)


def test_half_precision_of_every_magnitude(implementation):
    values = np.array(
        [0, 6e-8, 5e-7, 6.09e-5, 6.11e-5, 1, 65504, -3e-6, -7], np.float16
    )
    window = tf.constant([[4.0, 0.0, 0.0, 0.0, 1.0, 0.0]])
    glimpses = gaussian_glimpse(
        values.reshape(1, 1, 9, 1), window, (1, 9), implementation
    )
    np.testing.assert_array_equal(glimpses.numpy().ravel(), values)


def test_scale_of_uint8_is_kept(implementation):
    images = tf.fill([1, 8, 8, 1], tf.constant(200, tf.uint8))
    window = tf.constant([[3.0, 4.0, 1.0, 1.0, 1.0, 1.0]])
    glimpses = gaussian_glimpse(images, window, (4, 4), implementation)
    assert glimpses.dtype == tf.float32
    np.testing.assert_allclose(glimpses, np.full([1, 4, 4, 1], 200), rtol=1e-6)


def test_window_without_count(implementation):
    images = random_images([3, 12, 14, 2], tf.float32)
    window = random_windows("usual", images.shape, 1, tf.float32)
    expected = gaussian_glimpse(images, window, (4, 5), implementation)
    actual = gaussian_glimpse(images, window[:, 0], (4, 5), implementation)
    np.testing.assert_array_equal(actual, expected[:, 0])


def test_window_of_another_dtype(implementation):
    images = random_images([1, 12, 14, 1], tf.float64)
    window = [[6, 7, 1, 1, 1, 1]]
    glimpses = gaussian_glimpse(images, window, (4, 5), implementation)
    expected = reference.glimpse(images.numpy(), np.array([window]), (4, 5))
    np.testing.assert_allclose(glimpses, expected[:, 0], rtol=1e-12)


@pytest.mark.parametrize("shape,count", [([0, 8, 9, 1], 2), ([3, 8, 9, 2], 0)])
def test_nothing_to_read(implementation, shape, count):
    images = tf.ones(shape)
    window = tf.ones([shape[0], count, 6])
    glimpses, by_images, by_window = run(images, window, (3, 4), implementation)
    assert glimpses.shape == [shape[0], count, 3, 4, shape[3]]
    np.testing.assert_array_equal(by_images, np.zeros(shape))
    assert by_window.shape == window.shape


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16], ids=lambda d: d.name)
def test_window_that_is_not_finite_harms_itself_alone(implementation, dtype):
    shape, size = [2, 20, 30, 2], (5, 6)
    images = random_images(shape, dtype)
    window = random_windows("usual", shape, 7, dtype).numpy()
    broken = [(0, i) for i in range(6)] + [(1, 3)]
    for number, (b, k) in enumerate(broken):
        window[b, k, number % 6] = [np.nan, np.inf, -np.inf][number % 3]
    check(images, tf.constant(window), size, implementation)
    glimpses, by_images, by_window = run(
        images, tf.constant(window), size, implementation
    )
    is_broken = np.zeros([2, 7], bool)
    is_broken[tuple(zip(*broken, strict=True))] = True
    for result in (glimpses, by_window):
        nans = np.isnan(tf.cast(result, tf.float32).numpy()).reshape(2, 7, -1)
        np.testing.assert_array_equal(nans.all(-1), is_broken)
        np.testing.assert_array_equal(nans.any(-1), is_broken)
    assert np.isfinite(tf.cast(by_images, tf.float32).numpy()).all()


def test_gradient_of_a_broken_window_without_channels(implementation):
    window = tf.constant([[1.0, 1, 1, 1, 1, 1], [np.nan, 1, 1, 1, 1, 1]])
    _, _, by_window = run(tf.ones([2, 4, 5, 0]), window, (2, 3), implementation)
    np.testing.assert_array_equal(by_window, [[0.0] * 6, [np.nan] * 6])


def test_second_derivatives_of_a_broken_window_by_grad_are_zero(implementation):
    """As its glimpse adds nothing to the gradient of the images."""
    images = random_images([1, 6, 7, 1], tf.float32)
    window = tf.constant([[[3.0, 2, 1, 1, 1, 1], [np.inf, 2, 1, 1, 1, 1]]])
    grad = tf.ones([1, 2, 2, 3, 1])
    with tf.GradientTape() as outer:
        outer.watch(grad)
        by_images = run(images, window, (2, 3), implementation, grad)[1]
    by_grad = outer.gradient(by_images, grad)
    assert (by_grad[0, 0].numpy() > 0).all()
    np.testing.assert_array_equal(by_grad[0, 1], np.zeros([2, 3, 1]))


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64], ids=lambda d: d.name)
def test_extreme_finite_windows(implementation, dtype):
    windows = np.tile([10.0, 8, 1, 1, 1, 1], [12, 1])
    for i in range(6):
        windows[i, i], windows[6 + i, i] = 1e30, -1e30
    images = random_images([1, 20, 30, 1], dtype)
    window = tf.constant(windows[np.newaxis], window_dtype(dtype))
    glimpses, by_images, by_window = run(images, window, (5, 6), implementation)
    expected = reference.glimpse(images.numpy(), window.numpy(), (5, 6))
    assert_close(glimpses, expected, 1e-6)
    assert np.isfinite(by_images).all() and np.isfinite(by_window).all()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1e-9])
def test_floor_of_sigma_is_flat(implementation, value):
    images = random_images([1, 9, 9, 1], tf.float64)
    window = tf.constant([[4.2, 3.9, value, value, 1.0, 1.0]], tf.float64)
    at_floor = tf.constant([[4.2, 3.9, 1e-6, 1e-6, 1.0, 1.0]], tf.float64)
    glimpses, _, by_window = run(images, window, (3, 3), implementation)
    expected = gaussian_glimpse(images, at_floor, (3, 3), implementation)
    np.testing.assert_array_equal(glimpses, expected)
    np.testing.assert_array_equal(by_window[0, 2:4], [0, 0])


@pytest.mark.parametrize(
    "window",
    [
        [[5.2, 3.1, 1.0, 1.5, 1.2, 0.8], [3.3, 4.4, 0.4, 0.6, -0.7, 0.0]],
        [[-4.0, 9.0, 2.0, 1.0, 1.0, 1.3], [12.0, -2.0, 1.0, 3.0, 0.5, 2.0]],
        [[3.4, 2.3, 0.2, 0.15, 1.0, 1.0], [6.6, 4.7, 0.3, 0.1, 0.1, 2.0]],
    ],
    ids=["inside", "off the image", "sharp"],
)
def test_numeric_gradients(implementation, window):
    images = random_images([1, 7, 10, 2], tf.float64)
    window = tf.constant([window], tf.float64)
    weights = np.random.default_rng(3).normal(size=[1, 2, 3, 4, 2])

    @tf.function  # A graph: it is called some hundred times.
    def loss(images, window):
        return tf.reduce_sum(
            weights * gaussian_glimpse(images, window, (3, 4), implementation)
        )

    analytic, numeric = tf.test.compute_gradient(loss, [images, window], delta=1e-5)
    for a, n in zip(analytic, numeric, strict=True):
        np.testing.assert_allclose(a, n, atol=1e-7 * np.abs(n).max(), rtol=1e-6)


def test_numeric_second_derivatives(implementation):
    images = random_images([1, 6, 7, 1], tf.float64)
    window = tf.constant([[3.2, 2.1, 1.0, 1.5, 1.2, 0.8]], tf.float64)
    weights = np.random.default_rng(3).normal(size=[1, 3, 3, 1])

    @tf.function
    def gradients(images, window):
        with tf.GradientTape() as tape:
            tape.watch([images, window])
            glimpses = gaussian_glimpse(images, window, (3, 3), implementation)
            loss = tf.reduce_sum(weights * glimpses**2)
        return tape.gradient(loss, [images, window])

    for i in range(2):
        analytic, numeric = tf.test.compute_gradient(
            lambda images, window, i=i: gradients(images, window)[i],
            [images, window],
            delta=1e-5,
        )
        for a, n in zip(analytic, numeric, strict=True):
            np.testing.assert_allclose(a, n, atol=1e-6 * np.abs(n).max())


def test_second_derivatives_for_uint8_in_a_graph(implementation):
    images = random_images([1, 6, 7, 1], tf.uint8)
    window = tf.constant([[3.2, 2.1, 1.0, 1.5, 1.2, 0.8]])

    @tf.function
    def second(images):
        with tf.GradientTape() as outer:
            outer.watch(window)
            with tf.GradientTape() as inner:
                inner.watch(window)
                glimpses = gaussian_glimpse(images, window, (3, 3), implementation)
            first = inner.gradient(glimpses, window)
        return outer.gradient(first, window)

    expected = second(tf.cast(images, tf.float64))
    assert_close(second(images), expected.numpy(), 3e-5)


def test_derivatives_through_a_loop(implementation):
    images = random_images([2, 3, 8, 9, 1], tf.float32)
    window = tf.constant([[3.2, 4.1, 1.0, 1.5, 1.2, 0.8]] * 2)

    def derivatives(images, window):
        with tf.GradientTape() as outer:
            outer.watch(window)
            with tf.GradientTape() as inner:
                inner.watch(window)
                glimpses = tf.zeros([2, 3, 3, 1])
                for t in tf.range(3):
                    moved = window + glimpses[:, 0, 0]
                    glimpses += gaussian_glimpse(
                        images[:, t], moved, (3, 3), implementation
                    )
            first = inner.gradient(glimpses, window)
        return first, outer.gradient(first, window)

    for eager, graph in zip(
        derivatives(images, window),
        tf.function(derivatives)(images, window),
        strict=True,
    ):
        assert_close(graph, eager.numpy(), 1e-5)


@pytest.mark.parametrize("by", ["images", "window"])
@pytest.mark.parametrize("graph", [False, True])
def test_forward_mode(implementation, graph, by):
    """A directional derivative is the gradient along its direction."""
    sources = {
        "images": random_images([2, 8, 9, 1], tf.float64),
        "window": tf.constant([[3.2, 4.1, 1.0, 1.5, 1.2, 0.8]] * 2, tf.float64),
    }
    rng = np.random.default_rng(4)
    direction = tf.constant(rng.normal(size=sources[by].shape))
    weights = tf.constant(rng.normal(size=[2, 3, 4, 1]))

    def read(images, window):
        glimpses = gaussian_glimpse(images, window, (3, 4), implementation)
        return tf.reduce_sum(weights * glimpses**2)

    function = tf.function(read) if graph else read

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            result = function(**sources)
        return tape.gradient(result, sources)

    with tf.autodiff.ForwardAccumulator(sources[by], direction) as accumulator:
        first = function(**sources)
        second = gradients(function) if by == "window" else {}
    np.testing.assert_allclose(
        accumulator.jvp(first),
        tf.reduce_sum(direction * gradients(read)[by]),
        rtol=1e-9,
    )
    if not second:
        return
    with tf.GradientTape() as tape:
        tape.watch(sources)
        along = tf.reduce_sum(direction * gradients(read)[by])
    expected = tape.gradient(along, sources)
    for name, gradient in second.items():
        assert_close(accumulator.jvp(gradient), expected[name].numpy(), 1e-9)


def test_eager_mode_runs_only_the_gradient_asked_for(fused, monkeypatch):
    images = random_images([1, 8, 8, 1], tf.float32)
    window = tf.constant([[4.0, 4.0, 1.0, 1.0, 1.0, 1.0]])
    ran = []

    def spy_on(name):
        function = getattr(fused, f"ratm_gaussian_glimpse_grad_{name}")

        def spy(**kwargs):
            ran.append(name)
            return function(**kwargs)

        monkeypatch.setattr(fused, function.__name__, spy)

    spy_on("images")
    spy_on("window")
    for name, source in (("window", window), ("images", images)):
        ran.clear()
        with tf.GradientTape() as tape:
            tape.watch(source)
            glimpses = gaussian_glimpse(images, window, (3, 3), "fused")
        tape.gradient(glimpses, source)
        assert ran == [name]


def test_same_bits_on_any_number_of_threads(fused):
    """A batch shares its windows over threads; one image, its glimpse rows."""

    def results(images, window):
        glimpses, *gradients = run(images, window, (28, 28), "fused")
        return [result.numpy() for result in (glimpses, *gradients)]

    shape = [24, 200, 220, 3]
    images = random_images(shape, tf.float32)
    window = random_windows("usual", shape, 3, tf.float32)
    window += tf.constant([0, 0, 3, 3, 4, 4.0])
    together = results(images, window)
    for b in (0, 23):
        alone = results(images[b : b + 1], window[b : b + 1])
        for a, t in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a[0], t[b])


@pytest.mark.parametrize("rank", [2, 3])
def test_unknown_dimensions(implementation, rank):
    shape = [2, 9, 11, 3]
    images = random_images(shape, tf.float32)
    window = random_windows("usual", shape, 1 if rank == 2 else 4, tf.float32)
    window = window[:, 0] if rank == 2 else window
    expected = gaussian_glimpse(images, window, (3, 4), implementation)
    signatures = [
        ([None, None, None, 3], [None] * (rank - 1) + [6], [None] * (rank - 1)),
        ([2, None, None, None], [None] * rank, [2] + [None] * (rank - 2)),
        ([None] * 4, [2] + [None] * (rank - 1), [2] + [None] * (rank - 2)),
    ]
    for images_shape, window_shape, leading in signatures:
        function = tf.function(
            lambda x, w: gaussian_glimpse(x, w, (3, 4), implementation),
            input_signature=[tf.TensorSpec(images_shape), tf.TensorSpec(window_shape)],
        )
        static = function.get_concrete_function().outputs[0].shape.as_list()
        if implementation == "fused":
            assert static == [*leading, 3, 4, images_shape[3]]
        np.testing.assert_array_equal(function(images, window), expected)
    function = tf.function(
        lambda x, w: gaussian_glimpse(x, w, (3, 4), implementation),
        input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)],
    )
    np.testing.assert_array_equal(function(images, window), expected)


@pytest.mark.parametrize("rank", [2, 3])
def test_gradients_of_the_raw_op_for_a_window_of_unknown_rank(fused, rank):
    images = random_images([2, 9, 11, 3], tf.float32)
    window = random_windows("usual", images.shape, 2, tf.float32)
    window = window[:, 0] if rank == 2 else window

    def gradients(images, window):
        with tf.GradientTape() as outer:
            outer.watch(window)
            with tf.GradientTape() as inner:
                inner.watch([images, window])
                glimpses = fused.ratm_gaussian_glimpse(
                    images=images,
                    window=window,
                    glimpse_height=3,
                    glimpse_width=4,
                    Tout=tf.float32,
                )
                loss = tf.reduce_sum(glimpses**2)
            first = inner.gradient(loss, [images, window])
        return *first, outer.gradient(first[1], window)

    signature = [tf.TensorSpec(images.shape), tf.TensorSpec(None)]
    actual = tf.function(gradients, input_signature=signature)(images, window)
    for a, e in zip(actual, gradients(images, window), strict=True):
        assert_close(a, e.numpy(), 1e-5)


@pytest.mark.parametrize(
    "window,grad,window_grad,batch",
    [
        ([5, None, 6], [None, 2, 3, 4, None], [5, 2, 6], 5),
        ([None, 6], [5, 3, 4, None], [5, 6], 5),
        ([None, None], None, [None, 6], None),
        (None, [5, 2, 3, 4, None], [5, 2, 6], 5),
        (None, None, None, None),
    ],
)
def test_static_shapes_of_the_gradients(fused, window, grad, window_grad, batch):
    spec = tf.TensorSpec

    @tf.function(input_signature=[spec([None, None, 9, 3]), spec(window), spec(grad)])
    def gradients(images, window, grad):
        size = tf.shape(images, out_type=tf.int64)[1:3]
        window_grad = fused.ratm_gaussian_glimpse_grad_window(
            images=images, window=window, grad=grad
        )
        images_grad = fused.ratm_gaussian_glimpse_grad_images(
            image_size=size, window=window, grad=grad
        )
        return window_grad, images_grad

    by_window, by_images = gradients.get_concrete_function().outputs
    assert by_window.shape.rank == (window_grad and len(window_grad))
    assert window_grad is None or by_window.shape.as_list() == window_grad
    assert by_images.shape.as_list() == [batch, None, 9, None]


@pytest.mark.parametrize("choice", ["auto", "tf"])
def test_xla(choice):
    images = random_images([2, 12, 13, 1], tf.float32)
    window = random_windows("usual", images.shape, 2, tf.float32)

    def forward_and_back(images, window):
        return run(images, window, (4, 5), choice)

    compiled = tf.function(forward_and_back, jit_compile=True)(images, window)
    expected = run(images, window, (4, 5), "tf")
    for c, e in zip(compiled, expected, strict=True):
        assert_close(c, e.numpy(), 1e-5)


def test_xla_cannot_compile_the_fused_op(fused):
    @tf.function(jit_compile=True)
    def function(images, window):
        inner = tf.function(lambda: gaussian_glimpse(images, window, (2, 2), "fused"))
        return inner()

    with pytest.raises(ValueError, match="where XLA compiles.* Received: 'fused'"):
        function(tf.ones([1, 4, 4, 1]), tf.ones([1, 6]))


IMAGES = np.ones([2, 4, 5, 1], np.float32)
WINDOW = np.ones([2, 6], np.float32)


@pytest.mark.parametrize(
    "arguments,error,message",
    [
        ({"images": IMAGES.astype(np.int32)}, TypeError, "`images` .* int32"),
        (
            {"images": IMAGES[0]},
            ValueError,
            r"`images` .* \[B, H, W, C\]. Received: \(4, 5, 1\)",
        ),
        (
            {"images": IMAGES[:, :0]},
            ValueError,
            "`images` .* positive height and width",
        ),
        ({"window": WINDOW.astype(str)}, TypeError, "`window` .* string"),
        ({"window": WINDOW > 0}, TypeError, "`window` .* bool"),
        (
            {"window": WINDOW[0]},
            ValueError,
            r"`window` .* \[B, 6\] or \[B, K, 6\]\. Received",
        ),
        ({"window": WINDOW[:, :5]}, ValueError, r"`window` .* Received: \(2, 5\)"),
        (
            {"window": WINDOW[:1]},
            ValueError,
            r"`images` and `window` to agree .* batch",
        ),
        ({"glimpse_size": 28}, ValueError, "`glimpse_size` .* Received: 28"),
        ({"glimpse_size": (3, 0)}, ValueError, r"`glimpse_size` .* Received: \(3, 0\)"),
        (
            {"glimpse_size": (3.0, 3)},
            ValueError,
            r"`glimpse_size` .* Received: \(3.0, 3\)",
        ),
        (
            {"implementation": "cuda"},
            ValueError,
            "`implementation` .* Received: 'cuda'",
        ),
    ],
)
@pytest.mark.parametrize("graph", [False, True])
def test_bad_arguments(arguments, error, message, graph):
    arguments = {"images": IMAGES, "window": WINDOW, **arguments}
    function = tf.function(gaussian_glimpse) if graph else gaussian_glimpse
    with pytest.raises(error, match=message):
        function(**arguments)


def test_a_size_that_equals_a_good_one_is_refused():
    assert gaussian_glimpse(IMAGES, WINDOW, (1, 1)).shape == [2, 1, 1, 1]
    with pytest.raises(ValueError, match="`glimpse_size`"):
        gaussian_glimpse(IMAGES, WINDOW, (True, 1))


def test_numpy_integers_are_a_size():
    assert gaussian_glimpse(IMAGES, WINDOW, np.array([2, 3])).shape == [2, 2, 3, 1]


@pytest.mark.parametrize(
    "images,window",
    [
        ([2, 4, 5, 1], [3, 6]),
        ([2, 4, 5, 1], [1, 6]),
        ([1, 4, 5, 1], [2, 6]),
        ([2, 4, 5, 1], [2, 5]),
        ([4, 5, 1], [2, 6]),
        ([2, 4, 5, 1], [2, 1, 1, 6]),
    ],
)
def test_shapes_that_turn_out_wrong_at_run_time(implementation, images, window):
    function = tf.function(
        lambda x, w: gaussian_glimpse(x, w, (3, 4), implementation),
        input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.ones(images), tf.ones(window))


@pytest.mark.parametrize(
    "module", [filterbank, functional, library], ids=lambda module: module.__name__
)
def test_examples(module):
    results = doctest.testmod(module)
    assert results.attempted and not results.failed
