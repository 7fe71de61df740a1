"""Oxford-IIIT Pet: cats and dogs with a map of pet and background (Parkhi et al. 2012)."""

from __future__ import annotations

from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.formats._mask_values import Meaning
from pixelry.data.formats._masks import Pair, mask_dataset
from pixelry.data.formats._shared import read_text
from pixelry.data.masks import IGNORE, ValueTable
from pixelry.errors import DataError

LOOKS_FOR = "Oxford-IIIT Pet: images/*.jpg, annotations/trimaps/*.png, annotations/trainval.txt and test.txt"
CLASSES = ("background", "pet")
# Of a trimap: pet, background, and the border between them, which is not told.
TRIMAP = {1: 1, 2: 0, 3: IGNORE}
LISTS = {"train": "trainval.txt", "test": "test.txt"}


def recognise(path: Path) -> bool:
    """Return whether a folder has the data set's own folders and lists."""
    lists = any((path / "annotations" / name).is_file() for name in LISTS.values())
    return lists and (path / "annotations" / "trimaps").is_dir() and (path / "images").is_dir()


def read(path: Path) -> Dataset:
    """Read images and trimaps; the border between pet and background is ignored.

    Raises:
        DataError: A list is missing or names a file that is not there; the line is named.
    """
    splits = {}
    for split, name in LISTS.items():
        file = path / "annotations" / name
        pairs = []
        for line, text in enumerate(read_text(file).splitlines(), 1):
            if not text.strip() or text.startswith("#"):
                continue
            stem = text.split()[0]
            pair = Pair(path / "images" / f"{stem}.jpg", path / "annotations" / "trimaps" / f"{stem}.png")
            for needed in (pair.image, pair.mask):
                if not needed.is_file():
                    raise DataError(f"{file}, line {line}: there is no file {needed}")
            pairs.append(pair)
        if not pairs:
            raise DataError(f"{file} lists no images")
        splits[split] = pairs
    note = "trimaps: 1 is 'pet', 2 is 'background', 3 is the border between them, whose pixels are ignored"
    meaning = Meaning(ValueTable(TRIMAP, source="the trimaps"), CLASSES, (note,))
    return mask_dataset(path, splits, meaning, format="oxford_pets")
