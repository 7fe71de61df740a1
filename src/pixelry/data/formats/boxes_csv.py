"""A list of boxes: CSV with a row for each object, and maybe the split of its image."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.formats._boxes import EDGES, Box, Picture, detection_dataset, is_box_list, number
from pixelry.data.formats._shared import IMAGE_KEYS, LABEL_KEYS, read_text, split_of
from pixelry.errors import DataError

LOOKS_FOR = (
    "a list of boxes: a .csv file (or annotations.csv, boxes.csv in a folder) with image, label, xmin, ymin, xmax, "
    "ymax and maybe split, a row for each object"
)
NAMES = ("annotations", "boxes", "manifest", "metadata")
Row = dict[str, str]


def recognise(path: Path) -> bool:
    """Return whether the path is such a file, or a folder with one by the usual name."""
    return _file(path) is not None


def read(path: Path) -> Dataset:
    """Read a list of boxes; paths are relative to the list's own folder, coordinates are taken as they are.

    A row whose four edges are empty names an image without objects.

    Raises:
        DataError: A line lacks a value, has one that is no number, or names a file that is not there; the line is
            named.
    """
    file = _file(path)
    if file is None:
        raise DataError(f"{path} is no {LOOKS_FOR}")
    pictures: dict[str, tuple[str, Picture]] = {}
    for line, row in _rows(file):
        where = f"{file}, line {line}"
        image, split = _image(file, where, row), _split(where, row)
        known, picture = pictures.setdefault(image, (split, Picture(Path(image))))
        if known != split:
            raise DataError(f"{where}: {image} is in split '{split}' here and in '{known}' above")
        box, label = _box(where, row), _value(row, LABEL_KEYS)
        if box is None and label:
            raise DataError(f"{where} has the label '{label}' but no box; an image without objects has neither")
        if box is not None:
            if not label:
                raise DataError(f"{where} has a box but no value under {', '.join(LABEL_KEYS)}")
            picture.add(box, label)
    if not pictures:
        raise DataError(f"{file} lists no images")
    splits: dict[str, list[Picture]] = {}
    for split, picture in pictures.values():
        splits.setdefault(split, []).append(picture)
    return detection_dataset(path, splits, format="boxes_csv")


def _file(path: Path) -> Path | None:
    files = [path] if path.is_file() else [path / f"{name}.csv" for name in NAMES]
    return next((file for file in files if is_box_list(file)), None)


def _rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line number, values) of every line that is not empty."""
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""), restval="")
    try:
        for row in reader:
            if None in row:
                raise DataError(f"{file}, line {reader.line_num} has more values than the header has columns")
            yield reader.line_num, {key.strip(): value.strip() for key, value in row.items()}
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num} is no CSV: {error}") from None


def _image(file: Path, where: str, row: Row) -> str:
    image = _value(row, IMAGE_KEYS)
    if not image:
        raise DataError(f"{where} has no value under {', '.join(IMAGE_KEYS)} (it has: {', '.join(row)})")
    path = os.path.normpath(file.parent / image)
    if not Path(path).is_file():
        raise DataError(f"{where}: there is no file {path}")
    return path


def _split(where: str, row: Row) -> str:
    given = row.get("split", "") or "train"
    split = split_of(given)
    if split is None:
        raise DataError(f"{where}: split '{given}' is none of train, val, test")
    return split


def _box(where: str, row: Row) -> Box | None:
    """Return the box of a row, None if its edges are empty."""
    given = [_value(row, keys) for keys in EDGES]
    if not any(given):
        return None
    left, top, right, bottom = (number(value) for value in given)
    if left is None or top is None or right is None or bottom is None:
        raise DataError(f"{where} has the box {given}; expected four finite numbers, or none for an image without one")
    return left, top, right, bottom


def _value(row: Row, keys: tuple[str, ...]) -> str:
    return next((row[key] for key in keys if row.get(key)), "")
