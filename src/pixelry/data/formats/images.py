"""Pictures without labels: root/*.png, or root/train/*.png with val and test beside it."""

from __future__ import annotations

from pathlib import Path

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.formats import folder
from pixelry.data.formats._shared import split_roots
from pixelry.errors import DataError
from pixelry.pixels import SUFFIXES, image_files

LOOKS_FOR = "pictures without labels: DATA/*.png, or DATA/train/*.png with val/ and test/ beside it"
# A folder of pictures is part of many formats, whose other files say more: theirs comes first.
GENERIC = True


def recognise(path: Path) -> bool:
    """Return whether pictures lie in the folder itself, and none in folders that would be classes."""
    return any(_images(root) for root in split_roots(path).values()) and not folder.recognise(path)


def read(path: Path) -> Dataset:
    """Read a folder of pictures, in natural order.

    Raises:
        DataError: There are no images.
    """
    files = {split: _images(root) for split, root in split_roots(path).items()}
    if not any(files.values()):
        raise DataError(f"{path} has no images in it; expected {LOOKS_FOR}")
    splits = {split: Split(FileImages(found)) for split, found in files.items()}
    return Dataset(path.name, splits, (), "images", str(path))


def _images(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [file for file in image_files(root) if file.parent == root and file.suffix.lower() in SUFFIXES]
