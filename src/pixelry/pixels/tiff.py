"""TIFF by tifffile: every depth that Pillow would cut down, and its pages.

Source: TIFF, revision 6.0, Adobe 1992.
"""

from __future__ import annotations

import io
import lzma
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelry.errors import ImageError
from pixelry.pixels.dtype import Image
from pixelry.pixels.limits import check_size
from pixelry.pixels.orientation import ORIENTATION

# Bytes that a writer may have padded a strip with.
SLACK = 65_536
MODES = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}


@dataclass(frozen=True)
class TiffPage:
    """A page of a TIFF.

    Attributes:
        pixels: (H, W) or (H, W, C), not turned yet; None where Pillow reads it without loss.
        position: Of the page among all pages of the file, smaller copies included.
        mode: "grey", "grey+alpha", "rgb", "rgba" or "other".
        orientation: 1 to 8, as EXIF has it.
        white_is_zero: The values are still to be inverted.
    """

    pixels: Image | None
    position: int
    mode: str = "other"
    orientation: int = 1
    white_is_zero: bool = False


def page_positions(file: Any) -> list[int]:
    """Return the positions of a file's pages, those left out that are smaller copies of others; always the first."""
    positions = [number for number, page in enumerate(file.pages) if not page.is_reduced]
    return positions or [0]


def read_tiff(data: bytes, name: str, max_pixels: int, number: int) -> TiffPage:
    """Read a page.

    Args:
        data: The encoded bytes.
        name: What the image is called in messages.
        max_pixels: Larger images are refused.
        number: Of the page, counted from 0, smaller copies left out.

    Raises:
        ImageError: There is no such page, it is too large, or its compression needs another package.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        positions = page_positions(file) if number else [0]
        if number >= len(positions):
            raise ImageError(f"{name} has {len(positions):,} pages; there is no page {number + 1:,}")
        position = positions[number]
        page: Any = file.pages[position]
        check_size(page.imagewidth, page.imagelength, name, max_pixels)
        deep = page.bitspersample > 8 or (page.dtype is not None and page.dtype.kind not in "bu")
        if not deep or (page.samplesperpixel == 1 and _needs_codec(page)):
            # Pillow inverts "white is zero" for 8 bits only.
            return TiffPage(None, position, white_is_zero=deep and _white_is_zero(page))
        if _needs_codec(page):
            raise ImageError(
                f"{name} is compressed with {page.compression.name}, which tifffile reads with the package "
                "imagecodecs only: pip install imagecodecs"
            )
        _check_segments(data, page, name, max_pixels)
        pixels = page.asarray()
        tag = page.tags.get(ORIENTATION)
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        # Files have either byte order; arithmetic and torch want the machine's.
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        mode = MODES.get(page.samplesperpixel, "other")
        return TiffPage(pixels, position, mode, tag.value if tag else 1, _white_is_zero(page))


def _check_segments(data: bytes, page: Any, name: str, max_pixels: int) -> None:
    """Refuse strips and tiles that decompress to more than the header says: tifffile would follow them."""
    values = page.imagewidth * page.imagelength * page.samplesperpixel
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength, f"a tile of {name}", max_pixels)
        values = page.tilewidth * page.tilelength * page.samplesperpixel
    start: Any = {8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor}.get(page.compression)
    limit = values * page.dtype.itemsize + SLACK
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if start is not None and len(start().decompress(data[offset : offset + count], limit + 1)) > limit:
            raise ImageError(f"{name} is damaged: a part holds more data than an image of its size")


def _needs_codec(page: Any) -> bool:
    """Return whether tifffile needs a package that Pixelry does not ask for to decompress a page."""
    import tifffile

    try:
        return page.compression not in (1, None) and not callable(tifffile.TIFF.DECOMPRESSORS[page.compression])
    except KeyError:
        return True


def _white_is_zero(page: Any) -> bool:
    return page.photometric is not None and page.photometric.name == "MINISWHITE"
