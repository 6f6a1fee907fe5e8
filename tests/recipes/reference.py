"""An independent NumPy reference of the tracker by the paper's recipes, in float64."""

import keras
import numpy as np

from tests.attention import reference


def raw_window(box, frame_size, glimpse_size):
    """The raw window whose corner box is `box`, with sigma at half its stride."""
    (height, width), (rows, columns) = frame_size, glimpse_size
    first, last = np.split(np.asarray(box, np.float64), 2, axis=-1)
    span = np.array([width - 1, height - 1])
    stride = (last - first) / [columns - 1, rows - 1]
    center = (first + last) / span - 1
    return np.concatenate([center, stride / 2, (last - first) / span], axis=-1)


def pixel_window(raw, frame_size, glimpse_size, min_sigma=0.25):
    """Eq. 6-8."""
    (height, width), (rows, columns) = frame_size, glimpse_size
    span = np.array([width - 1, height - 1])
    return np.concatenate(
        [
            span * (raw[..., :2] + 1) / 2,
            np.maximum(abs(raw[..., 2:4]), min_sigma),
            span / [columns - 1, rows - 1] * abs(raw[..., 4:]),
        ],
        axis=-1,
    )


def read(frames, raw, glimpse_size):
    """Glimpses `[B, N, M, C]` in 0..1 of uint8 frames `[B, H, W, C]`."""
    window = pixel_window(raw, frames.shape[1:3], glimpse_size)
    return reference.glimpse(frames, window[:, None], glimpse_size)[:, 0] / 255


def tracked(weights, frames, first, glimpse_size, describe, residual=False):
    """Eq. 1-8 over a sequence.

    Args:
        weights: dict of `kernel` (W_in), `recurrent_kernel` (W_rec), `window` (W) and
            `window_bias` (b); b is the first window without it.
        frames: uint8 `[B, T, H, W, C]`.
        first: raw first windows `[B, 6]`.
        glimpse_size: `(N, M)`.
        describe: function of glimpses that returns their features `[B, F]`.
        residual: whether windows add up, in place of Eq. 5.

    Returns:
        `(raw windows [B, T, 6], glimpses [B, T, N, M, C])`.
    """
    raw, hidden = first, np.zeros([len(first), len(weights["window"])])
    bias = weights.get("window_bias", first)
    windows, glimpses = [], []
    for frame in np.moveaxis(frames, 1, 0):
        glimpse = read(frame, raw, glimpse_size)
        windows.append(raw)
        glimpses.append(glimpse)
        total = describe(glimpse) @ weights["kernel"]
        hidden = np.maximum(total + hidden @ weights["recurrent_kernel"], 0)
        raw = hidden @ weights["window"] + (raw if residual else bias)
    return np.stack(windows, axis=1), np.stack(glimpses, axis=1)


def in_float64(model):
    """What a Keras model of one layer after the other does, in float64."""

    def leaves(model):
        for layer in model.layers:
            if isinstance(layer, keras.Model):
                yield from leaves(layer)
            elif not isinstance(layer, keras.layers.InputLayer):
                yield layer

    # One by one: the inputs of a model of layers would be cast to float32.
    copies = []
    for layer in leaves(model):
        copy = type(layer).from_config(layer.get_config() | {"dtype": "float64"})
        copies.append((copy, layer.get_weights()))

    def described(inputs):
        for layer, weights in copies:
            if not layer.built:
                layer.build(inputs.shape)
                layer.set_weights(weights)
            inputs = layer(inputs, training=False)
        return inputs.numpy()

    return described
