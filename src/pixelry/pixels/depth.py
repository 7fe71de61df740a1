"""How many bits of its dtype an image uses, and values scaled to a whole range by choice.

Microscopes and X-ray detectors give 12 or 14 bits, stored in 16: without scaling such an image looks black.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.dtype import Image, check_finite, check_image
from pixelry.pixels.unit import number

DEPTHS = (8, 10, 12, 14, 16)
AUTO = "auto"


def used_bits(image: Image) -> int | None:
    """Return the bits that the largest value of unsigned integers needs: 8, 10, 12, 14 or 16.

    Args:
        image: (H, W) or (H, W, C).

    Returns:
        The bits; None for other dtypes, and for values beyond 16 bits.

    Raises:
        ImageError: Not an image.

    Examples:
        >>> used_bits(np.array([[0, 4000]], dtype=np.uint16)), used_bits(np.zeros((2, 2)))
        (12, None)
    """
    if check_image(image).dtype.kind != "u":
        return None
    largest = int(image.max())
    return next((bits for bits in DEPTHS if largest < 2**bits), None)


def range_of(image: Image, bits: str | int | None, ends: tuple[float, float] | None) -> tuple[float, float]:
    """Return the values that become black and white.

    Args:
        image: Whose bits are looked at where `bits` is "auto".
        bits: "auto", or 8, 10, 12, 14 or 16: 0 and the largest value of that many bits.
        ends: Or the two values.

    Raises:
        ImageError: "auto" for an image that is not of unsigned integers of at most 16 bits.
        UsageError: Both, other bits, or ends that are not in order.
    """
    if bits is not None and ends is not None:
        raise UsageError("convert takes either bits or range")
    if ends is not None:
        pair = tuple(ends) if isinstance(ends, tuple | list) else ()
        if len(pair) != 2 or not pair[0] < pair[1]:
            raise UsageError(f"range is {ends}; expected two numbers LOW,HIGH with low below high, such as 0,4095")
        limit = float(np.finfo(np.float32).max)
        return number("range", pair[0], -limit, limit), number("range", pair[1], -limit, limit)
    depth = used_bits(image) if bits == AUTO else check_bits(bits)
    if depth is None:
        raise ImageError(f"bits of {image.dtype} are not known by themselves; give range, the two values LOW,HIGH")
    return 0.0, float(2**depth - 1)


def check_bits(bits: str | int | None) -> int:
    """Return a number of bits.

    Raises:
        UsageError: It is none of those known.
    """
    if str(bits) not in map(str, DEPTHS):
        raise UsageError(f"bits is {bits}; expected auto, {', '.join(map(str, DEPTHS))}")
    return int(str(bits))


def to_unit(image: Image, ends: tuple[float, float]) -> NDArray[np.float64]:
    """Return an image as floats, the two values 0 and 1 and what lies beyond them cut off.

    Examples:
        >>> to_unit(np.array([[0, 819, 5000]], dtype=np.uint16), (0, 4095))
        array([[0. , 0.2, 1. ]])
    """
    low, high = ends
    return np.clip((check_finite(image).astype(np.float64) - low) / (high - low), 0.0, 1.0)
