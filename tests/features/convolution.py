"""A convolution in float64, as an independent reference."""

import numpy as np


def convolved(x, kernel, stride):
    """Convolves maps `[B, N, M, C]` by kernels `[F, C, S, S]`, or each by its own.

    The latter are `[C, 1, S, S]`. Padding is TensorFlow's "SAME".
    """
    size = kernel.shape[-1]
    pads = [
        max((-(-length // stride) - 1) * stride + size - length, 0)
        for length in x.shape[1:3]
    ]
    x = np.pad(x, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)])
    patches = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    patches = patches[:, ::stride, ::stride]
    if kernel.shape[1] == 1 and len(kernel) == x.shape[-1]:
        return np.einsum("bijckl,ckl->bijc", patches, kernel[:, 0])
    return np.einsum("bijckl,ockl->bijo", patches, kernel, optimize=True)
