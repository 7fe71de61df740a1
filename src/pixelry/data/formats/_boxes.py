"""What the formats of detection share: pictures with their objects, numbers from text, sizes that are stated."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from natsort import natsorted

from pixelry.data.dataset import Dataset, FileImages, Origin, Split
from pixelry.data.findings import counted
from pixelry.errors import DataError, ImageError
from pixelry.pixels import read_header
from pixelry.pixels.header import read_orientation

# Left, top, right, bottom in pixels.
Box = tuple[float, float, float, float]
LARGEST = torch.finfo(torch.float32).max
# Bytes of a file that say what is in it.
PEEK = 65_536
# What the columns of a list of boxes may be called.
EDGES = (("xmin", "x1", "left"), ("ymin", "y1", "top"), ("xmax", "x2", "right"), ("ymax", "y2", "bottom"))


@dataclass
class Picture:
    """An image and its objects, as a reader finds them.

    Attributes:
        path: The image file.
        boxes: Left, top, right, bottom of each object.
        names: Its class.
        crowd: Whether an evaluation ignores it.
        areas: Its area in pixels squared, where the annotation states one.
        outlines: Its outline and the id of its annotation, where there is one.
    """

    path: Path
    boxes: list[Box] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    areas: list[float | None] = field(default_factory=list)
    outlines: list[tuple[Any, Any]] = field(default_factory=list)

    def add(
        self,
        box: Box,
        name: str,
        *,
        crowd: bool = False,
        area: float | None = None,
        outline: tuple[Any, Any] = (None, None),
    ) -> None:
        """Append an object."""
        self.boxes.append(box)
        self.names.append(name)
        self.crowd.append(crowd)
        self.areas.append(area)
        self.outlines.append(outline)


def detection_dataset(
    path: Path,
    splits: Mapping[str, Sequence[Picture]],
    *,
    format: str,
    classes: Sequence[str] | None = None,
    notes: Iterable[str] = (),
    origins: Mapping[str, Origin] | None = None,
    masks: Mapping[str, Any] | None = None,
) -> Dataset:
    """Make a data set for detection.

    Args:
        path: Where it was read from.
        splits: Pictures by split.
        format: Who read it.
        classes: Their names in order; by default those that occur, naturally sorted.
        notes: What a reader should know.
        origins: Ids and areas by split, where the format has them.
        masks: Masks of the objects by split, where the format has them.
    """
    if classes is None:
        classes = natsorted({name for members in splits.values() for picture in members for name in picture.names})
    index = {name: label for label, name in enumerate(classes)}
    found, drawn = origins or {}, masks or {}
    made = {
        split: _split(splits[split], index, found.get(split), drawn.get(split))
        for split in ("train", "val", "test")
        if split in splits
    }
    name = path.stem if path.is_file() else path.name
    return Dataset(name, made, tuple(classes), format, str(path), tuple(notes))


def _split(pictures: Sequence[Picture], index: Mapping[str, int], origin: Origin | None, masks: Any) -> Split:
    targets: dict[str, Any] = {
        "boxes": [torch.tensor(picture.boxes, dtype=torch.float32).reshape(-1, 4) for picture in pictures],
        "labels": [torch.tensor([index[name] for name in p.names], dtype=torch.int64) for p in pictures],
        "crowd": [torch.tensor(picture.crowd, dtype=torch.bool) for picture in pictures],
    }
    if masks is not None:
        targets["masks"] = masks
    return Split(FileImages([picture.path for picture in pictures]), targets, origin=origin)


def number(value: Any) -> float | None:
    """Return a finite number that float32 can hold, None if the value (text or a number) is none.

    Examples:
        >>> number("12.5"), number("nan"), number("wide"), number(True)
        (12.5, None, None, None)
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def stated_size(width: Any, height: Any, where: str) -> tuple[int, int] | None:
    """Return the (width, height) that an annotation states; None where it states none, or 0x0 as some tools do.

    Raises:
        DataError: They are no positive whole numbers.
    """
    if (width is None and height is None) or (number(width) == 0 and number(height) == 0):
        return None
    sides = [number(width), number(height)]
    if any(side is None or side <= 0 or not side.is_integer() for side in sides):
        raise DataError(f"{where} states a size of {width} x {height} pixels; expected two positive whole numbers")
    return int(sides[0] or 0), int(sides[1] or 0)


def settle(picture: Picture, stated: tuple[int, int] | None, where: str) -> bool:
    """Compare the size that an annotation states with its image's.

    Boxes here are of the upright picture. An annotation whose size is that of the picture as it lies in the file was
    made without regard to EXIF: its boxes are turned. Pictures that are upside down, mirrored or square show no
    difference in size; their boxes are taken as upright.

    Returns:
        Whether the boxes were turned.

    Raises:
        DataError: The image has another size.
    """
    try:
        header = read_header(picture.path)
    except ImageError:
        return False  # a check lists all images that cannot be read
    size = (header.width, header.height)
    if stated is None or stated == size:
        return False
    how = read_orientation(picture.path)
    if stated != size[::-1] or how not in (5, 6, 7, 8):
        raise DataError(
            f"{where} states a size of {stated[0]} x {stated[1]} pixels (width x height), but {picture.path} has "
            f"{size[0]} x {size[1]}: boxes of another size do not fit; correct the annotation or restore the image"
        )
    picture.boxes = [_turned(box, how, stated) for box in picture.boxes]
    return True


def turned_note(count: int) -> list[str]:
    """Return the note on images whose boxes were turned, none for none."""
    return [f"{counted(count, 'image')} annotated as they lie in the file: boxes turned as EXIF says"] if count else []


def _turned(box: Box, how: int, size: tuple[int, int]) -> Box:
    """Return a box in a picture of (width, height) that is turned as its EXIF orientation, 5 to 8, says."""
    (left, top, right, bottom), (width, height) = box, size
    across = (top, bottom) if how in (5, 8) else (height - bottom, height - top)
    down = (left, right) if how in (5, 6) else (width - right, width - left)
    return across[0], down[0], across[1], down[1]


def by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of each stem."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(file.stem, []).append(file)
    return found


def peek(file: Path) -> bytes:
    """Return the first bytes of a file, none if it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(PEEK)
    except OSError:
        return b""


def is_box_list(file: Path) -> bool:
    """Return whether a file is a CSV whose header has the four columns of boxes."""
    if file.suffix.lower() != ".csv" or not file.is_file():
        return False
    text = peek(file).decode("utf-8-sig", errors="replace")
    try:
        columns = {name.strip() for name in next(csv.reader(io.StringIO(text, newline="")), [])}
    except csv.Error:
        return False
    return all(columns & set(names) for names in EDGES)
