"""An independent NumPy reference of the glimpse, in float64."""

import numpy as np


def filter_bank(center, sigma, stride, size, length):
    """Returns the bank of one axis and its derivatives by mu and sigma."""
    mu = center + (np.arange(size) - (size - 1) / 2) * stride
    sigma = max(sigma, 1e-6)
    pixels = np.arange(length)
    nearest = np.clip(np.round(mu), 0, length - 1)[:, None]
    with np.errstate(under="ignore"):
        # (a - mu)^2 - (nearest - mu)^2, factored.
        excess = (pixels - nearest) * (pixels + nearest - 2 * mu[:, None])
        bank = np.exp(-excess / (2 * sigma**2))
        bank /= bank.sum(axis=1, keepdims=True)

        def centred(moment):
            return bank * (moment - (bank * moment).sum(axis=1, keepdims=True))

        by_mu = centred(pixels - nearest) / sigma**2
        by_sigma = centred(excess) / sigma**3
    return bank, by_mu, by_sigma


def _axes(window, height, width, glimpse_size):
    rows, columns = glimpse_size
    cx, cy, sx, sy, dx, dy = (float(value) for value in window)
    return (
        filter_bank(cx, sx, dx, columns, width),
        filter_bank(cy, sy, dy, rows, height),
    )


def glimpse(images, window, glimpse_size):
    """images [B, H, W, C], window [B, K, 6] -> glimpses [B, K, N, M, C]."""
    images = np.asarray(images).astype(np.float64)
    batch, height, width, channels = images.shape
    result = np.full([batch, window.shape[1], *glimpse_size, channels], np.nan)
    for b, k in np.ndindex(window.shape[:2]):
        if np.isfinite(window[b, k]).all():
            (fx, _, _), (fy, _, _) = _axes(window[b, k], height, width, glimpse_size)
            lines = np.tensordot(fy, images[b], 1)
            result[b, k] = np.einsum("nwc,mw->nmc", lines, fx)
    return result


def gradients(images, window, grad):
    """Returns the gradients with respect to images and window."""
    images = np.asarray(images).astype(np.float64)
    grad = np.asarray(grad).astype(np.float64)
    _, height, width, _ = images.shape
    rows, columns = grad.shape[2:4]
    i = np.arange(rows) - (rows - 1) / 2
    j = np.arange(columns) - (columns - 1) / 2
    images_grad = np.zeros_like(images)
    window_grad = np.full(window.shape, np.nan)
    for b, k in np.ndindex(window.shape[:2]):
        if not np.isfinite(window[b, k]).all():
            continue
        (fx, fx_mu, fx_sigma), (fy, fy_mu, fy_sigma) = _axes(
            window[b, k], height, width, (rows, columns)
        )
        g = grad[b, k]
        images_grad[b] += np.einsum("nmc,nh,mw->hwc", g, fy, fx, optimize=True)
        back_x = np.einsum("nmc,nh,hwc->mw", g, fy, images[b], optimize=True)
        back_y = np.einsum("nmc,mw,hwc->nh", g, fx, images[b], optimize=True)
        mu_x = (back_x * fx_mu).sum(axis=1)
        mu_y = (back_y * fy_mu).sum(axis=1)
        window_grad[b, k] = [
            mu_x.sum(),
            mu_y.sum(),
            (back_x * fx_sigma).sum() * (window[b, k, 2] >= 1e-6),
            (back_y * fy_sigma).sum() * (window[b, k, 3] >= 1e-6),
            mu_x @ j,
            mu_y @ i,
        ]
    return images_grad, window_grad
