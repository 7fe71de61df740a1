"""A list of splits that `pixelry data split` or `pixelry data clean` wrote: another data set, divided anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.formats._shared import is_split_list
from pixelry.data.known import BUILT_IN_NAMES, DOWNLOADS
from pixelry.data.split_list import INFO, ROWS, load_list
from pixelry.errors import DataError

LOOKS_FOR = "what `pixelry data split` and `pixelry data clean` write: splits.json and splits.csv"


def recognise(path: Path) -> bool:
    """Return whether the path is such a folder, or one of the two files."""
    return is_split_list(path)


def read(path: Path) -> Dataset:
    """Read the data set that the list refers to, by its own format, and divide it as the list says.

    Raises:
        DataError: The list is damaged, or the data set is not there or has changed since the list was made.
    """
    from pixelry.data.catalog import load_dataset  # formats are below the catalog that reads the list's source

    folder = path if path.is_dir() else path.parent
    if path.is_file() and path.name not in (INFO, ROWS):
        raise DataError(f"{path} is no {LOOKS_FOR}")
    kept = load_list(folder)
    source, test = (_locate(folder, name) for name in (kept.source, kept.test))
    dataset = load_dataset(source, test=test, format=kept.format)
    divided = kept.apply(dataset, where=str(folder))
    return replace(divided, name=dataset.name, format="splits", source=str(path), notes=(*dataset.notes, *kept.notes))


def _locate(folder: Path, name: str | None) -> str | None:
    """Return a source as `load_dataset` takes it: a name, or a path that was relative to the list's folder."""
    if name is None or name in {*BUILT_IN_NAMES, *DOWNLOADS}:
        return name
    path = Path(os.path.normpath(folder / name))
    if not path.exists():
        raise DataError(
            f"{folder / INFO} refers to {path}, where there is no data set; put it there, or correct "
            f'"source" in the file ({name}, seen from the folder of the file)'
        )
    return str(path)
