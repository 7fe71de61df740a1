"""Pictures as colours on a range of [0, 1], and numbers on theirs: what all enhancement begins and ends with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.color import has_alpha
from pixelry.pixels.dtype import Image, as_float, check_image, check_range, like

Floats = NDArray[np.float64]


def colors_of(image: Image) -> Floats:
    """Return the colours without alpha as floats (H, W, 1 or 3) in [0, 1].

    Raises:
        ImageError: Not an image, no uint8, uint16 or floats, or floats outside [0, 1].
    """
    check_range(check_image(image), low=0.0)
    if image.dtype.kind != "f" and image.dtype.type not in (np.uint8, np.uint16):
        raise ImageError(f"the image has dtype {image.dtype}; expected uint8, uint16 or floats in [0, 1] (as_float)")
    channels = image[..., None] if image.ndim == 2 else image
    return as_float(channels[..., :-1] if has_alpha(image) else channels).astype(np.float64)


def with_colors(colors: Floats, image: Image) -> Image:
    """Return floats (H, W, 1 or 3) in the image's shape, dtype and range, with its alpha."""
    top = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
    result = like(np.clip(colors, 0, 1) * top, image)
    if has_alpha(image):
        return np.concatenate([result, image[..., -1:]], axis=-1)
    return result.reshape(image.shape)


def number(name: str, value: Any, least: float, most: float, *, above: bool = False) -> float:
    """Return an option's number if it lies from `least` (or above it) to `most`.

    Raises:
        UsageError: It does not, or is no number.
    """
    numeric = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not numeric or not (least < value if above else least <= value) or not value <= most:
        start = f"above {least:g} and up to" if above else f"from {least:g} to"
        raise UsageError(f"{name} is {value}; expected a number {start} {most:g}")
    return float(value)


def whole(name: str, value: Any, most: int) -> int:
    """Return an option's number if it is a whole one from 1 to `most`.

    Raises:
        UsageError: It is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError(f"{name} is {value}; expected a whole number from 1 to {most:,}")
    return int(value)


def pair_of(name: str, value: int | tuple[int, int], *, least: int = 1) -> tuple[int, int]:
    """Return an option's height and width; one number stands for both.

    Raises:
        UsageError: They are no whole numbers of `least` or more.
    """
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(n, int | np.integer) and n >= least for n in pair):
        raise UsageError(
            f"{name} is {value}; expected one whole number, or two (height and width), each {least} or more"
        )
    return int(pair[0]), int(pair[1])
