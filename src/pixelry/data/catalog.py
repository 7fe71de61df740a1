"""`load_dataset`: a built-in name, a path whose format is recognised, or what a program has in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixelry import plugins
from pixelry.arguments import verb
from pixelry.data.arrays import dataset_from_arrays, dataset_from_torch
from pixelry.data.builtin import BUILT_IN
from pixelry.data.dataset import Dataset, Split
from pixelry.data.file_notes import with_file_notes
from pixelry.data.known import DOWNLOADS, Download, find_data
from pixelry.errors import DataError, UsageError
from pixelry.paths import cache_dir, data_dir


@verb
def load_dataset(source: Any, *, test: Any = None, format: str | None = None, name: str | None = None) -> Dataset:
    """Load a data set.

    Args:
        source: A built-in name (`pixelry data list`); a path whose format is recognised by looking, also one
            relative to the folder in PIXELRY_DATA; `(images, labels)` or `{"train": (images, labels), ...}` of
            arrays or tensors; a torch or torchvision data set of (image, label); or a `Dataset`.
        test: A second source: its test split, or all that it has if it has none, becomes the test split.
        format: Name of a format, where it is not to be recognised.
        name: What to call it.

    Returns:
        Its splits, classes and where it came from.

    Raises:
        DataError: It cannot be found, recognised or read.
        UsageError: Unknown name or format.

    Examples:
        >>> load_dataset("digits").describe()
        'digits (built-in): 1,442 train, 355 test, 10 classes'
    """
    dataset = _load(source, format)
    if test is not None:
        dataset = _with_test(dataset, _load(test, format))
    return dataset if name is None else replace(dataset, name=name)


def _load(source: Any, format: str | None) -> Dataset:
    if isinstance(source, Dataset):
        return source
    if isinstance(source, str | Path):
        if format is not None or not _is_name(source):
            dataset = _path(find_data(source), format)
            if str(source) not in {*BUILT_IN, *DOWNLOADS}:
                return dataset
            note = f"the folder {source} was read, and not the data set of that name: rename the folder for that"
            return replace(dataset, notes=(*dataset.notes, note))
        dataset = _named(str(source))
        if not Path(source).is_dir() or source == "digits":
            return dataset
        note = f"the folder {source} holds no data of a format that is known: taken for the data set of that name"
        return replace(dataset, notes=(*dataset.notes, note))
    if format is not None:
        raise UsageError(f"format '{format}' goes with a path; the data given is a {type(source).__name__} in memory")
    if isinstance(source, Mapping):
        return dataset_from_arrays(source)
    # A list of two may also be two samples (image, label).
    if isinstance(source, list) and len(source) == 2 and isinstance(source[0], np.ndarray | torch.Tensor):
        source = tuple(source)
    if isinstance(source, tuple) and len(source) == 2:
        return dataset_from_arrays({"train": source})
    if (
        hasattr(source, "__len__")
        and hasattr(source, "__getitem__")
        and not isinstance(source, np.ndarray | torch.Tensor)
    ):
        return dataset_from_torch(source)
    raise UsageError(
        f"cannot read a data set from {type(source).__name__}; give a name, a path, (images, labels), "
        '{"train": (images, labels), "test": ...}, or a torch data set of (image, label)'
    )


def _is_name(source: str | Path) -> bool:
    """Return whether a data set by name is meant: a path of that name comes first, but for a folder without data.

    A run's folder may well be called after what it learnt from.
    """
    if not isinstance(source, str) or source not in {*BUILT_IN, *DOWNLOADS}:
        return False
    path = Path(source)
    return source == "digits" or not path.exists() or (path.is_dir() and not _recognised(path))


def _named(name: str) -> Dataset:
    if name in BUILT_IN:
        return BUILT_IN[name].read()
    home = data_dir()
    if home is not None and (home / name).exists():
        return replace(_path(home / name, _format_of(name)), name=name, source=name)
    return _downloaded(name)


def _format_of(name: str) -> str | None:
    """Return the format of a data set by name that is not to be recognised by looking."""
    return DOWNLOADS[name].format if DOWNLOADS[name].proof else None


def _downloaded(name: str) -> Dataset:
    entry, root = DOWNLOADS[name], cache_dir() / "data"
    folder = root / entry.folder
    reader = plugins.formats.load(entry.format)
    if not ((folder / entry.proof).exists() if entry.proof else reader.recognise(folder)):
        _fetch(name, entry, root)
    dataset: Dataset = reader.read(folder)
    return replace(dataset, name=name, source=name, classes=entry.classes or dataset.classes)


def _fetch(name: str, entry: Download, root: Path) -> None:
    from torchvision import datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        for part in entry.parts:
            getattr(datasets, entry.kind)(root, download=True, **part)
    except Exception as error:  # torchvision raises whatever the network, the disk or the archive made it raise
        how = f" --format {entry.format}" if entry.proof else ""
        raise DataError(
            f"{name} could not be downloaded ({error}). Without a network: put {entry.files} into a folder and give "
            f"it as --data FOLDER{how}, or as {name}/ in the folder that PIXELRY_DATA names"
        ) from None


def _path(path: Path, format: str | None) -> Dataset:
    if format is not None:
        read: Dataset = plugins.formats.load(format).read(path)
        return with_file_notes(read, path)
    found = _recognised(path)
    if len(found) > 1:
        raise DataError(f"{path} looks like several formats: {', '.join(found)}; say which with --format")
    if not found:
        looked = "".join(f"\n- {name}: {plugins.formats.load(name).LOOKS_FOR}" for name in plugins.formats.names())
        raise DataError(f"{path} is in no format that is recognised; what was looked for:{looked}")
    dataset: Dataset = plugins.formats.load(found[0]).read(path)
    return with_file_notes(dataset, path)


def _recognised(path: Path) -> list[str]:
    """Return the formats that a path is in; generic ones only where there is no other."""
    found = [name for name in plugins.formats.names() if plugins.formats.load(name).recognise(path)]
    specific = [name for name in found if not getattr(plugins.formats.load(name), "GENERIC", False)]
    return specific or found


def _with_test(dataset: Dataset, other: Dataset) -> Dataset:
    """Add the test split of another source; its classes must be the data set's own."""
    if set(other.classes) - set(dataset.classes):
        extra = sorted(set(other.classes) - set(dataset.classes))
        raise DataError(
            f"the test data {other.name} has classes that {dataset.name} lacks: {', '.join(extra[:5])} "
            f"({dataset.name} has {', '.join(dataset.classes[:10])})"
        )
    held = other.splits.get("test") or other["train"]
    if "mask" in held.targets and other.mask_classes != dataset.mask_classes:
        raise DataError(
            f"the masks of the test data {other.name} have the classes {', '.join(other.mask_classes[:10])}; those of "
            f"{dataset.name} are {', '.join(dataset.mask_classes[:10])}: give both the same names in the same order"
        )
    position = torch.tensor([dataset.classes.index(name) for name in other.classes], dtype=torch.int64)
    targets = dict(held.targets)
    if "label" in targets:
        targets["label"] = position[held.labels]
    if "labels" in targets:
        targets["labels"] = [position[labels] for labels in targets["labels"]]
    names = [held.name(i) for i in range(len(held))]
    origin = held.origin
    if origin is not None:
        origin = replace(origin, category_ids={key: int(position[k]) for key, k in origin.category_ids.items()})
    return replace(dataset, splits={**dataset.splits, "test": Split(held.images, targets, names, origin)})


def describe_catalog() -> list[dict[str, Any]]:
    """Return rows for `pixelry data list`: data sets by name, then formats."""
    rows = [{"name": name, "kind": "built-in", "description": entry.description} for name, entry in BUILT_IN.items()]
    rows += [{"name": name, "kind": "download", "description": entry.description} for name, entry in DOWNLOADS.items()]
    for name in plugins.formats.names():
        rows.append({"name": name, "kind": "format", "description": plugins.formats.load(name).LOOKS_FOR})
    return rows
