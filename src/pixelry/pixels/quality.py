"""How close an image is to a reference: PSNR and SSIM."""

from __future__ import annotations

import numpy as np

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.dtype import RANGED, Image, check_finite, check_image, check_range


def psnr(image: Image, *, reference: Image, data_range: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB (`skimage.metrics.peak_signal_noise_ratio`).

    Args:
        image: (H, W) or (H, W, C).
        reference: The same shape and dtype.
        data_range: Largest less smallest possible value. By default the dtype's: 255 for uint8, 65,535 for
            uint16, 1 for floats in [0, 1], 2 for floats in [-1, 1].

    Returns:
        Higher is closer; infinite for equal images.

    Raises:
        ImageError: Shapes or dtypes differ, NaN or infinite values, or floats outside [-1, 1] without a
            data_range.
        UsageError: A data_range that is not positive.

    Examples:
        >>> psnr(np.full((8, 8), 0.5), reference=np.full((8, 8), 0.6))
        20.0
    """
    from skimage.metrics import peak_signal_noise_ratio

    span = _data_range(image, reference, data_range)
    with np.errstate(divide="ignore"):
        ratio = float(peak_signal_noise_ratio(reference, image, data_range=span))
    return round(ratio, 10)


def ssim(
    image: Image,
    *,
    reference: Image,
    data_range: float | None = None,
    window: int = 7,
    gaussian: bool = False,
) -> float:
    """Return the mean structural similarity (`skimage.metrics.structural_similarity`).

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing, 2004.

    Args:
        image: (H, W) or (H, W, C).
        reference: The same shape and dtype.
        data_range: As in `psnr`.
        window: Side of the square window in pixels, odd.
        gaussian: Weigh an 11 x 11 window by a Gaussian of 1.5 pixels as in the paper; `window` is not used.

    Returns:
        1 for equal images; lower, down to -1, is less alike.

    Raises:
        ImageError: As in `psnr`, or the image is smaller than the window.
        UsageError: An even or too small window, or a data_range that is not positive.

    Examples:
        >>> picture = np.linspace(0, 1, 64).reshape(8, 8)
        >>> ssim(picture, reference=picture)
        1.0
    """
    from skimage.metrics import structural_similarity

    if window < 3 or window % 2 == 0:
        raise UsageError(f"window is {window}; expected an odd number, 3 or more")
    span = _data_range(image, reference, data_range)
    side = 11 if gaussian else window
    if min(image.shape[:2]) < side:
        raise ImageError(
            f"the image has {image.shape[0]} x {image.shape[1]} pixels; SSIM needs {side} x {side} or more, "
            "or a smaller window"
        )
    # The paper's own settings go together: Gaussian weights, and covariances over all weights.
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False} if gaussian else {"win_size": window}
    channels = -1 if image.ndim == 3 else None
    return float(structural_similarity(reference, image, data_range=span, channel_axis=channels, **how))


def _data_range(image: Image, reference: Image, given: float | None) -> float:
    check_image(image)
    check_image(reference, name="the reference")
    if image.shape != reference.shape:
        raise ImageError(f"the image has shape {image.shape} and the reference {reference.shape}; expected the same")
    if image.dtype != reference.dtype:
        raise ImageError(
            f"the image has dtype {image.dtype} and the reference {reference.dtype}; convert one, e.g. with as_float"
        )
    if given is not None:
        check_finite(image)
        check_finite(reference)
        if not 0 < given < np.inf:
            raise UsageError(f"data_range is {given}; expected a positive number")
        return float(given)
    if image.dtype == np.bool_ or image.dtype.type not in RANGED:
        raise ImageError(f"{image.dtype} has no range of its own; convert both images, or give data_range")
    check_range(image)
    check_range(reference)
    if image.dtype.kind == "f":
        return 2.0 if min(image.min(), reference.min()) < 0 else 1.0
    limits = np.iinfo(image.dtype)
    return float(limits.max) - float(limits.min)
