"""What several formats need: names of splits, names of classes, labels from text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from natsort import natsorted
from torch import Tensor

from pixelry.errors import DataError

SPLITS = ("train", "val", "test")

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
CLASS_FILES = ("classes.txt", "labels.txt", "class_names.txt")
# What the columns of a list of images may be called.
IMAGE_KEYS = ("image", "file_name", "filename", "file", "path", "image_path")
LABEL_KEYS = ("label", "class", "category", "class_name")


def split_of(name: str) -> str | None:
    """Return "train", "val" or "test" for the name that someone gave a split, None if it names none."""
    return SPLIT_NAMES.get(name.lower())


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from None


def label_classes(names: Sequence[str]) -> tuple[tuple[str, ...], Tensor]:
    """Return the classes in natural order and the label of each entry, int64 (N,)."""
    classes = tuple(natsorted(set(names)))
    index = {name: label for label, name in enumerate(classes)}
    return classes, torch.tensor([index[name] for name in names], dtype=torch.int64)


def class_names(folder: Path, count: int) -> tuple[str, ...]:
    """Return the names in a classes.txt or labels.txt of a folder, one a line; without one the numbers.

    Raises:
        DataError: The file has fewer names than there are classes.
    """
    for name in CLASS_FILES:
        path = folder / name
        if path.is_file():
            lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
            if len(lines) < count:
                raise DataError(f"{path} names {len(lines)} classes, but the labels go up to {count - 1}")
            return tuple(lines)
    return tuple(str(label) for label in range(count))


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, naturally sorted."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
    return natsorted(found, key=lambda path: path.name)


def split_roots(path: Path) -> dict[str, Path]:
    """Return the folder of each split: those with a split's name, or the path itself as train."""
    named = {split: folder for folder in subfolders(path) if (split := split_of(folder.name))}
    return named or {"train": path}


def split_lists(folder: Path, notes: list[str]) -> dict[str, Path]:
    """Return the lists of splits that Pascal VOC keeps in a folder of ImageSets, by split, those that there are.

    Args:
        folder: ImageSets/Main or another.
        notes: Is told where trainval stands for the training split.
    """
    lists = {split: folder / f"{split}.txt" for split in ("trainval", *SPLITS)}
    lists = {split: file for split, file in lists.items() if file.is_file()}
    trainval = lists.pop("trainval", None)
    if trainval is None or {"train", "val"} & set(lists):
        return lists
    notes.append(f"ImageSets/{folder.name} has no train and no val: trainval is the training split")
    return {"train": trainval, **lists}


def is_split_list(path: Path) -> bool:
    """Return whether the path is a list of splits, `splits.json` with `splits.csv`, or the folder of one."""
    folder = path if path.is_dir() else path.parent
    file = folder / "splits.json"
    if not file.is_file() or (path != folder and path.name not in ("splits.json", "splits.csv")):
        return False
    try:
        with file.open("rb") as content:
            return b'"pixelry-splits"' in content.read(200)
    except OSError:
        return False
