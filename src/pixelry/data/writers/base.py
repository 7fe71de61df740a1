"""What writers are given, and sentences on what several of them cannot hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from natsort import natsorted

from pixelry.data.findings import counted, listed
from pixelry.data.formats._boxes import Box
from pixelry.errors import DataError


@dataclass(frozen=True)
class Item:
    """An image that is written, and its objects.

    Attributes:
        file: Its path in the new folder, with slashes.
        height: In pixels, the way up that EXIF says.
        width: In pixels.
        channels: 1 or 3.
        boxes: Left, top, right, bottom of each object, in the fewest decimals that float32 needs.
        labels: Its class, an index.
        crowd: Whether an evaluation ignores it.
    """

    file: str
    height: int
    width: int
    channels: int
    boxes: Sequence[Box]
    labels: Sequence[int]
    crowd: Sequence[bool]


Splits = Mapping[str, Sequence[Item]]


def plain(value: float) -> str:
    """Return a number as text, without a fraction where it has none.

    Examples:
        >>> plain(3.0), plain(0.1)
        ('3', '0.1')
    """
    return str(int(value)) if value.is_integer() else repr(value)


def crowd_lost(splits: Splits, format: str) -> list[str]:
    """Return the note of a format without a mark for crowds, none where there are none."""
    count = sum(sum(item.crowd) for items in splits.values() for item in items)
    if not count:
        return []
    return [
        f"{counted(count, 'object')} marked as crowd or difficult: {format} has no such mark, they are ordinary "
        "objects now"
    ]


def classes_lost(splits: Splits, classes: Sequence[str], format: str) -> list[str]:
    """Return the notes of a format whose classes are those that occur, in natural order.

    Raises:
        DataError: A class's name does not survive in text.
    """
    for name in classes:
        if not name or name != name.strip() or not name.isprintable():
            raise DataError(
                f"the class {name!r} cannot be written as {format}, which holds printable names without space around "
                "them; choose --to coco or yolo"
            )
    used = {classes[label] for items in splits.values() for item in items for label in item.labels}
    notes = []
    if unused := [name for name in classes if name not in used]:
        notes.append(f"{format} names classes on their objects alone: without one, and so lost: {listed(unused)}")
    if (kept := [name for name in classes if name in used]) != natsorted(kept):
        notes.append(f"{format} has no order of classes: they are in natural order now, {listed(natsorted(kept))}")
    return notes
