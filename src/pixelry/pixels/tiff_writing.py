"""Pixels to TIFF by tifffile: every dtype, one page or several, with what stands beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from pixelry.pixels.dtype import Image
from pixelry.pixels.exif import with_directories
from pixelry.pixels.metadata import XMP, Metadata

SOFTWARE = 305
# Bytes from which a TIFF needs wider offsets than its classic form has; tags take some of 4 GiB.
CLASSIC_TIFF = 2**32 - 2**25


def encode_tiff(pages: Sequence[Image], beside: Metadata) -> bytes:
    """Return images as the pages of a TIFF, compressed without loss.

    Args:
        pages: (H, W) or (H, W, C) each, of any dtype but bool.
        beside: What stands beside the pixels; the first page has it.
    """
    import tifffile

    big = sum(page.nbytes for page in pages) > CLASSIC_TIFF
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder="<") as writer:
        for number, pixels in enumerate(pages):
            options = _beside(beside) if number == 0 else {"software": False}
            writer.write(pixels, compression="zlib", metadata=None, **_layout(pixels), **options)
    data = buffer.getvalue()
    # The directories of EXIF have offsets of four bytes, which BigTIFF has not.
    return with_directories(data, beside.exif) if beside.exif and not big else data


def _layout(pixels: Image) -> dict[str, Any]:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    options: dict[str, Any] = {"photometric": "rgb" if channels >= 3 else "minisblack"}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    if channels > 1:
        options["planarconfig"] = "contig"
    return options


def _beside(beside: Metadata) -> dict[str, Any]:
    texts = {tag: text for tag, text in beside.texts if text.isascii()}
    options: dict[str, Any] = {"software": texts.pop(SOFTWARE, False)}  # False: not that of tifffile either
    tags: list[Any] = [(tag, "s", 0, text, True) for tag, text in texts.items()]
    if beside.xmp:
        tags.append((XMP, "B", len(beside.xmp), beside.xmp, True))
    if beside.profile:
        options["iccprofile"] = beside.profile
    if beside.dpi:
        options |= {"resolution": beside.dpi, "resolutionunit": "INCH"}
    if tags:
        options["extratags"] = tags
    return options
