"""Conversion between dtypes by scikit-image's ranges.

bool False and True, uint8 0 to 255, uint16 0 to 65,535, int8 and int16 their whole range, floats -1 to 1 (0
to 1 for pictures). A float outside [-1, 1] is refused: whether 200.0 means 200 of 255 or an overexposed
pixel, only its owner knows. So are 32 and 64-bit integers, which nearly always are bytes that arithmetic has
widened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixelry.errors import ImageError, unknown

Image = NDArray[Any]
Kind = Literal["float", "ubyte", "uint", "int"]

RANGED = (np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.float16, np.float32, np.float64)
# Bits to drop from integers that get narrower, as scikit-image does. But where the brightest pixel would fit
# into the narrower dtype, it warns and does not scale at all, so that the darkest images of a set would come
# out the brightest.
SHIFTS = {("uint16", "ubyte"): 8, ("uint16", "int"): 1, ("int16", "ubyte"): 7}


def check_image(image: Any, *, name: str = "the image") -> Image:
    """Return the array if it is an image: (H, W) or (H, W, 1 to 4) of numbers, none of its sides 0.

    Raises:
        ImageError: It is not; the message has shape and dtype.

    Examples:
        >>> check_image(np.zeros((2, 3))).shape
        (2, 3)
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{name} is a {type(image).__name__}; expected a NumPy array (read_image makes one)")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] > 4):
        raise ImageError(f"{name} has shape {image.shape}; expected (H, W) or (H, W, C) with 1 to 4 channels")
    if 0 in image.shape:
        raise ImageError(f"{name} has shape {image.shape}: it is empty; expected at least one pixel")
    if image.dtype.kind not in "buif":
        raise ImageError(f"{name} has dtype {image.dtype}; expected bool, integers or floats")
    return image


def check_finite(image: Image) -> Image:
    """Return the image if none of its values is NaN or infinite.

    Raises:
        ImageError: Some are; the message says how many.
    """
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int((~np.isfinite(image)).sum())
        raise ImageError(
            f"{bad:,} of {image.size:,} values are NaN or infinite; replace them first, e.g. with numpy.nan_to_num"
        )
    return image


def check_range(image: Image, *, low: float = -1.0) -> Image:
    """Return the image if it is no float image, or its values are finite and lie in [low, 1].

    Raises:
        ImageError: They do not; the message has the range found.
    """
    check_finite(image)
    if image.dtype.kind == "f" and (image.min() < low or image.max() > 1):
        raise ImageError(
            f"float values go from {image.min():g} to {image.max():g}; expected [{low:g}, 1]. If they are "
            "bytes, use image.astype('uint8'); else scale them, e.g. with skimage.exposure.rescale_intensity"
        )
    return image


def as_float(image: Image) -> Image:
    """Return floats: unsigned and bool become [0, 1], signed [-1, 1] (`skimage.util.img_as_float`).

    Args:
        image: (H, W) or (H, W, C): bool, 8 or 16-bit integers, or floats in [-1, 1].

    Returns:
        The same shape, float64; float16 and float32 stay what they are.

    Raises:
        ImageError: Not an image, another dtype, NaN or infinite, or floats outside [-1, 1].

    Examples:
        >>> as_float(np.array([[0, 51, 255]], dtype=np.uint8))
        array([[0. , 0.2, 1. ]])
    """
    return _convert(image, "float")


def as_ubyte(image: Image) -> NDArray[np.uint8]:
    """Return bytes in [0, 255]; negative values become 0 (`skimage.util.img_as_ubyte`).

    Args:
        image: (H, W) or (H, W, C): bool, 8 or 16-bit integers, or floats in [-1, 1].

    Returns:
        The same shape, uint8. Precision beyond 8 bits is lost.

    Raises:
        ImageError: Not an image, another dtype, NaN or infinite, or floats outside [-1, 1].

    Examples:
        >>> as_ubyte(np.array([[0.0, 0.5, 1.0]]))
        array([[  0, 128, 255]], dtype=uint8)
    """
    return _convert(image, "ubyte")


def as_uint(image: Image) -> NDArray[np.uint16]:
    """Return 16-bit values in [0, 65535]; negative values become 0 (`skimage.util.img_as_uint`).

    Args:
        image: (H, W) or (H, W, C): bool, 8 or 16-bit integers, or floats in [-1, 1].

    Returns:
        The same shape, uint16.

    Raises:
        ImageError: Not an image, another dtype, NaN or infinite, or floats outside [-1, 1].

    Examples:
        >>> as_uint(np.array([[0, 1, 255]], dtype=np.uint8))
        array([[    0,   257, 65535]], dtype=uint16)
    """
    return _convert(image, "uint")


def as_int(image: Image) -> NDArray[np.int16]:
    """Return signed 16-bit values in [-32768, 32767] (`skimage.util.img_as_int`).

    Args:
        image: (H, W) or (H, W, C): bool, 8 or 16-bit integers, or floats in [-1, 1].

    Returns:
        The same shape, int16.

    Raises:
        ImageError: Not an image, another dtype, NaN or infinite, or floats outside [-1, 1].

    Examples:
        >>> as_int(np.array([[-1.0, 0.0, 1.0]]))
        array([[-32768,      0,  32767]], dtype=int16)
    """
    return _convert(image, "int")


def to_uint8(image: Image) -> NDArray[np.uint8]:
    """Return bytes: what is uint8 already comes back as it is, uncopied; the rest as from `as_ubyte`.

    Args:
        image: (H, W) or (H, W, C): bool, 8 or 16-bit integers, or floats in [-1, 1].

    Raises:
        ImageError: Not an image, another dtype, NaN or infinite, or floats outside [-1, 1].

    Examples:
        >>> to_uint8(np.array([[False, True]]))
        array([[  0, 255]], dtype=uint8)
    """
    return check_image(image) if getattr(image, "dtype", None) == np.uint8 else as_ubyte(image)


def to_kind(image: Image, *, kind: Kind) -> Image:
    """Convert to the kind of numbers with that name: "float", "ubyte", "uint" or "int".

    Raises:
        UsageError: There is no such kind.
        ImageError: As `as_float`.

    Examples:
        >>> to_kind(np.array([[0.0, 1.0]]), kind="ubyte")
        array([[  0, 255]], dtype=uint8)
    """
    kinds: dict[str, Callable[[Image], Image]] = {
        "float": as_float,
        "ubyte": as_ubyte,
        "uint": as_uint,
        "int": as_int,
    }
    if kind not in kinds:
        raise unknown("kind of numbers", str(kind), kinds)
    return kinds[kind](image)


def _convert(image: Image, kind: str) -> Image:
    from skimage import util

    check_image(image)
    if image.dtype.type not in RANGED:
        raise ImageError(
            f"the image has dtype {image.dtype}; expected bool, 8 or 16-bit integers or floats. If its "
            "values are bytes, use image.astype('uint8')"
        )
    if (shift := SHIFTS.get((image.dtype.name, kind))) is not None:
        return np.maximum(image >> shift, 0).astype(np.uint8 if kind == "ubyte" else np.int16)
    converted: Image = getattr(util, f"img_as_{kind}")(check_range(image))
    return converted


def like(result: Image, original: Image) -> Image:
    """Return computed floats in the original's dtype: integers rounded and clipped, bools cut at 0.5."""
    if original.dtype.kind == "f":
        return result.astype(original.dtype, copy=False)
    if original.dtype == np.bool_:
        return result > 0.5
    limits = np.iinfo(original.dtype)
    rounded: Image = np.clip(np.rint(result), limits.min, limits.max).astype(original.dtype)
    return rounded
