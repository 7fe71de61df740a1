"""Pixels to encoded bytes: Pillow where it can, tifffile for TIFF, `png16` for 16-bit PNG."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image as PILImage

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.dtype import Image, as_ubyte, check_image
from pixelry.pixels.metadata import Metadata
from pixelry.pixels.png16 import write_png16

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
}
WITH_ALPHA = ("PNG", "TIFF", "WEBP")
SOFTWARE = 305
WITH_METADATA = ("PNG", "JPEG", "WEBP")
# Pixels a side; of JPEG what its library takes.
LARGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}
# Bytes from which a TIFF needs wider offsets than its classic form has; tags take some of 4 GiB.
CLASSIC_TIFF = 2**32 - 2**25


def format_of(path: Path) -> str:
    """Return the format that a suffix stands for.

    Raises:
        UsageError: It is none of those known.

    Examples:
        >>> format_of(Path("photo.jpeg"))
        'JPEG'
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise UsageError(f"{path} has the suffix '{path.suffix}'; expected one of {', '.join(FORMATS)}") from None


def holds(format: str, image: Image) -> bool:
    """Return whether a format keeps an image's size, dtype and alpha, be it with the losses of JPEG and WebP.

    Examples:
        >>> holds("PNG", np.zeros((2, 2), np.uint16)), holds("JPEG", np.zeros((2, 2, 4), np.uint8))
        (True, False)
    """
    if max(image.shape[:2]) > LARGEST.get(format, math.inf):
        return False
    if image.ndim == 3 and image.shape[2] in (2, 4) and format not in WITH_ALPHA:
        return False
    kinds = {"TIFF": "buif", "PNG": "bu", "GIF": ""}
    # GIF has 256 colours in all; the others hold bytes.
    return image.dtype.kind in kinds[format] if format in kinds else image.dtype == np.uint8


def encode_image(image: Image, *, format: str, quality: int = 95, metadata: Metadata | None = None) -> bytes:
    """Return an image encoded in a format, with `write_image`'s rules for dtypes, alpha and metadata.

    Raises:
        ImageError: Not an image, or values that the format cannot hold.
        UsageError: A quality out of range.

    Examples:
        >>> encode_image(np.zeros((2, 2), dtype=np.uint8), format="PNG")[1:4]
        b'PNG'
    """
    if not 1 <= quality <= 100:
        raise UsageError(f"quality is {quality}; expected 1 to 100")
    pixels = _storable(image, format)
    if max(pixels.shape[:2]) > LARGEST.get(format, math.inf):
        raise ImageError(
            f"{format} holds at most {LARGEST[format]:,} pixels a side, and the image has {pixels.shape[0]:,} x "
            f"{pixels.shape[1]:,}; write PNG or TIFF"
        )
    buffer = io.BytesIO()
    told = metadata or Metadata()
    if format == "TIFF":
        _save_tiff(buffer, pixels, told)
    elif pixels.dtype == np.uint16:
        return write_png16(pixels, exif=told.exif, profile=told.profile)
    else:
        options: dict[str, Any] = {"quality": quality} if format in ("JPEG", "WEBP") else {}
        if format in WITH_METADATA:
            options |= {name: value for name, value in (("exif", told.exif), ("icc_profile", told.profile)) if value}
        try:
            PILImage.fromarray(pixels).save(buffer, format=format, **options)
        except (OSError, ValueError) as error:  # such as EXIF that is longer than the format takes
            raise ImageError(f"{format} does not take it: {error}") from None
    return buffer.getvalue()


def _storable(image: Image, form: str) -> Image:
    """Return the image as the format holds it, (H, W) if it has one channel."""
    image = check_image(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim == 3 and image.shape[2] in (2, 4) and form not in WITH_ALPHA:
        raise ImageError(
            f"{form} has no transparency, and the image has an alpha channel; blend it first (blend_alpha, "
            "or 'pixels convert --color rgb'), or write PNG, TIFF or WebP"
        )
    if form == "TIFF" and image.dtype != np.bool_:
        return image
    if image.dtype == np.uint8 or (image.dtype == np.uint16 and form == "PNG"):
        return image
    if image.dtype.kind in "if" and image.min() < 0:
        raise ImageError(f"{form} holds no negative values, and the smallest is {image.min():g}; TIFF holds them")
    return as_ubyte(image)


def _save_tiff(buffer: IO[bytes], pixels: Image, told: Metadata) -> None:
    import tifffile

    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    options: dict[str, Any] = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    photometric = "rgb" if channels >= 3 else "minisblack"
    if channels > 1:
        options["planarconfig"] = "contig"
    texts = {tag: text for tag, text in told.texts if text.isascii()}
    options["software"] = texts.pop(SOFTWARE, False)  # False: not that of tifffile either
    tags = [(tag, "s", 0, text, True) for tag, text in texts.items()]
    if told.profile:
        options["iccprofile"] = told.profile
    if tags:
        options["extratags"] = tags
    options["bigtiff"] = pixels.nbytes > CLASSIC_TIFF
    tifffile.imwrite(buffer, pixels, photometric=photometric, compression="zlib", metadata=None, **options)
