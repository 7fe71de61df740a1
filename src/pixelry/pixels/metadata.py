"""What a file holds beside its pixels, for another file that is made of it: EXIF, colour profile, resolution, XMP."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from pixelry.errors import ImageError
from pixelry.pixels.decode import headers_only, open_formats
from pixelry.pixels.orientation import ORIENTATION

Resolution = tuple[float, float]

PROFILE, XMP = 34675, 700
# Tags that say how the old file was stored, which is not true of a new one: size, bits, compression, strips, tiles,
# thumbnail, and the profile and XMP, which have places of their own.
STORAGE = {
    254, 255, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 513, 514,
    PROFILE, XMP,
}  # fmt: skip
EXIF_DIRECTORY, GPS_DIRECTORY = 34665, 34853
# Of EXIF's own directory: width and height in pixels.
EXIF_WIDTH, EXIF_HEIGHT = 40962, 40963
# Pixels along x and y in each unit; the unit is 2 for inches, 3 for centimeters.
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
INCHES = {2: 1.0, 3: 2.54}
# Description, make, model, software, date, artist, copyright: of EXIF what a TIFF holds as plain text.
DESCRIPTION = 270
TEXTS = (DESCRIPTION, 271, 272, 305, 306, 315, 33432)
# How descriptions begin by which tifffile, ImageJ and OME-TIFF lay out a stack.
LAYOUTS = ('{"shape":', "ImageJ=", "<?xml", "<OME")
# What Pillow and others write into a BMP that has no resolution, in pixels for each meter: 96 dpi.
BMP_DEFAULT = 96
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:="|>))[2-8](?=["<])""")


@dataclass(frozen=True)
class Metadata:
    """What `write_image` writes beside the pixels.

    Attributes:
        exif: The EXIF block of a picture that stands upright; b"" for none.
        profile: The ICC colour profile; b"" for none.
        texts: Tag and text of the entries that a TIFF holds as text.
        dpi: Pixels for each inch along x and y; None where the file states none.
        xmp: The XMP packet (captions, keywords, ratings); b"" for none.
    """

    exif: bytes = b""
    profile: bytes = b""
    texts: tuple[tuple[int, str], ...] = ()
    dpi: Resolution | None = None
    xmp: bytes = b""


def read_metadata(source: Path | bytes) -> Metadata:
    """Return a file's EXIF, colour profile, resolution and XMP, as its pixels should carry them once they are upright.

    EXIF that cannot be read is left out: cameras and editors leave it broken in good pictures. So is a profile of CMYK,
    whose pixels `read_image` makes RGB, and the thumbnail, which shows the old pixels.

    Args:
        source: A picture, or its encoded bytes.

    Raises:
        ImageError: There is none.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from pixelry.pixels import write_image
        >>> read_metadata(write_image(Path(tempfile.mkdtemp()) / "plain.png", np.zeros((2, 2), dtype=np.uint8)))
        Metadata(exif=b'', profile=b'', texts=(), dpi=None, xmp=b'')
    """
    file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    name = "the image in memory" if isinstance(source, bytes) else source
    try:
        with headers_only(), PILImage.open(file, formats=open_formats()) as picture:
            return _of_picture(picture)
    except OSError as error:
        found = _of_tiff(source)
        if found is None:
            raise ImageError(f"{name} cannot be read: {error}") from None
        return found


def _of_picture(picture: PILImage.Image) -> Metadata:
    # Inks are read as red, green and blue, of which a profile of inks says nothing.
    profile = b"" if picture.mode == "CMYK" else picture.info.get("icc_profile") or b""
    xmp = upright_xmp(_bytes(picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")))
    try:
        exif = picture.getexif()
        block, texts = _kept(exif)
        return Metadata(block, profile, texts, _resolution(picture, exif), xmp)
    except Exception:
        return Metadata(b"", profile, (), _resolution(picture, {}), xmp)


def _kept(exif: PILImage.Exif) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    """Return the block of EXIF for upright pixels in another file, and its texts."""
    for tag in STORAGE & set(exif):
        del exif[tag]
    if _is_layout(exif.get(DESCRIPTION)):
        del exif[DESCRIPTION]
    texts = _texts(exif)
    if ORIENTATION in exif:
        exif[ORIENTATION] = 1
    return (exif.tobytes() if len(exif) else b""), texts


def _texts(tags: Any) -> tuple[tuple[int, str], ...]:
    found = ((tag, tags.get(tag)) for tag in TEXTS)
    return tuple((tag, text) for tag, text in found if isinstance(text, str) and not _is_layout(text))


def _is_layout(description: Any) -> bool:
    """Return whether a description says how the pages of a stack belong together, which is not true of a new file."""
    return isinstance(description, str) and description.lstrip().startswith(LAYOUTS)


def _resolution(picture: PILImage.Image, tags: Any) -> Resolution | None:
    """Return what a file states; Pillow's own answer is 72 where a JPEG has EXIF that states nothing."""
    if picture.format in ("JPEG", "MPO"):
        scale = {1: 1.0, 2: 2.54}.get(picture.info.get("jfif_unit", 0))
        density = picture.info.get("jfif_density") if scale else None
        return _valid(density, scale or 1.0) or resolution_of_tags(tags)
    if picture.format in ("PNG", "TIFF", "BMP"):
        found = _valid(picture.info.get("dpi"), 1.0)
        standard = picture.format == "BMP" and found is not None and round(found[0]) == BMP_DEFAULT
        return None if standard else found
    return resolution_of_tags(tags)


def resolution_of_tags(tags: Any) -> Resolution | None:
    """Return the resolution in dpi that tags of EXIF or TIFF state; None for none."""
    unit = INCHES.get(tags.get(RESOLUTION_UNIT, 2))
    pair = (tags.get(X_RESOLUTION), tags.get(Y_RESOLUTION))
    return _valid(pair, unit) if unit and None not in pair else None


def _valid(pair: Any, scale: float) -> Resolution | None:
    try:
        across, down = (float(value) * scale for value in pair)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def upright_xmp(packet: bytes) -> bytes:
    """Return an XMP packet that calls its picture upright.

    Examples:
        >>> upright_xmp(b'<x tiff:Orientation="6"/>')
        b'<x tiff:Orientation="1"/>'
    """
    return XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""


def _of_tiff(source: Path | bytes) -> Metadata | None:
    """Return what stands beside the pixels of a TIFF that Pillow does not know, such as one of floats in colour."""
    import tifffile

    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = {tag.code: tag.value for tag in file.pages.first.tags.values()}
    except Exception:  # tifffile raises almost anything on damaged input
        return None
    exif = b""
    if {EXIF_DIRECTORY, GPS_DIRECTORY} & set(tags):
        with headers_only():
            block = PILImage.Exif()
            block.load(data)
            exif = _kept(block)[0]
    numbers = {tag: tags.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)}
    numbers = {tag: value[0] / value[1] for tag, value in numbers.items() if isinstance(value, tuple) and value[1]}
    dpi = resolution_of_tags({**numbers, RESOLUTION_UNIT: int(tags.get(RESOLUTION_UNIT, 1))})
    return Metadata(exif, _bytes(tags.get(PROFILE)), _texts(tags), dpi, upright_xmp(_bytes(tags.get(XMP))))
