"""How noisy an image is, estimated from the image alone."""

from __future__ import annotations

import numpy as np

from pixelry.pixels.color import has_alpha
from pixelry.pixels.dtype import Image

# Pixels a side below which the wavelets' finest scale has too few coefficients.
MIN_SIDE = 32


def estimate_noise(image: Image, *, max_side: int | None = None) -> float:
    """Return the standard deviation of white noise in an image, on the scale of 255 grey levels.

    The median of the finest wavelet coefficients, over 0.6745 (Donoho and Johnstone 1994), by scikit-image, as the mean
    over the channels. Fine texture counts as noise; noise that neighbours share counts less than it is.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats, whose range is [0, 1] but for their noise.
        max_side: Look at the middle of a larger image only, so many pixels wide and high.

    Returns:
        0 or more; NaN for images of less than 32 pixels a side, and of two levels.

    Examples:
        >>> noisy = np.random.default_rng(0).normal(0.5, 10 / 255, (64, 64))
        >>> round(estimate_noise(noisy), 1)
        9.8
    """
    if min(image.shape[:2]) < MIN_SIDE or image.dtype == np.bool_:
        return float("nan")
    from skimage.restoration import estimate_sigma

    if max_side is not None:
        top, left = (max(0, (side - max_side) // 2) for side in image.shape[:2])
        image = image[top : top + max_side, left : left + max_side]
    colors = image[..., :-1] if has_alpha(image) else image
    scale = float(np.iinfo(colors.dtype).max) if colors.dtype.kind == "u" else 1.0
    axis = None if colors.ndim == 2 else -1
    return 255 / scale * float(estimate_sigma(colors.astype(np.float32), average_sigmas=True, channel_axis=axis))
