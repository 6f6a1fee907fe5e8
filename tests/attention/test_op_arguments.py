import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.attention.op import gaussian_glimpse

IMAGES = np.ones([2, 4, 5, 1], np.float32)
WINDOW = np.ones([2, 6], np.float32)


@pytest.mark.parametrize(
    "arguments,error,message",
    [
        ({"images": IMAGES.astype(np.int32)}, TypeError, "images .* int32"),
        (
            {"images": IMAGES[0]},
            ValueError,
            r"images .* \[B, H, W, C\], got \(4, 5, 1\)",
        ),
        ({"images": IMAGES[:, :0]}, ValueError, "images .* positive height and width"),
        ({"window": WINDOW.astype(str)}, TypeError, "window .* string"),
        ({"window": WINDOW > 0}, TypeError, "window .* bool"),
        ({"window": WINDOW[0]}, ValueError, r"window .* \[B, 6\] or \[B, K, 6\], got"),
        ({"window": WINDOW[:, :5]}, ValueError, r"window .*, got \(2, 5\)"),
        ({"window": WINDOW[:1]}, ValueError, r"images and window must agree .* batch"),
        ({"glimpse_size": 28}, ValueError, "glimpse_size .* got 28"),
        ({"glimpse_size": (3, 0)}, ValueError, r"glimpse_size .* got \(3, 0\)"),
        ({"glimpse_size": (3.0, 3)}, ValueError, r"glimpse_size .* got \(3.0, 3\)"),
        ({"implementation": "cuda"}, ValueError, "implementation .* got 'cuda'"),
    ],
)
@pytest.mark.parametrize("graph", [False, True])
def test_bad_arguments(arguments, error, message, graph):
    arguments = {"images": IMAGES, "window": WINDOW, **arguments}
    function = tf.function(gaussian_glimpse) if graph else gaussian_glimpse
    with pytest.raises(error, match=message):
        function(**arguments)


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


GOOD = {"images": [2, 4, 5, 1], "window": [2, 3, 6], "grad": [2, 3, 7, 8, 1]}
GOOD_ALONE = GOOD | {"window": [2, 6], "grad": [2, 7, 8, 1]}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    "good,bad",
    [
        (GOOD, {"images": [2, 4, 5]}),
        (GOOD, {"images": [2, 0, 5, 1]}),
        (GOOD, {"images": [2, 4, 0, 1]}),
        (GOOD, {"images": [3, 4, 5, 1]}),
        (GOOD, {"window": [6]}),
        (GOOD, {"window": [2, 1, 3, 6]}),
        (GOOD, {"window": [2, 3, 5]}),
        (GOOD, {"window": [1, 3, 6]}),
        (GOOD, {"grad": [2, 7, 8, 1]}),
        (GOOD, {"grad": [2, 3, 7, 8]}),
        (GOOD, {"grad": [2, 4, 7, 8, 1]}),
        (GOOD, {"grad": [1, 3, 7, 8, 1]}),
        (GOOD, {"grad": [2, 3, 0, 8, 1]}),
        (GOOD, {"grad": [2, 3, 7, 8, 2]}),
        (GOOD_ALONE, {"images": [3, 4, 5, 1]}),
        (GOOD_ALONE, {"window": [2, 5]}),
        (GOOD_ALONE, {"window": [1, 6]}),
        (GOOD_ALONE, {"grad": [7, 8, 1]}),
        (GOOD_ALONE, {"grad": [2, 1, 7, 8, 1]}),
        (GOOD_ALONE, {"grad": [1, 7, 8, 1]}),
        (GOOD_ALONE, {"grad": [2, 7, 0, 1]}),
        (GOOD_ALONE, {"grad": [2, 7, 8, 2]}),
    ],
    ids=str,
)
def test_kernels_and_shape_functions_check_shapes(fused, good, bad, graph):
    inputs = {name: tf.ones(shape) for name, shape in {**good, **bad}.items()}
    images, window, grad = inputs["images"], inputs["window"], inputs["grad"]
    calls = [
        lambda: fused.ratm_gaussian_glimpse_grad_window(
            images=images, window=window, grad=grad
        )
    ]
    if "grad" not in bad:
        calls.append(
            lambda: fused.ratm_gaussian_glimpse(
                images=images,
                window=window,
                glimpse_height=7,
                glimpse_width=8,
                Tout=tf.float32,
            )
        )
    if "images" not in bad and inputs["grad"].shape[-1] == 1:
        calls.append(
            lambda: fused.ratm_gaussian_glimpse_grad_images(
                image_size=[4, 5], window=window, grad=grad
            )
        )
    for call in calls:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            tf.function(call)() if graph else call()


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("size", [[0, 5], [4, -1], [4], [4, 5, 6], [[4, 5]]], ids=str)
def test_image_size_is_checked(fused, size, graph):
    def call():
        return fused.ratm_gaussian_glimpse_grad_images(
            image_size=tf.constant(size, tf.int64),
            window=tf.ones(GOOD["window"]),
            grad=tf.ones(GOOD["grad"]),
        )

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.function(call)() if graph else call()


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    "images,window,output",
    [
        (tf.float32, tf.float64, tf.float32),
        (tf.float64, tf.float32, tf.float64),
        (tf.float32, tf.float32, tf.float16),
        (tf.float16, tf.float32, tf.float32),
        (tf.uint8, tf.float32, tf.float16),
    ],
)
def test_dtypes_are_checked(fused, images, window, output, graph):
    def call():
        return fused.ratm_gaussian_glimpse(
            images=tf.cast(IMAGES, images),
            window=tf.cast(WINDOW[:, tf.newaxis], window),
            glimpse_height=2,
            glimpse_width=2,
            Tout=output,
        )

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.function(call)() if graph else call()
