"""Metadata taken out of encoded images, byte by byte: no pixel is decoded, so none is compressed again.

What shows how the pixels are meant stays: the colour profile unless it is to go too, the resolution, and the
orientation, without which the picture would lie on its side.

Sources: ITU-T T.81, annex B (JPEG); PNG specification, W3C; WebP container specification, Google; GIF89a, CompuServe.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from PIL import Image as PILImage

from pixelry.errors import ImageError
from pixelry.pixels.decode import HEAD, kind_of
from pixelry.pixels.limits import headers_only
from pixelry.pixels.metadata import GPS_DIRECTORY
from pixelry.pixels.orientation import ORIENTATION
from pixelry.pixels.png16 import SIGNATURE, chunk
from pixelry.pixels.tiff_stripping import strip_tiff

EXIF, GPS, XMP, IPTC = "EXIF", "GPS position", "XMP", "IPTC"
COMMENTS, PROFILE, PREVIEWS, OTHER = "comments", "colour profile", "previews", "what programs left for themselves"
EXIF_MARK, ICC_MARK = b"Exif\0\0", b"ICC_PROFILE\0"
# Markers of JPEG: start of the image, of the compressed data, its end; applications; comment.
SOI, SOS, EOI, APP0, APP1, APP2, APP13, APP14, APP15, COM = 0xD8, 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE
PNG_TEXTS = {b"tEXt": COMMENTS, b"zTXt": COMMENTS, b"iTXt": COMMENTS, b"tIME": "time", b"eXIf": EXIF}

Stripped = tuple[bytes, tuple[str, ...]]


def strip_bytes(data: bytes, *, name: str, profile: bool = False) -> Stripped | None:
    """Return an encoded image without its metadata, and what was taken out.

    Args:
        data: JPEG, PNG, TIFF, WebP, GIF or BMP.
        name: What the image is called in messages.
        profile: Take the colour profile out too.

    Returns:
        The bytes and names of what was in them; None for formats that are not taken apart here.

    Raises:
        ImageError: It is damaged.
    """
    removed: dict[str, None] = {}
    by_format: dict[str | None, Callable[[bytes, bool, dict[str, None]], bytes]] = {
        "JPEG": _strip_jpeg,
        "PNG": _strip_png,
        "WEBP": _strip_webp,
        "GIF": _strip_gif,
        "TIFF": strip_tiff,
        "BMP": lambda data, _profile, _removed: data,
    }
    strip = by_format.get(kind_of(data[:HEAD]))
    if strip is None:
        return None
    try:
        return strip(data, profile, removed), tuple(removed)
    except (struct.error, IndexError, ValueError) as error:
        raise ImageError(f"{name} is damaged or cut short: {error}") from None


def _exif_left(block: bytes, removed: dict[str, None]) -> bytes:
    """Return the EXIF that has to stay, which is the orientation alone; b"" for that of an upright picture."""
    removed[EXIF] = None
    exif = PILImage.Exif()
    try:
        with headers_only():
            exif.load(block)
            if exif.get_ifd(GPS_DIRECTORY):
                removed[GPS] = None
            turn = exif.get(ORIENTATION, 1)
    except Exception:
        return b""  # broken EXIF states no orientation
    if turn not in range(2, 9):
        return b""
    left = PILImage.Exif()
    left[ORIENTATION] = turn
    return left.tobytes()


def _strip_jpeg(data: bytes, profile: bool, removed: dict[str, None]) -> bytes:
    kept, place = [data[:2]], 2
    while True:
        while data[place + 1] == 0xFF:  # fill bytes
            place += 1
        marker = data[place + 1]
        if marker == SOS:
            break
        (length,) = struct.unpack_from(">H", data, place + 2)
        segment = data[place : place + 2 + length]
        kept.append(_jpeg_segment(marker, segment, profile, removed))
        place += 2 + length
    # What stands behind the end of the picture are previews, films and maps of depth that telephones append.
    end = _jpeg_end(data, place)
    if data[end:].strip(b"\0"):
        removed[PREVIEWS] = None
    return b"".join([*kept, data[place:end]])


def _jpeg_segment(marker: int, segment: bytes, profile: bool, removed: dict[str, None]) -> bytes:
    """Return what stays of a segment."""
    body = segment[4:]
    if marker == APP1 and body.startswith(EXIF_MARK):
        left = _exif_left(body, removed)
        return struct.pack(">BBH", 0xFF, APP1, len(left) + 2) + left if left else b""
    if marker == APP2 and body.startswith(ICC_MARK):
        if profile:
            removed[PROFILE] = None
        return b"" if profile else segment
    if marker == COM:
        removed[COMMENTS] = None
        return b""
    # JFIF has the resolution, and Adobe's segment says how the colours are stored.
    if not APP0 < marker <= APP15 or marker == APP14:
        return segment if marker != APP0 or body.startswith(b"JFIF\0") else b""
    kinds = {APP1: XMP, APP13: IPTC, APP2: PREVIEWS}
    removed[kinds.get(marker, OTHER)] = None
    return b""


def _jpeg_end(data: bytes, place: int) -> int:
    """Return where a JPEG ends whose compressed data begin at a place: behind its marker of the end."""
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        marker = data[place + 1]
        if marker == EOI:
            return place + 2
        # Stuffed bytes and restarts are data; other markers begin a segment, such as one of a further scan.
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD7:
            place += 1 if marker == 0xFF else 2
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return len(data)


def _strip_png(data: bytes, profile: bool, removed: dict[str, None]) -> bytes:
    kept, place = [SIGNATURE], len(SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        whole, body = data[place : place + 12 + length], data[place + 8 : place + 8 + length]
        place += 12 + length
        if kind == b"eXIf":
            left = _exif_left(body, removed).removeprefix(EXIF_MARK)
            kept.append(chunk(kind, left) if left else b"")
        elif kind in PNG_TEXTS:
            removed[XMP if body.startswith(b"XML:com.adobe.xmp") else PNG_TEXTS[kind]] = None
        elif kind == b"iCCP" and profile:
            removed[PROFILE] = None
        else:
            kept.append(whole)
        if kind == b"IEND":
            break
    return b"".join(kept)


def _strip_webp(data: bytes, profile: bool, removed: dict[str, None]) -> bytes:
    kept: list[tuple[bytes, bytes]] = []
    for kind, body in _riff_chunks(data):
        if kind == b"EXIF":
            if left := _exif_left(body, removed):
                kept.append((kind, left.removeprefix(EXIF_MARK)))
        elif kind == b"XMP ":
            removed[XMP] = None
        elif kind == b"ICCP" and profile:
            removed[PROFILE] = None
        else:
            kept.append((kind, body))
    kinds = {kind for kind, _ in kept}
    # The flags of the extended header name what follows: 32 profile, 8 EXIF, 4 XMP.
    flags = {32: b"ICCP", 8: b"EXIF", 4: b"XMP "}
    cleared = sum(bit for bit, kind in flags.items() if kind not in kinds)
    parts = b"".join(
        _riff_chunk(kind, bytes([body[0] & ~cleared]) + body[1:] if kind == b"VP8X" else body) for kind, body in kept
    )
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place, end = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while place + 8 <= min(end, len(data)):
        kind, length = struct.unpack_from("<4sI", data, place)
        yield kind, data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _strip_gif(data: bytes, profile: bool, removed: dict[str, None]) -> bytes:
    def table(flags: int) -> int:
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    def behind_blocks(place: int) -> int:
        while data[place]:
            place += data[place] + 1
        return place + 1

    place = 13 + table(data[10])
    kept = [data[:place]]
    while data[place] != 0x3B:
        start = place
        if data[place] == 0x2C:  # an image: its head, colours, and compressed data
            place = behind_blocks(place + 10 + table(data[place + 9]) + 1)
            kept.append(data[start:place])
            continue
        label, first = data[place + 1], data[place + 3 : place + 14]
        place = behind_blocks(place + 2)
        if label == 0xFE:
            removed[COMMENTS] = None
        elif label == 0xFF and first.startswith(b"XMP Data"):
            removed[XMP] = None
        elif label == 0xFF and first.startswith(b"ICCRGBG1") and profile:
            removed[PROFILE] = None
        else:
            kept.append(data[start:place])
    return b"".join([*kept, b";"])
