"""The paper's recurrence over a whole sequence, as one op."""

import ctypes
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ratm_tf.attention import filterbank, library
from ratm_tf.attention.functional import gradients
from ratm_tf.attention.window import window_from_activations
from ratm_tf.types import Size


def available() -> bool:
    """Whether the op can run: it is for the CPU alone.

    Returns:
        A bool.

    Example:
    >>> from ratm_tf.attention import recurrence
    >>> recurrence.available() in (True, False)
    True
    """
    return (
        library.unavailable_reason() is None
        and hasattr(library.load(), "ratm_recurrence")
        and not tf.config.get_visible_devices("GPU")
    )


def recurrence(
    frames: tf.Tensor,
    activations: tf.Tensor,
    hidden: tf.Tensor,
    window_bias: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    window_kernel: tf.Tensor,
    glimpse_size: Size,
    min_sigma: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Runs Eq. 1-12 over sequences, which TensorFlow's threads share out.

        window_t = the activations in pixels                   (Eq. 6-8)
        x_t = glimpse(frame_t, window_t)                       (Eq. 4, 9-12)
        h_t = relu(x_t kernel + h_{t-1} recurrent_kernel + bias)   (Eq. 1-3)
        activations_{t+1} = h_t window_kernel + window_bias    (Eq. 5)

    It is differentiable by all but the frames. A step of a small model costs by the
    number of its operations: here a sequence has one, and its gradient one more, beside
    the products that make the gradients of weights.

    Args:
        frames: `[B, T, H, W, C]`, uint8 in 0..255 or float32 in 0..1; or
            `[1, T, H, W, C]`, a video that all `B` sequences look at.
        activations: float32 `[B, 6]`, of the first window.
        hidden: `h_0`, float32 `[B, units]`.
        window_bias: `b` of Eq. 5 for each sequence, float32 `[B, 6]`.
        kernel: `W_in`, float32 `[N*M*C, units]`.
        recurrent_kernel: `W_rec`, float32 `[units, units]`.
        bias: float32 `[units]`.
        window_kernel: `W` of Eq. 5, float32 `[units, 6]`.
        glimpse_size: `(N, M)`.
        min_sigma: see `GaussianGlimpse`.

    Returns:
        `(windows, glimpses, hidden, activations)`, float32: `[B, T, 6]` in pixels,
        `[B, T, N, M, C]` in 0..1, `h_T` `[B, units]`, and the activations of the window
        that comes after, `[B, 6]`.

    Raises:
        RuntimeError: if there is no op.
        ValueError or tf.errors.InvalidArgumentError: if shapes are not those above.

    Example:
    >>> from ratm_tf.attention.recurrence import available, recurrence
    >>> if available():
    ...     windows, glimpses, hidden, activations = recurrence(
    ...         tf.ones([2, 3, 9, 9, 1]), tf.ones([2, 6]), tf.zeros([2, 8]),
    ...         tf.ones([2, 6]), tf.zeros([16, 8]), tf.zeros([8, 8]), tf.zeros([8]),
    ...         tf.zeros([8, 6]), glimpse_size=(4, 4), min_sigma=0.25)
    """
    return library.load().ratm_recurrence(
        frames,
        activations,
        hidden,
        window_bias,
        kernel,
        recurrent_kernel,
        bias,
        window_kernel,
        glimpse_height=glimpse_size[0],
        glimpse_width=glimpse_size[1],
        min_sigma=min_sigma,
    )[:4]


class Stream:
    """The same frame by frame: TensorFlow takes longer to call an op than that to run.

    Args:
        frame_shape: `(H, W, C)` of all frames.
        states: array-likes, the arguments `activations`, `hidden` and `window_bias` of
            `recurrence`.
        weights: array-likes, its other ones up to `window_kernel`.
        glimpse_size: `(N, M)`.
        min_sigma: see `GaussianGlimpse`.

    Raises:
        RuntimeError: if there is no op, or no memory.
        ValueError: if shapes are not those of `recurrence`, or a frame's are others.
        TypeError: if a frame is of another dtype.

    Example:
    >>> from ratm_tf.attention.recurrence import Stream, available
    >>> if available():
    ...     weights = np.zeros([16, 8]), np.zeros([8, 8]), np.zeros(8), np.zeros([8, 6])
    ...     states = np.ones([2, 6]), np.zeros([2, 8]), np.ones([2, 6])
    ...     stream = Stream((9, 9, 1), states, weights, (4, 4), min_sigma=0.25)
    ...     windows, glimpses = stream(np.ones([9, 9, 1], np.float32))
    """

    def __init__(
        self,
        frame_shape: Sequence[int],
        states: Sequence[npt.ArrayLike],
        weights: Sequence[npt.ArrayLike],
        glimpse_size: Size,
        min_sigma: float,
    ) -> None:
        self._recur = library.functions().RatmRecur
        self._recur.restype = ctypes.c_bool
        arrays = [np.array(x, np.float32, order="C") for x in (*states, *weights)]
        batch, units = np.atleast_2d(arrays[1]).shape
        self._frame_shape = tuple(frame_shape)
        seen = math.prod(glimpse_size) * frame_shape[-1]
        expected: list[tuple[int, ...]] = [(batch, 6), (batch, units), (batch, 6)]
        expected += [(seen, units), (units, units), (units,), (units, 6)]
        shapes = [array.shape for array in arrays]
        if shapes != expected:
            raise ValueError(
                f"Expected `states` and `weights` of shapes {expected}. "
                f"Received shapes: {shapes}"
            )
        sizes = np.array([*frame_shape, *glimpse_size, batch, units], np.int64)
        self.windows = np.zeros([batch, 6], np.float32)
        shape = [batch, *glimpse_size, frame_shape[-1]]
        self.glimpses = np.zeros(shape, np.float32)
        # They last as long as their addresses are used.
        self._arrays: list[np.ndarray] = [sizes, *arrays, self.windows, self.glimpses]
        first, *rest = (
            ctypes.c_void_p(array.__array_interface__["data"][0])
            for array in self._arrays
        )
        self._before = first, ctypes.c_float(min_sigma)
        self._after = rest

    def __call__(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reads a frame that all sequences share.

        Args:
            frame: `[H, W, C]`, uint8 in 0..255 or float32 in 0..1.

        Returns:
            `(windows, glimpses)`, float32 `[B, 6]` in pixels and `[B, N, M, C]` in
            0..1, until the next call.
        """
        if frame.shape != self._frame_shape:
            raise ValueError(
                f"Expected a `frame` of shape {self._frame_shape}. "
                f"Received shape: {frame.shape}"
            )
        if frame.dtype not in (np.uint8, np.float32):
            raise TypeError(
                f"Expected a `frame` of uint8 or float32. Received: {frame.dtype}"
            )
        frame = np.ascontiguousarray(frame)
        address = ctypes.c_void_p(frame.__array_interface__["data"][0])
        if not self._recur(
            frame.dtype == np.uint8, *self._before, address, *self._after
        ):
            raise RuntimeError("There is no memory to work in.")
        return self.windows, self.glimpses


@tf.RegisterGradient("Ratm>Recurrence")
def _recurrence_gradient(op, *upstream):
    windows, glimpses, _, _, hiddens, following = op.outputs
    made = library.load().ratm_recurrence_grad(
        *op.inputs,
        windows,
        glimpses,
        hiddens,
        following,
        *upstream[:4],
        min_sigma=op.get_attr("min_sigma"),
    )
    return None, *made


@tf.RegisterGradient("Ratm>RecurrenceGrad")
def _recurrence_grad_gradient(op, *upstream):
    frames, *inputs = op.inputs[:8]
    by_outputs = op.inputs[12:]
    size = op.inputs[9].shape[2:4]

    def gradient(*inputs):
        return gradients(
            lambda *inputs: _form(frames, *inputs, *size, op.get_attr("min_sigma")),
            inputs[:7],
            list(inputs[7:]),
        )

    found = gradients(gradient, [*inputs, *by_outputs], list(upstream))
    return [None, *found[:7], *[None] * 4, *found[7:]]


def _form(
    frames,
    activations,
    hidden,
    window_bias,
    kernel,
    recurrent_kernel,
    bias,
    window_kernel,
    *attributes,
):
    """What the op computes, in TensorFlow's own, for its second derivatives."""
    *glimpse_size, min_sigma = attributes
    scale = 255.0 if frames.dtype == tf.uint8 else 1.0
    shape = tf.concat([tf.shape(hidden)[:1], tf.shape(frames)[1:]], axis=0)
    outputs = []
    for frame in tf.unstack(tf.broadcast_to(frames, shape), axis=1):
        window = window_from_activations(
            activations, tf.unstack(tf.shape(frame)[1:3]), glimpse_size, min_sigma
        )
        glimpse = filterbank.glimpse(frame, window, glimpse_size) / scale
        seen = tf.reshape(glimpse, [-1, kernel.shape[0]])
        total = tf.matmul(seen, kernel) + tf.matmul(hidden, recurrent_kernel) + bias
        hidden = tf.nn.relu(total)
        activations = tf.matmul(hidden, window_kernel) + window_bias
        outputs.append((window, glimpse))
    windows, glimpses = (tf.stack(x, axis=1) for x in zip(*outputs, strict=True))
    return windows, glimpses, hidden, activations
