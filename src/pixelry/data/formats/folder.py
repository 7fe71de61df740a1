"""Class folders: root/CLASS/*.png, or root/train/CLASS/*.png with val and test beside it."""

from __future__ import annotations

from pathlib import Path

import torch

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.formats._shared import split_roots, subfolders
from pixelry.errors import DataError
from pixelry.pixels import SUFFIXES, image_files

LOOKS_FOR = "class folders: DATA/cat/*.png, or DATA/train/cat/*.png with val/ and test/ beside it"
# A folder of pictures is part of many formats, whose other files say more: theirs comes first.
GENERIC = True


def recognise(path: Path) -> bool:
    """Return whether the path holds folders with images in them, one a class."""
    return any(_has_images(folder) for root in split_roots(path).values() for folder in subfolders(root))


def read(path: Path) -> Dataset:
    """Read class folders; a class is a folder's name, and what lies deeper belongs to it.

    Raises:
        DataError: There are no images.
    """
    roots = split_roots(path)
    files = {split: {folder.name: image_files(folder) for folder in subfolders(root)} for split, root in roots.items()}
    found = {name for by_class in files.values() for name, members in by_class.items() if members}
    if not found:
        raise DataError(f"{path} has no images in its folders; expected {LOOKS_FOR}")
    classes = tuple(_ordered(files, found))
    splits = {split: _split(by_class, classes) for split, by_class in files.items()}
    empty = sorted({name for by_class in files.values() for name in by_class} - found)
    notes = (f"no images in, and so no class for: {', '.join(empty)}",) if empty else ()
    return Dataset(path.name, splits, classes, "folder", str(path), notes)


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in folder.rglob("*") if file.is_file())


def _ordered(files: dict[str, dict[str, list[Path]]], found: set[str]) -> list[str]:
    from natsort import natsorted

    return natsorted(name for name in {name for by_class in files.values() for name in by_class} if name in found)


def _split(by_class: dict[str, list[Path]], classes: tuple[str, ...]) -> Split:
    paths = [(file, label) for label, name in enumerate(classes) for file in by_class.get(name, [])]
    labels = torch.tensor([label for _, label in paths], dtype=torch.int64)
    return Split(FileImages([file for file, _ in paths]), {"label": labels})
