"""Turn and mirror: quarter turns and mirrors move pixels and change none of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pixelry.errors import UsageError, unknown
from pixelry.pixels.dtype import Image, check_finite, check_image, like
from pixelry.pixels.geometry import holds_value
from pixelry.pixels.resizing import ORDERS
from pixelry.pixels.unit import number

Smooth = Literal["nearest", "linear", "cubic"]
QUARTER = 90


def rotate(
    image: Image, *, degrees: float, expand: bool = True, interpolation: Smooth = "linear", value: float = 0.0
) -> Image:
    """Rotate clockwise, by quarter turns without loss or by any angle (`skimage.transform.rotate`).

    Args:
        image: (H, W) or (H, W, C).
        degrees: The angle, clockwise; negative ones turn the other way.
        expand: Make the image as large as the turned corners need; else it keeps its size and loses them. Quarter turns
            always keep all pixels.
        interpolation: nearest, linear or cubic, for angles that are no quarter turns. Masks of labels want nearest.
        value: Of the corners, in the image's own range (255 is white for uint8, 1 for floats); alpha has it too, so
            that 0 is transparent.

    Returns:
        The turned image, dtype and range as given.

    Raises:
        ImageError: Not an image, NaN or infinite values, or a value that its dtype does not hold.
        UsageError: No finite angle, or an unknown interpolation.

    Examples:
        >>> rotate(np.array([[1, 2], [3, 4]], dtype=np.uint8), degrees=90)
        array([[3, 1],
               [4, 2]], dtype=uint8)
        >>> rotate(np.zeros((10, 20)), degrees=30).shape
        (18, 22)
    """
    from skimage import transform

    angle = number("degrees", degrees, -1e6, 1e6)
    if interpolation not in ORDERS:
        raise unknown("interpolation", str(interpolation), ORDERS)
    check_image(image)
    if angle % QUARTER == 0:
        return np.ascontiguousarray(np.rot90(image, -int(angle // QUARTER)))
    holds_value(check_finite(image), value)
    pixels = image.astype(np.float64) if image.dtype.type not in (np.float32, np.float64) else image
    turned = transform.rotate(
        pixels, -angle, resize=expand, order=ORDERS[interpolation], cval=value, preserve_range=True
    )
    return like(turned, image)


def flip(image: Image, *, horizontal: bool = False, vertical: bool = False) -> Image:
    """Mirror an image, without loss: left and right, or top and bottom.

    Args:
        image: (H, W) or (H, W, C).
        horizontal: Exchange left and right.
        vertical: Exchange top and bottom.

    Returns:
        The mirrored image.

    Raises:
        ImageError: Not an image.
        UsageError: Neither of the two is given.

    Examples:
        >>> flip(np.array([[1, 2], [3, 4]]), horizontal=True)
        array([[2, 1],
               [4, 3]])
    """
    if not (horizontal or vertical):
        raise UsageError("flip needs horizontal (left and right), vertical (top and bottom), or both")
    mirrored = check_image(image)[:: -1 if vertical else 1, :: -1 if horizontal else 1]
    return np.ascontiguousarray(mirrored)
