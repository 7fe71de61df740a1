"""What `pixelry pixels` can do to files: names, functions, and how a shell's text becomes their options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pixelry.errors import ImageError, UsageError, did_you_mean, unknown
from pixelry.pixels.color import to_color, to_grey
from pixelry.pixels.deblur import deblur
from pixelry.pixels.depth import range_of, to_unit
from pixelry.pixels.dtype import Image, Kind, check_image, to_kind
from pixelry.pixels.enhance import equalize, expose, sharpen
from pixelry.pixels.geometry import crop, downscale, pad, rescale
from pixelry.pixels.noise import noise
from pixelry.pixels.resizing import check_ways, resize
from pixelry.pixels.turning import flip, rotate

Operation = Callable[..., Image]


KINDS = {"u1": "ubyte", "u2": "uint", "i2": "int", "f2": "float", "f4": "float", "f8": "float"}


def convert(
    image: Image,
    *,
    dtype: Kind | None = None,
    color: Literal["grey", "rgb"] | None = None,
    bits: int | str | None = None,
    range: tuple[float, float] | None = None,
) -> Image:
    """Convert the kind of numbers, the values' range, or grey and colour; `process` also converts the file's format.

    Args:
        image: (H, W) or (H, W, C).
        dtype: float, ubyte (8 bits), uint (16 bits) or int (16 bits, signed). Only TIFF holds float and int.
        color: grey or rgb; alpha is blended over white.
        bits: Scale values of so many bits to the whole range: 8, 10, 12, 14, 16, or auto for as many as are used, over
            many files by all of them. Without bits or range nothing is scaled.
        range: Or scale from these two values, LOW,HIGH, such as 0,4095: they become black and white.

    Returns:
        (H, W) or (H, W, C).

    Raises:
        ImageError: Not an image, or values that cannot be converted.
        UsageError: An unknown dtype or color, or bits and range that are not as above.

    Examples:
        >>> import numpy as np
        >>> convert(np.ones((2, 2)), dtype="ubyte", color="rgb").shape
        (2, 2, 3)
        >>> convert(np.array([[0, 819, 4095]], dtype=np.uint16), dtype="ubyte", bits=12)
        array([[  0,  51, 255]], dtype=uint8)
    """
    if color not in (None, "grey", "rgb"):
        raise unknown("color", str(color), ("grey", "rgb"))
    check_image(image)
    if bits is not None or range is not None:
        ends = range_of(image, bits, range)
        kind = dtype or KINDS.get(image.dtype.str[1:])
        if kind is None:
            raise ImageError(
                f"values of {image.dtype} are scaled into another dtype; give dtype, such as ubyte or uint"
            )
        image = to_kind(to_unit(image, ends), kind=kind)  # type: ignore[arg-type]
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
    "rotate": rotate,
    "flip": flip,
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
    read = {key: _read(key, value, str(known[key].annotation)) for key, value in given.items()}
    if function is resize:
        check_ways(read, bool(read.get("enlarge")))
    return read


def _read(name: str, value: Any, annotation: str) -> Any:
    several = any(word in annotation for word in ("Pair", "Box", "tuple"))
    kind = float if "float" in annotation else int
    numeric = several or "Seed" in annotation or re.search(r"\b(float|int)\b", annotation)
    if not isinstance(value, str) or not numeric or "str" in annotation:
        return value
    try:
        numbers = tuple(kind(part) for part in re.split(r"[x,]", value.strip()))
    except ValueError:
        numbers = ()
    single = not several or "int |" in annotation or "float |" in annotation
    if len(numbers) not in (*((1,) if single else ()), *((2,) if several else ())):
        raise UsageError(f"{name} is '{value}'; expected {_expected(kind, annotation, single, several)}")
    return numbers[0] if len(numbers) == 1 else numbers


def _expected(kind: type, annotation: str, single: bool, several: bool) -> str:
    """Return in words what the text of an option has to be."""
    if "Box" in annotation:
        return "two whole numbers, WIDTHxHEIGHT, such as 1600x1200"
    if not single:
        return "two numbers LOW,HIGH such as 0,4095" if kind is float else "two whole numbers such as 0x10"
    one = "one number" if kind is float else "one whole number"
    return one + (", or two (height and width) such as 48x64" if several else "")
