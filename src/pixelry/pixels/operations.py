"""What `pixelry pixels` can do to files: names, functions, and how a shell's text becomes their options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pixelry.errors import UsageError, did_you_mean, unknown
from pixelry.pixels.color import to_color, to_grey
from pixelry.pixels.deblur import deblur
from pixelry.pixels.dtype import Image, Kind, check_image, to_kind
from pixelry.pixels.enhance import equalize, expose, sharpen
from pixelry.pixels.geometry import crop, downscale, pad, rescale, resize
from pixelry.pixels.noise import noise

Operation = Callable[..., Image]


def convert(image: Image, *, dtype: Kind | None = None, color: Literal["grey", "rgb"] | None = None) -> Image:
    """Convert the kind of numbers, or between grey and colour; `process` also converts the file's format.

    Args:
        image: (H, W) or (H, W, C).
        dtype: float, ubyte (8 bits), uint (16 bits) or int (16 bits, signed). Only TIFF holds float and int.
        color: grey or rgb; alpha is blended over white.

    Returns:
        (H, W) or (H, W, C).

    Raises:
        ImageError: Not an image, or values that cannot be converted.
        UsageError: An unknown dtype or color.

    Examples:
        >>> import numpy as np
        >>> convert(np.ones((2, 2)), dtype="ubyte", color="rgb").shape
        (2, 2, 3)
    """
    if color not in (None, "grey", "rgb"):
        raise unknown("color", str(color), ("grey", "rgb"))
    check_image(image)
    if color is not None:
        image = to_grey(image) if color == "grey" else to_color(image)
    return image if dtype is None else to_kind(image, kind=dtype)


OPERATIONS: Mapping[str, Operation] = {
    "convert": convert,
    "resize": resize,
    "rescale": rescale,
    "downscale": downscale,
    "crop": crop,
    "pad": pad,
    "noise": noise,
    "expose": expose,
    "equalize": equalize,
    "sharpen": sharpen,
    "deblur": deblur,
}


def find_operation(name: str) -> Operation:
    """Return the function of an operation.

    Raises:
        UsageError: There is none of that name.

    Examples:
        >>> find_operation("crop").__name__
        'crop'
    """
    if name not in OPERATIONS:
        raise unknown("operation", name, OPERATIONS)
    return OPERATIONS[name]


def check_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's options, text read as numbers, those that are None left out.

    Text is what a shell gives: "64", "48x64", "0.5x0.25".

    Raises:
        UsageError: An option that the operation does not have, one that is missing, or text that is no
            number.

    Examples:
        >>> check_options("resize", {"shape": "48x64", "antialias": False})
        {'shape': (48, 64), 'antialias': False}
    """
    function = find_operation(name)
    known = {key: p for key, p in inspect.signature(function).parameters.items() if key != "image"}
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in known:
            raise UsageError(f"{name} has no option '{key}'{did_you_mean(key, known)}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in given]
    if missing:
        raise UsageError(f"{name} needs {' and '.join(missing)}")
    return {key: _read(key, value, str(known[key].annotation)) for key, value in given.items()}


def _read(name: str, value: Any, annotation: str) -> Any:
    several = "Pair" in annotation or "tuple" in annotation
    kind = float if "float" in annotation else int
    if not isinstance(value, str) or not (several or kind is float or "Seed" in annotation):
        return value
    try:
        numbers = tuple(kind(part) for part in re.split(r"[x,]", value.strip()))
    except ValueError:
        numbers = ()
    if len(numbers) not in ((1, 2) if several else (1,)):
        expected = "one number" if kind is float else "one whole number"
        expected += ", or two (height and width) such as 48x64" if several else ""
        raise UsageError(f"{name} is '{value}'; expected {expected}")
    return numbers[0] if len(numbers) == 1 else numbers
