"""What an image file says of itself before any pixel is decoded."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PILImage

from pixelry.errors import ImageError
from pixelry.pixels.decode import READ, headers_only, kind_of, mode_name, open_formats, what_it_is
from pixelry.pixels.heif import require_heif
from pixelry.pixels.orientation import ORIENTATION
from pixelry.pixels.png16 import SIGNATURE, chunk

GREY_MODES = {"1", "L", "LA", "I", "F"}
# Orientations whose width is the file's height.
TURNED = {5, 6, 7, 8}
TIFF_WIDTH, TIFF_HEIGHT = 256, 257
HEAD = 4096
# Chunks of a PNG that may say how it is turned, and bytes above which one is not looked at.
TELLING = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
LARGEST_CHUNK = 2**24


@dataclass(frozen=True)
class Header:
    """What the header of an image file says.

    Attributes:
        format: "PNG", "JPEG", ...
        mode: "grey", "rgb", "rgba", "palette", ... as `read_image` understands it.
        height: In pixels, the way up that EXIF says.
        width: In pixels, the way up that EXIF says.
        channels: 1 for grey, 3 for colour, alpha not counted.
    """

    format: str
    mode: str
    height: int
    width: int
    channels: int


def read_header(source: Path | bytes, *, name: str | None = None) -> Header:
    """Read an image's header; the pixels are not decoded, so a damaged body is not noticed.

    Args:
        source: A file, or the encoded bytes.
        name: What the image is called in messages; by default its path.

    Raises:
        ImageError: There is no such file, it is empty, or no image of a known format.

    Examples:
        >>> import numpy as np
        >>> from pixelry.pixels import encode_image
        >>> read_header(encode_image(np.zeros((2, 3), dtype=np.uint8), format="PNG"))
        Header(format='PNG', mode='grey', height=2, width=3, channels=1)
    """
    called = name or ("the image in memory" if isinstance(source, bytes) else str(source))
    try:
        with headers_only(), PILImage.open(_file(source), formats=open_formats()) as picture:
            width, height = picture.size
            grey = picture.mode in GREY_MODES or picture.mode.startswith("I;16")
            form, mode = str(picture.format), mode_name(picture.mode)
            turned = _orientation(picture, source) in TURNED
            # Some versions of Pillow turn the size of a TIFF themselves; what its tags say is the same for all.
            tags = getattr(picture, "tag_v2", {})
            width, height = tags.get(TIFF_WIDTH, width), tags.get(TIFF_HEIGHT, height)
    except FileNotFoundError:
        raise ImageError(f"there is no file {source!s}") from None
    except Exception:
        head = source[:HEAD] if isinstance(source, bytes) else _head(source)
        if kind_of(head) == "HEIF":
            require_heif(called)
        what = what_it_is(head) if head else "is empty (0 bytes)"
        raise ImageError(f"{called} {what}; expected {READ}") from None
    if turned:
        height, width = width, height
    return Header("JPEG" if form == "MPO" else form, mode, height, width, 1 if grey else 3)


def read_orientation(source: Path | bytes) -> int:
    """Return an image's EXIF orientation, 1 to 8; 1 where there is none, or it cannot be read.

    Args:
        source: A file, or the encoded bytes.
    """
    try:
        with headers_only(), PILImage.open(_file(source), formats=open_formats()) as picture:
            return _orientation(picture, source)
    except Exception:
        return 1


def _file(source: Path | bytes) -> io.BytesIO | Path:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from None


def _orientation(picture: PILImage.Image, source: Path | bytes) -> int:
    try:
        bare = _without_pixels(source) if picture.format == "PNG" else None
        if bare is None:
            return _stated(picture)
        with PILImage.open(io.BytesIO(bare), formats=("PNG",)) as told:
            return _stated(told)
    except Exception:
        return 1  # as in `decode`: broken EXIF in a good picture says nothing


def _stated(picture: PILImage.Image) -> int:
    # Not `picture.getexif()`, which decodes a PNG without an eXIf chunk to see whether one follows.
    value = PILImage.Image.getexif(picture).get(ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _without_pixels(source: Path | bytes) -> bytes | None:
    """Return a PNG of the same metadata without pixels, if some of it stands behind them; else None.

    Pillow knows of such a chunk only when the pixels are decoded. Here each chunk's first 8 bytes are read.
    """
    kept, behind, pixels = [SIGNATURE], False, False
    # Unbuffered: a buffer would be filled at each of the chunks, and so with all of the file.
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb", buffering=0) as file:
        file.seek(len(SIGNATURE))
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            # A further frame: `decode` looks no further than the first.
            if kind == b"IEND" or (pixels and kind == b"fcTL"):
                break
            if kind in (b"IHDR", *TELLING) and length <= LARGEST_CHUNK:
                kept.append(chunk(kind, file.read(length)))
                behind |= pixels
                file.seek(4, io.SEEK_CUR)
            else:
                pixels |= kind == b"IDAT"
                file.seek(length + 4, io.SEEK_CUR)
    return b"".join([*kept, chunk(b"IDAT", b""), chunk(b"IEND", b"")]) if behind else None
