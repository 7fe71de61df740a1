"""Metadata taken out of a TIFF in place: entries of its directories, and the bytes that they point to.

Source: TIFF, revision 6.0, Adobe 1992, section 2; BigTIFF, Aware Systems.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pixelry.pixels.metadata import EXIF_DIRECTORY, GPS_DIRECTORY, PROFILE, TEXTS, XMP

INTEROPERABILITY = 40965
DIRECTORIES = {EXIF_DIRECTORY: "EXIF", GPS_DIRECTORY: "GPS position", INTEROPERABILITY: "EXIF"}
# By tag: the texts of EXIF, names of document and computer, packets of other standards, and what programs keep.
NAMES = (
    dict.fromkeys((*TEXTS, 269, 316), "texts")
    | DIRECTORIES
    | {XMP: "XMP", 33723: "IPTC", 34377: "IPTC", 50341: "what programs left for themselves"}
)
# Bytes of a value by its type, 1 to 18.
BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True)
class _Layout:
    """How wide a TIFF's numbers are.

    Attributes:
        order: "<" or ">".
        count: Format of the number of a directory's entries.
        offset: Format of offsets, and of the number of an entry's values.
    """

    order: str
    count: str
    offset: str

    def read(self, data: bytes | bytearray, place: int, kind: str) -> int:
        return int(struct.unpack_from(self.order + kind, data, place)[0])

    @property
    def width(self) -> int:
        return struct.calcsize(self.offset)

    @property
    def entry(self) -> int:
        return 4 + 2 * self.width

    @property
    def head(self) -> int:
        return struct.calcsize(self.count)


def strip_tiff(data: bytes, profile: bool, removed: dict[str, None]) -> bytes:
    """Return a TIFF without metadata; strips, tiles and all tags of the pixels stay where they are.

    Args:
        data: The encoded bytes.
        profile: Take the colour profile out too.
        removed: Is given the names of what was taken out.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    layout = _Layout(order, "Q", "Q") if big else _Layout(order, "H", "I")
    changed = bytearray(data)
    names = {**NAMES, **({PROFILE: "colour profile"} if profile else {})}
    place, visited = layout.read(data, 8 if big else 4, layout.offset), set[int]()
    while place and place not in visited:  # the last directory points to 0
        visited.add(place)
        place = _strip_directory(changed, place, layout, names, removed)
    return bytes(changed)


def _strip_directory(
    data: bytearray, place: int, layout: _Layout, names: dict[int, str], removed: dict[str, None]
) -> int:
    """Take entries out of a directory, and return where the next one begins."""
    count = layout.read(data, place, layout.count)
    start, end = place + layout.head, place + layout.head + count * layout.entry
    following = bytes(data[end : end + layout.width])
    kept = []
    for entry in range(start, end, layout.entry):
        tag = layout.read(data, entry, "H")
        if tag in names:
            removed[names[tag]] = None
            _erase(data, entry, layout)
        else:
            kept.append(bytes(data[entry : entry + layout.entry]))
    shorter = struct.pack(layout.order + layout.count, len(kept)) + b"".join(kept) + following
    data[place : end + layout.width] = shorter.ljust(end + layout.width - place, b"\0")
    return int(struct.unpack(layout.order + layout.offset, following)[0])


def _erase(data: bytearray, entry: int, layout: _Layout) -> None:
    """Overwrite what an entry points to with zeros: a directory with all that is in it, or a value."""
    tag, kind = layout.read(data, entry, "H"), layout.read(data, entry + 2, "H")
    size = BYTES.get(kind, 1) * layout.read(data, entry + 4, layout.offset)
    value = entry + 4 + layout.width
    if tag in DIRECTORIES:
        place = layout.read(data, value, layout.offset if size > 4 else "I")
        count = layout.read(data, place, layout.count)
        end = place + layout.head + count * layout.entry
        for inner in range(place + layout.head, end, layout.entry):
            _erase(data, inner, layout)
        data[place : end + layout.width] = bytes(end + layout.width - place)
    elif size > layout.width:
        place = layout.read(data, value, layout.offset)
        if place + size > len(data):
            raise ValueError(f"the value of tag {tag} reaches beyond the end of the file")
        data[place : place + size] = bytes(size)
