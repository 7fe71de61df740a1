"""Grey, colour and transparency, in the image's own dtype and range."""

from __future__ import annotations

import numpy as np

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.dtype import RANGED, Image, check_finite, check_image, check_range, like


def to_grey(image: Image) -> Image:
    """Return the luminance (ITU-R BT.709, `skimage.color.rgb2gray`); alpha is blended over white.

    Args:
        image: (H, W) or (H, W, C).

    Returns:
        (H, W), dtype and range as given.

    Raises:
        ImageError: Not an image, or NaN or infinite values.

    Examples:
        >>> to_grey(np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8))
        array([[ 54, 182]], dtype=uint8)
    """
    from skimage.color import rgb2gray

    opaque = blend_alpha(image)
    if opaque.ndim == 2:
        return opaque
    if opaque.shape[2] == 1:
        return opaque[..., 0]
    # As float the values keep their range, so that one formula serves all dtypes.
    return like(rgb2gray(check_finite(opaque).astype(np.float64)), opaque)


def to_color(image: Image) -> Image:
    """Return red, green and blue; grey is repeated, alpha is blended over white.

    Args:
        image: (H, W) or (H, W, C).

    Returns:
        (H, W, 3), dtype and range as given.

    Raises:
        ImageError: Not an image, or NaN or infinite values under an alpha channel.

    Examples:
        >>> to_color(np.array([[7]], dtype=np.uint8))
        array([[[7, 7, 7]]], dtype=uint8)
    """
    from skimage.color import gray2rgb

    opaque = blend_alpha(image)
    if opaque.ndim == 3 and opaque.shape[2] == 3:
        return opaque
    rgb: Image = gray2rgb(opaque if opaque.ndim == 2 else opaque[..., 0])
    return rgb


def drop_alpha(image: Image) -> Image:
    """Return the image without its alpha channel, hidden colours laid open; others come back as they are.

    Args:
        image: (H, W) or (H, W, C); C 2 is grey and alpha, 4 is RGB and alpha.

    Returns:
        (H, W), (H, W, 1) or (H, W, 3).

    Raises:
        ImageError: Not an image.

    Examples:
        >>> drop_alpha(np.zeros((2, 3, 4))).shape, drop_alpha(np.zeros((2, 3, 2))).shape
        ((2, 3, 3), (2, 3))
    """
    check_image(image)
    if not has_alpha(image):
        return image
    return image[..., 0] if image.shape[2] == 2 else image[..., :3]


def blend_alpha(image: Image, *, background: float = 1.0) -> Image:
    """Return the image as it looks on a plain page (`skimage.color.rgba2rgb`); others come back as they are.

    Args:
        image: (H, W) or (H, W, C); C 2 is grey and alpha, 4 is RGB and alpha.
        background: The page's brightness, 0 (black) to 1 (white) whatever the dtype.

    Returns:
        (H, W), (H, W, 1) or (H, W, 3), dtype and range as given.

    Raises:
        ImageError: Not an image, a dtype without a range, floats outside [0, 1], or a background out of
            range.

    Examples:
        >>> blend_alpha(np.array([[[0, 255], [0, 51]]], dtype=np.uint8))
        array([[  0, 204]], dtype=uint8)
    """
    from skimage.color import rgba2rgb

    check_image(image)
    if not has_alpha(image):
        return image
    if not 0 <= background <= 1:
        raise UsageError(f"background is {background}; expected 0 (black) to 1 (white)")
    if image.dtype.type not in RANGED:
        raise ImageError(f"alpha of dtype {image.dtype} has no known range; expected uint8, uint16 or floats in [0, 1]")
    top = 1.0 if image.dtype.kind in "fb" else float(np.iinfo(image.dtype).max)
    scaled = check_range(image, low=0.0).astype(np.float64) / top
    rgba = scaled if image.shape[2] == 4 else scaled[..., [0, 0, 0, 1]]
    blended = like(rgba2rgb(rgba, background=(background,) * 3) * top, image)
    return blended if image.shape[2] == 4 else blended[..., 0]


def has_alpha(image: Image) -> bool:
    """Return whether the last of the channels is alpha: there are 2 or 4.

    Examples:
        >>> has_alpha(np.zeros((2, 3, 4))), has_alpha(np.zeros((2, 4)))
        (True, False)
    """
    return image.ndim == 3 and image.shape[2] in (2, 4)
