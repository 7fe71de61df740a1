"""Pages and frames: how many a file holds, and which of them were asked for."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

from PIL import Image as PILImage

from pixelry.errors import UsageError
from pixelry.pixels.decode import HEAD, kind_of
from pixelry.pixels.limits import headers_only

# Formats whose files may be films.
FRAMED = ("PNG", "GIF", "WEBP", "AVIF")
ALL = "all"


def count_pages(source: Path) -> int:
    """Return how many pictures a file holds: pages of a TIFF, less smaller copies of others, or frames of a film.

    A JPEG counts as one: what telephones store behind the picture belongs to it. So does a file that cannot be read.

    Args:
        source: A picture.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from pixelry.pixels import write_image
        >>> count_pages(write_image(Path(tempfile.mkdtemp()) / "one.tif", np.zeros((2, 2), dtype=np.uint8)))
        1
    """
    import tifffile

    from pixelry.pixels.tiff import page_positions

    with contextlib.suppress(Exception):
        with source.open("rb") as file:
            kind = kind_of(file.read(HEAD))
        if kind == "TIFF":
            with tifffile.TiffFile(source) as pages:
                return len(page_positions(pages))
        if kind in FRAMED:
            with headers_only(), PILImage.open(source, formats=FRAMED) as picture:
                return int(getattr(picture, "n_frames", 1))
    return 1


def has_more_pages(source: Path) -> bool:
    """Return whether a TIFF has a further directory, or a file is of another format: quick, before `count_pages`.

    Args:
        source: An image; False for one that cannot be read.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from pixelry.pixels import write_image
        >>> has_more_pages(write_image(Path(tempfile.mkdtemp()) / "one.tif", np.zeros((2, 2), dtype=np.uint8)))
        False
    """
    with contextlib.suppress(OSError, struct.error), source.open("rb") as file:
        head = file.read(16)
        if kind_of(head) != "TIFF":
            return True
        order = "<" if head[:2] == b"II" else ">"
        big = b"+" in head[2:4]
        # BigTIFF counts with eight bytes what TIFF counts with four, and entries with eight instead of two.
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
        file.seek(start)
        (count,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
        file.seek(count * (20 if big else 12), 1)
        return any(file.read(8 if big else 4))
    return False


def chosen_pages(pages: str | int | None, count: int) -> tuple[int, ...]:
    """Return the numbers, from 1 on, of those pages of a file that were asked for.

    Args:
        pages: "all", a number, or numbers and ranges such as "2-5" and "1,3,7-9"; None is the first.
        count: Pages that the file has; those beyond are left out.

    Raises:
        UsageError: It is none of these.

    Examples:
        >>> chosen_pages("1,3-5", 4), chosen_pages("all", 2), chosen_pages(None, 9)
        ((1, 3, 4), (1, 2), (1,))
    """
    if pages is None:
        return (1,)
    if str(pages) == ALL:
        return tuple(range(1, count + 1))
    chosen: dict[int, None] = {}
    for part in str(pages).split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        ends = (first, last) if dash else (first, first)
        if not all(end.isdecimal() for end in ends) or not 1 <= int(ends[0]) <= int(ends[1]):
            raise UsageError(f"pages is '{pages}'; expected all, a number, or ranges such as 2-5 or 1,3,7-9")
        chosen |= dict.fromkeys(range(int(ends[0]), min(int(ends[1]), count) + 1))
    return tuple(chosen)
