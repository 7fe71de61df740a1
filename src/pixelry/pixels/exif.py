"""Blocks of EXIF for the files that are written: sizes brought up to date, and directories of a TIFF.

Source: Exif 2.32, CIPA DC-008-2019.
"""

from __future__ import annotations

import struct

from PIL import Image as PILImage
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from pixelry.pixels.metadata import (
    EXIF_DIRECTORY,
    EXIF_HEIGHT,
    EXIF_WIDTH,
    GPS_DIRECTORY,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Resolution,
)

# Of little-endian TIFF, whose first directory begins at byte 8.
TIFF_HEAD = b"II*\x00\x08\x00\x00\x00"
INTEROPERABILITY = 40965
# Of a directory: bytes of an entry, and the type of one that is an offset.
ENTRY, LONG = 12, 4
DIRECTORIES = (EXIF_DIRECTORY, GPS_DIRECTORY)


def exif_for(exif: bytes, *, width: int, height: int, dpi: Resolution | None) -> bytes:
    """Return a block of EXIF whose size in pixels, where it states one, and resolution are those of a new image.

    Args:
        exif: The block; b"" for none.
        width: Of the new image, in pixels.
        height: Of the new image, in pixels.
        dpi: Pixels for each inch along x and y; None leaves what the block states.
    """
    if not exif and dpi is None:
        return b""
    block = PILImage.Exif()
    try:
        block.load(exif)
    except (SyntaxError, struct.error, ValueError, KeyError, OSError):
        return exif  # what cannot be read cannot be changed either: the bytes stay as the file had them
    if EXIF_DIRECTORY in block:
        directory = block.get_ifd(EXIF_DIRECTORY)
        for tag, side in ((EXIF_WIDTH, width), (EXIF_HEIGHT, height)):
            if tag in directory:
                directory[tag] = side
    if dpi is not None:
        block[X_RESOLUTION], block[Y_RESOLUTION] = dpi
        block[RESOLUTION_UNIT] = 2
    return block.tobytes()


def with_directories(tiff: bytes, exif: bytes) -> bytes:
    """Return a TIFF whose first page has the directories of a block of EXIF: those of EXIF itself and of GPS.

    They are appended, and behind them a longer copy of the page's own directory, to which the head of the file points.

    Args:
        tiff: Little-endian, not BigTIFF.
        exif: The block.
    """
    block = PILImage.Exif()
    block.load(exif)
    data, added = bytearray(tiff), []
    for tag in DIRECTORIES:
        if not (entries := block.get_ifd(tag)):
            continue
        directory = ImageFileDirectory_v2(TIFF_HEAD, group=tag)
        for entry, value in entries.items():
            # A directory within is an offset into the old file, unless it is read.
            directory[entry] = dict(block.get_ifd(entry)) if entry == INTEROPERABILITY else value
        data += b"\0" * (len(data) % 2)  # directories begin at even bytes
        added.append(struct.pack("<HHII", tag, LONG, 1, len(data)))
        data += directory.tobytes(len(data))
    if not added:
        return tiff
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    end = start + 2 + ENTRY * count
    own = [tiff[place : place + ENTRY] for place in range(start + 2, end, ENTRY)]
    # In the order of their tags, as the format wants it.
    ordered = sorted([*own, *added], key=lambda entry: struct.unpack_from("<H", entry)[0])
    data += b"\0" * (len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    # No copy of what a user may want to strip stays behind.
    data[start : end + 4] = bytes(end + 4 - start)
    data += struct.pack("<H", len(ordered)) + b"".join(ordered) + tiff[end : end + 4]
    return bytes(data)
