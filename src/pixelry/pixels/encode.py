"""Pixels to encoded bytes: Pillow where it can, tifffile for TIFF, `png16` for 16-bit PNG."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL.PngImagePlugin import PngInfo

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.dtype import Image, as_ubyte, check_image
from pixelry.pixels.exif import exif_for
from pixelry.pixels.heif import require_heif
from pixelry.pixels.metadata import Metadata
from pixelry.pixels.png16 import PNG_XMP, write_png16
from pixelry.pixels.tiff_writing import encode_tiff

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
WITH_ALPHA = ("PNG", "TIFF", "WEBP", "AVIF", "HEIF")
WITH_QUALITY = ("JPEG", "WEBP", "AVIF", "HEIF")
# What each format holds beside the pixels.
EXIF, PROFILE, DPI, XMP = "EXIF", "the ICC profile", "the resolution", "XMP"
BESIDE = dict.fromkeys(("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIF"), (EXIF, PROFILE, DPI, XMP)) | {"BMP": (DPI,)}
# Formats without a place for the resolution but that in EXIF.
DPI_IN_EXIF = ("WEBP", "AVIF", "HEIF")
# Pixels a side; of JPEG what its library takes.
LARGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "AVIF": 65_535}


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
    given = metadata or Metadata()
    height, width = pixels.shape[:2]
    dpi = given.dpi if given.exif or format in DPI_IN_EXIF else None
    beside = replace(given, exif=exif_for(given.exif, width=width, height=height, dpi=dpi))
    if format == "TIFF":
        return encode_tiff([pixels], beside)
    if pixels.dtype == np.uint16:
        return write_png16(pixels, exif=beside.exif, profile=beside.profile, dpi=beside.dpi, xmp=beside.xmp)
    return _encode_pillow(pixels, format, quality, beside)


def not_held(format: str, metadata: Metadata) -> tuple[str, ...]:
    """Return what of a file's metadata a format cannot hold, in words.

    Examples:
        >>> not_held("BMP", Metadata(exif=b"any", dpi=(300, 300)))
        ('EXIF',)
    """
    given = {EXIF: metadata.exif, PROFILE: metadata.profile, DPI: metadata.dpi, XMP: metadata.xmp}
    return tuple(name for name, value in given.items() if value and name not in BESIDE.get(format, ()))


def _encode_pillow(pixels: Image, format: str, quality: int, beside: Metadata) -> bytes:
    if format == "HEIF":
        require_heif("the format")
    holds_beside = BESIDE.get(format, ())
    options: dict[str, Any] = {"quality": quality} if format in WITH_QUALITY else {}
    if EXIF in holds_beside:
        named = (("exif", beside.exif), ("icc_profile", beside.profile))
        options |= {name: value for name, value in named if value}
    if beside.dpi and DPI in holds_beside and format not in DPI_IN_EXIF:
        options["dpi"] = beside.dpi
    if beside.xmp and format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt(PNG_XMP, beside.xmp.decode(errors="replace"))
    elif beside.xmp and XMP in holds_beside:
        options["xmp"] = beside.xmp
    buffer = io.BytesIO()
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
            "or 'pixels convert --color rgb'), or write PNG, TIFF, WebP or AVIF"
        )
    if form == "TIFF" and image.dtype != np.bool_:
        return image
    if image.dtype == np.uint8 or (image.dtype == np.uint16 and form == "PNG"):
        return image
    if image.dtype.kind in "if" and image.min() < 0:
        raise ImageError(f"{form} holds no negative values, and the smallest is {image.min():g}; TIFF holds them")
    return as_ubyte(image)
