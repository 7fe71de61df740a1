"""IDX, the form of MNIST and its family, raw or gzip: http://yann.lecun.com/exdb/mnist/ ("file formats")."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from pixelry.data.dataset import Dataset, Split
from pixelry.data.formats._shared import class_names
from pixelry.errors import DataError

LOOKS_FOR = "IDX files: train-images-idx3-ubyte and train-labels-idx1-ubyte, t10k-... for test, raw or .gz"
NAME = re.compile(r"^(?:.*-)?(train|t10k|test|val)-(images|labels)[-.]idx[13]-ubyte(\.gz)?$")
SPLITS = {"train": "train", "t10k": "test", "test": "test", "val": "val"}
UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"


def recognise(path: Path) -> bool:
    """Return whether the folder, or `raw` in it as torchvision leaves it, holds IDX files."""
    return bool(_pairs(path))


def read(path: Path) -> Dataset:
    """Read a folder of IDX files.

    Raises:
        DataError: A file is missing, cut short or no IDX, or images and labels differ in number.
    """
    splits, top = {}, 0
    for split, pair in _pairs(path).items():
        missing = {"images", "labels"} - set(pair)
        if missing:
            have = next(iter(pair.values()))
            raise DataError(f"{have.parent} has {have.name} but not the {split} split's {missing.pop()} beside it")
        images, labels = _array(pair["images"], dimensions=3), _array(pair["labels"], dimensions=1)
        if len(images) != len(labels):
            raise DataError(
                f"{pair['images'].name} has {len(images):,} images, {pair['labels'].name} {len(labels):,} labels; "
                "they must be of the same set"
            )
        splits[split] = Split(torch.from_numpy(images)[:, None], {"label": torch.from_numpy(labels).long()})
        top = max(top, int(labels.max(initial=0)))
    if not splits:
        raise DataError(f"{path} holds no {LOOKS_FOR}")
    return Dataset(path.name, splits, class_names(path, top + 1), "idx", str(path))


def _pairs(path: Path) -> dict[str, dict[str, Path]]:
    """Return {"train": {"images": file, "labels": file}, ...}; of a raw and a .gz file the raw one."""
    found: dict[str, dict[str, Path]] = {}
    for folder in (path, path / "raw"):
        if not folder.is_dir():
            continue
        for file in sorted(folder.iterdir(), key=lambda file: file.suffix != ".gz", reverse=False):
            if (match := NAME.match(file.name)) and file.is_file():
                found.setdefault(SPLITS[match[1]], {})[match[2]] = file
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _array(path: Path, *, dimensions: int) -> np.ndarray:
    """Read one IDX file of unsigned bytes; no more is unpacked than its header announces."""
    with _open(path) as file:
        try:
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:2] != b"\0\0" or head[2:4] != bytes([UNSIGNED_BYTE, dimensions]):
                raise DataError(
                    f"{path} is no IDX file of unsigned bytes with {dimensions} dimension(s): it begins with "
                    f"{head[:4].hex(' ') or 'nothing'}, expected 00 00 08 0{dimensions}"
                )
            shape = tuple(int(size) for size in np.frombuffer(head, ">u4", offset=4))
            content = file.read(math.prod(shape) + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be unpacked ({error}); copy it again") from None
    if len(content) != math.prod(shape):
        what = "cut short" if len(content) < math.prod(shape) else "longer than its header says"
        raise DataError(f"{path} is {what}: {math.prod(shape):,} bytes announced, {len(content):,} found")
    return np.frombuffer(bytearray(content), np.uint8).reshape(shape)


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
        return gzip.open(path, "rb") if packed else path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
