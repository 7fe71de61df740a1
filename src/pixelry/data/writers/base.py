"""What writers are given, and sentences on what several of them cannot hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from natsort import natsorted

from pixelry.data.findings import counted, listed
from pixelry.data.formats._boxes import Box
from pixelry.errors import DataError

# Of a width that is the difference of two edges: finer than float32 at any size of image.
DECIMALS = 9


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
        areas: Its area in pixels squared where that is known otherwise than from the box, else None.
        image_id: What the image is called where it came from, if it has an id.
        outlines: Of each object as COCO holds it: polygons or run lengths; () where there are none.
    """

    file: str
    height: int
    width: int
    channels: int
    boxes: Sequence[Box]
    labels: Sequence[int]
    crowd: Sequence[bool]
    areas: Sequence[float | None]
    image_id: int | str | None = None
    outlines: Sequence[Any] = ()


Splits = Mapping[str, Sequence[Item]]
# By split: label by id, as `Origin.category_ids`.
Ids = Mapping[str, Mapping[int | str, int]]


def plain(value: float) -> str:
    """Return a number as text, without a fraction where it has none.

    Examples:
        >>> plain(3.0), plain(0.1)
        ('3', '0.1')
    """
    return str(int(value)) if value.is_integer() else repr(value)


def origin_lost(splits: Splits, ids: Ids, format: str) -> list[str]:
    """Return the notes of a format without ids and areas, none where there are none to lose."""
    notes = []
    if ids:
        notes.append(f"ids of images and categories: {format} has none, they are lost")
    count = sum(_has_own_area(item, k) for items in splits.values() for item in items for k in range(len(item.boxes)))
    if count:
        notes.append(f"{counted(count, 'object')} with an area that is not its box's: {format} has none, it is lost")
    return notes


def box_area(box: Box) -> float:
    """Return width times height in pixels squared, 0 for a box that has none."""
    left, top, right, bottom = box
    return max(0.0, round(right - left, DECIMALS)) * max(0.0, round(bottom - top, DECIMALS))


def _has_own_area(item: Item, number: int) -> bool:
    """Return whether an object's area is another than its box's, beyond rounding to pixels."""
    area = item.areas[number]
    return area is not None and not math.isclose(area, box_area(item.boxes[number]), rel_tol=0.01, abs_tol=1.0)


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
