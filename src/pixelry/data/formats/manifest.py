"""A list of images: CSV or JSON lines with a column for the file, one for the label, and maybe one for the split."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.formats._boxes import is_box_list
from pixelry.data.formats._shared import IMAGE_KEYS, LABEL_KEYS, is_split_list, label_classes, read_text, split_of
from pixelry.errors import DataError

LOOKS_FOR = (
    "a list: a .csv or .jsonl file (or metadata.csv, manifest.jsonl in a folder) with image, label and maybe split"
)
SUFFIXES = (".csv", ".jsonl", ".ndjson")
NAMES = ("manifest", "metadata")
Row = dict[str, str]


def recognise(path: Path) -> bool:
    """Return whether the path is such a file, or a folder with one; a list of boxes or splits is none."""
    file = list_file(path)
    return file is not None and not is_box_list(file) and not is_split_list(file)


def read(path: Path) -> Dataset:
    """Read a list of images; paths are relative to the list's own folder.

    Raises:
        DataError: A line lacks a value, cannot be read, or names a file that is not there; the line is named.
    """
    file = list_file(path)
    if file is None:
        raise DataError(f"{path} is no {LOOKS_FOR}")
    rows = [(line, _fields(file, line, row)) for line, row in list_rows(file)]
    if not rows:
        raise DataError(f"{file} lists no images")
    classes, labels = label_classes([label for _, (_, label, _) in rows])
    members: dict[str, list[int]] = {}
    for place, (_, (_, _, split)) in enumerate(rows):
        members.setdefault(split, []).append(place)
    names = ("train", "val", "test")
    splits: dict[str, Split] = {
        split: Split(FileImages([rows[i][1][0] for i in members[split]]), {"label": labels[members[split]]})
        for split in names
        if split in members
    }
    return Dataset(path.stem if path.is_file() else path.name, splits, classes, "manifest", str(path))


def list_file(path: Path) -> Path | None:
    """Return the list that a path is, or that a folder holds by a usual name; None where there is none."""
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES else None
    candidates = (path / f"{name}{suffix}" for name in NAMES for suffix in SUFFIXES)
    return next((file for file in candidates if file.is_file()), None)


def list_rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line number, values) of every line that is not empty."""
    lines = read_text(file).splitlines()
    if file.suffix.lower() == ".csv":
        reader = csv.DictReader(lines)
        for row in reader:
            yield (
                reader.line_num,
                {key.strip(): (value or "") for key, value in row.items() if isinstance(key, str)},
            )
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                raise DataError(f"{file}, line {number} is no JSON: {error}") from None
            if not isinstance(value, dict):
                raise DataError(f"{file}, line {number}: expected an object with image and label; got {line[:40]}")
            yield number, {key: str(item) for key, item in value.items() if item is not None}


def _fields(file: Path, line: int, row: Row) -> tuple[Path, str, str]:
    image, label = _value(file, line, row, IMAGE_KEYS), _value(file, line, row, LABEL_KEYS)
    path = file.parent / image
    if not path.is_file():
        raise DataError(f"{file}, line {line}: there is no file {path}")
    given = row.get("split", "").strip() or "train"
    split = split_of(given)
    if split is None:
        raise DataError(f"{file}, line {line}: split '{given}' is none of train, val, test")
    return path, label, split


def _value(file: Path, line: int, row: Row, keys: tuple[str, ...]) -> str:
    for key in keys:
        if value := row.get(key, "").strip():
            return value
    raise DataError(f"{file}, line {line} has no value under {', '.join(keys)} (it has: {', '.join(row) or 'nothing'})")
