"""16-bit colour PNG, which Pillow opens but cuts down to 8 bits, and cannot write.

Source: Portable Network Graphics (PNG) Specification, W3C, sections 5 (chunks) and 9 (filters).
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL.ImageFile import ImageFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_XMP = "XML:com.adobe.xmp"
METERS_PER_INCH = 0.0254
# Channels to the specification's colour type.
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def is_deep_color(picture: ImageFile) -> bool:
    """Return whether an opened, not yet loaded picture is a PNG with several 16-bit channels."""
    if picture.format != "PNG" or picture.mode.startswith("I") or not picture.tile:
        return False
    return str(picture.tile[0].args).endswith(";16B")


def read_deep_color(data: bytes) -> NDArray[np.uint16]:
    """Decode a 16-bit colour PNG to (H, W, C), C 2 (grey and alpha), 3 or 4.

    Pillow's decoder undoes compression, filters and interlacing; how it then packs the samples into bytes is
    a setting. So it is asked once for the high and once for the low bytes.
    """
    with PILImage.open(io.BytesIO(data), formats=("PNG",)) as picture:
        raw = str(picture.tile[0].args)
    if raw.startswith("LA"):
        # Two samples of two bytes have the size of one RGBA pixel.
        return _decode(data, "RGBA").view(">u2").astype(np.uint16)
    high, low = (_decode(data, f"{raw.partition(';')[0]};{part}").astype(np.uint16) for part in ("16B", "16L"))
    return np.left_shift(high, 8, dtype=np.uint16) | low


def _decode(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    with PILImage.open(io.BytesIO(data), formats=("PNG",)) as picture:
        picture.tile = [tile._replace(args=raw_mode) for tile in picture.tile]
        return np.array(picture)


def write_png16(
    image: NDArray[np.uint16],
    *,
    exif: bytes = b"",
    profile: bytes = b"",
    dpi: tuple[float, float] | None = None,
    xmp: bytes = b"",
) -> bytes:
    """Encode (H, W) or (H, W, C) uint16 as PNG without loss.

    Args:
        image: The pixels.
        exif: A block of EXIF, as JPEG has it, to stand beside them.
        profile: An ICC colour profile.
        dpi: Pixels for each inch along x and y.
        xmp: An XMP packet.
    """
    height, width = image.shape[:2]
    channels = 1 if image.ndim == 2 else image.shape[2]
    rows = np.ascontiguousarray(image, dtype=">u2").reshape(height, -1).view(np.uint8)
    # Filter 2, "up": each byte less the one above it, modulo 256. Smooth pictures shrink, and it is one
    # subtraction.
    filtered = np.full((height, rows.shape[1] + 1), 2, dtype=np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 6)
    beside = chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)) if profile else b""
    if dpi is not None:
        beside += chunk(b"pHYs", struct.pack(">IIB", *(round(value / METERS_PER_INCH) for value in dpi), 1))
    if xmp:
        beside += chunk(b"iTXt", PNG_XMP.encode() + b"\0\0\0\0\0" + xmp)
    # PNG leaves out the mark with which JPEG begins the block.
    beside += chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b""
    return SIGNATURE + chunk(b"IHDR", header) + beside + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG: length, kind, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
