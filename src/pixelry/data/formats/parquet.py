"""Parquet as on the Hugging Face hub: a column of encoded images and one of labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from natsort import natsorted

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.formats._shared import CLASS_FILES, class_names, label_classes, split_of
from pixelry.errors import DataError

LOOKS_FOR = "parquet files as on the Hugging Face hub: train*.parquet, test*.parquet with columns image and label"
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label", "labels", "target")


def recognise(path: Path) -> bool:
    """Return whether the path is a parquet file, or a folder of them (or with `data/` of them)."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read parquet files; images stay encoded until they are used.

    Raises:
        DataError: A file is damaged, lacks the columns, or an image or label in it is missing.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path} holds no {LOOKS_FOR}")
    tables = {split: [_table(file) for file in members] for split, members in files.items()}
    first = next(iter(tables.values()))[0]
    images = {split: _images(files[split], parts) for split, parts in tables.items()}
    labels = {split: [value for part in parts for value in part[1].to_pylist()] for split, parts in tables.items()}
    for split, values in labels.items():
        if None in values:
            raise DataError(f"{path}: row {values.index(None)} of split '{split}' has no label")
    classes, targets = _classes(path if path.is_dir() else path.parent, first[2], labels)
    splits = {name: Split(images[name], {"label": targets[name]}) for name in images}
    return Dataset(path.stem if path.is_file() else path.name, splits, classes, "parquet", str(path))


def _files(path: Path) -> dict[str, list[Path]]:
    if path.is_file():
        return {split_of(_word(path)) or "train": [path]} if path.suffix == ".parquet" else {}
    found: dict[str, list[Path]] = {}
    for folder in (path, path / "data"):
        for file in natsorted(folder.glob("*.parquet"), key=lambda file: file.name):
            if split := split_of(_word(file)):
                found.setdefault(split, []).append(file)
        if found:
            break
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _word(path: Path) -> str:
    """Return the split's word in a file name: train of train-00000-of-00001.parquet."""
    return path.stem.split("-")[0].split("_")[0]


def _table(path: Path) -> tuple[pa.ChunkedArray, pa.ChunkedArray, pa.Schema]:
    try:
        schema = pq.read_schema(path)
        columns = [_column(path, schema, IMAGE_COLUMNS), _column(path, schema, LABEL_COLUMNS)]
        table = pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is no parquet file, or damaged: {error}") from None
    return table.column(columns[0]), table.column(columns[1]), schema


def _column(path: Path, schema: pa.Schema, names: Sequence[str]) -> str:
    for name in names:
        if name in schema.names:
            return name
    raise DataError(f"{path} has the columns {', '.join(schema.names)}; expected one called {' or '.join(names)}")


def _images(files: list[Path], tables: list[Any]) -> FileImages:
    sources: list[bytes] = []
    names: list[str] = []
    for file, (column, _, _) in zip(files, tables, strict=True):
        for row, value in enumerate(column.to_pylist()):
            content = value.get("bytes") if isinstance(value, dict) else value
            name = f"{file.name} row {row}"
            if not isinstance(content, bytes):
                raise DataError(f"{file.parent / name} has no image bytes (got {type(content).__name__})")
            sources.append(content)
            names.append(name)
    return FileImages(sources, names)


def _classes(
    folder: Path, schema: pa.Schema, labels: dict[str, list[Any]]
) -> tuple[tuple[str, ...], dict[str, torch.Tensor]]:
    everything = [value for values in labels.values() for value in values]
    if any(isinstance(value, str) for value in everything):
        classes, flat = label_classes([str(value) for value in everything])
        sizes = [len(values) for values in labels.values()]
        return classes, dict(zip(labels, flat.split(sizes), strict=True))
    count = max(everything, default=-1) + 1
    names = _hub_names(schema)
    if names is None or any((folder / file).is_file() for file in CLASS_FILES):
        names = class_names(folder, count)
    return names, {split: torch.tensor(values, dtype=torch.int64) for split, values in labels.items()}


def _hub_names(schema: pa.Schema) -> tuple[str, ...] | None:
    """Return the class names that the hub writes into a file's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return next(tuple(features[name]["names"]) for name in LABEL_COLUMNS if "names" in features.get(name, {}))
    except (KeyError, ValueError, TypeError, StopIteration):
        return None
