"""The paper's recurrence over a whole sequence, in as few operations as it takes."""

from collections.abc import Sequence

import tensorflow as tf

from ratm_tf.attention import library
from ratm_tf.attention.window import CENTERS, MAGNITUDES, least
from ratm_tf.types import Size

_MIRRORED = [1.0, 1.0, -1.0, -1.0, -1.0, -1.0]


def recurrence(
    frames: Sequence[tf.Tensor],
    hidden: tf.Tensor,
    place: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    place_kernel: tf.Tensor,
    place_bias: tf.Tensor,
    glimpse_size: Size,
    min_sigma: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs Eq. 1-5 with the fused op, unrolled, with their gradient by hand.

        window_t = max(abs(place_t), min_sigma)    (the centre as it is: Eq. 6-8)
        x_t = glimpse(frame_t, window_t)           (Eq. 4)
        h_t = relu([x_t, h_{t-1}] kernel + bias)   (Eq. 1-3)
        place_{t+1} = h_t place_kernel + place_bias    (Eq. 5, in pixels)

    A step of a small model costs by the number of its operations. Here are half of
    those of a `RATMCell` and of what TensorFlow makes of its gradient: weights are read
    once, and their gradients are one product of the whole sequence.

    Args:
        frames: `T` tensors `[B, H, W, C]`, uint8 or float32; without gradients.
        hidden: `h_0`, float32 `[B, units]`.
        place: the first window, with signs, float32 `[B, 6]` in pixels.
        kernel: `W_in` above `W_rec`, float32 `[N*M*C + units, units]`.
        bias: float32 `[units]`.
        place_kernel: `W` of Eq. 5 in pixels, float32 `[units, 6]`.
        place_bias: `b` of Eq. 5 in pixels, of each sequence, float32 `[B, 6]`.
        glimpse_size: `(N, M)`.
        min_sigma: see `GaussianGlimpse`.

    Returns:
        `(windows, glimpses)`, float32 `[B, T, 6]` in pixels and `[B, T, N, M, C]` in
        the range of the frames' values.

    Example:
    >>> from ratm_tf.attention.recurrence import recurrence
    >>> windows, glimpses = recurrence(
    ...     [tf.ones([2, 9, 9, 1])] * 3, tf.zeros([2, 8]), tf.ones([2, 6]),
    ...     tf.zeros([4 * 4 + 8, 8]), tf.zeros([8]), tf.zeros([8, 6]), tf.ones([2, 6]),
    ...     glimpse_size=(4, 4), min_sigma=0.25)
    >>> windows.shape, glimpses.shape
    (TensorShape([2, 3, 6]), TensorShape([2, 3, 4, 4, 1]))
    """
    op, floor = library.load(), least(min_sigma)
    sizes = [kernel.shape[0] - kernel.shape[1], kernel.shape[1]]

    @tf.custom_gradient
    def run(hidden, place, kernel, bias, place_kernel, place_bias):
        windows, glimpses, magnitudes, places, inputs, hiddens = [], [], [], [], [], []
        for frame in frames:
            magnitude = tf.maximum(place, place * _MIRRORED)
            window = tf.maximum(magnitude, floor)
            glimpse = op.ratm_gaussian_glimpse(frame, window, *glimpse_size, tf.float32)
            both = tf.concat([tf.reshape(glimpse, [-1, sizes[0]]), hidden], axis=1)
            hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(both, kernel), bias))
            places.append(place)
            magnitudes.append(magnitude)
            windows.append(window)
            glimpses.append(glimpse)
            inputs.append(both)
            hiddens.append(hidden)
            place = tf.matmul(hidden, place_kernel) + place_bias

        def gradient(by_windows, by_glimpses):
            slopes = tf.sign(tf.stack(places)) * MAGNITUDES + CENTERS
            slopes *= tf.cast(tf.stack(magnitudes) >= floor, tf.float32)
            by_place, by_hidden = tf.zeros_like(place), tf.zeros_like(hidden)
            by_totals, by_places = [], []
            steps = (
                frames,
                windows,
                hiddens,
                tf.unstack(slopes),
                tf.unstack(by_windows, axis=1),
                tf.unstack(by_glimpses, axis=1),
            )
            for frame, window, state, slope, by_window, by_glimpse in reversed(
                [*zip(*steps, strict=True)]
            ):
                by_places.append(by_place)
                by_hidden += tf.matmul(by_place, place_kernel, transpose_b=True)
                by_total = tf.raw_ops.ReluGrad(gradients=by_hidden, features=state)
                by_totals.append(by_total)
                by_both = tf.matmul(by_total, kernel, transpose_b=True)
                by_seen, by_hidden = tf.split(by_both, sizes, axis=1)
                by_glimpse += tf.reshape(by_seen, tf.shape(by_glimpse))
                by_window += op.ratm_gaussian_glimpse_grad_window(
                    images=frame, window=window, grad=by_glimpse
                )
                by_place = by_window * slope
            by_total = tf.concat(by_totals[::-1], axis=0)
            by_following = tf.concat(by_places[::-1], axis=0)
            return (
                by_hidden,
                by_place,
                tf.matmul(tf.concat(inputs, axis=0), by_total, transpose_a=True),
                tf.reduce_sum(by_total, axis=0),
                tf.matmul(tf.concat(hiddens, axis=0), by_following, transpose_a=True),
                tf.add_n(by_places),
            )

        return (tf.stack(windows, axis=1), tf.stack(glimpses, axis=1)), gradient

    return run(hidden, place, kernel, bias, place_kernel, place_bias)
