"""CIFAR-10 and CIFAR-100 as published: binary or Python batches (https://www.cs.toronto.edu/~kriz/cifar.html)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pixelry.data.dataset import Dataset, Split
from pixelry.data.formats._batches import read_batch
from pixelry.errors import DataError

LOOKS_FOR = "CIFAR batches: data_batch_1 ... and test_batch (.bin or Python), or train and test of CIFAR-100"
FOLDERS = ("", "cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python", "cifar-100-binary")
PIXELS = 3 * 32 * 32
# Files of each split, label bytes before each image, files of the class names.
BINARY = {
    10: ([f"data_batch_{k}.bin" for k in range(1, 6)], ["test_batch.bin"], 1, "batches.meta.txt"),
    100: (["train.bin"], ["test.bin"], 2, "fine_label_names.txt"),
}
PYTHON = {
    10: ([f"data_batch_{k}" for k in range(1, 6)], ["test_batch"], "labels", "batches.meta", "label_names"),
    100: (["train"], ["test"], "fine_labels", "meta", "fine_label_names"),
}


def recognise(path: Path) -> bool:
    """Return whether the folder, or the one inside it that the archive makes, holds CIFAR batches."""
    return _find(path) is not None


def read(path: Path) -> Dataset:
    """Read CIFAR batches; Python batches are read without running anything that is in them.

    Raises:
        DataError: A batch is missing, cut short, or not what it is called.
    """
    found = _find(path)
    if found is None:
        raise DataError(f"{path} holds no {LOOKS_FOR}")
    folder, count, binary = found
    train, test, *_ = BINARY[count] if binary else PYTHON[count]
    splits = {}
    for name, files in (("train", train), ("test", test)):
        present = [folder / file for file in files if (folder / file).is_file()]
        if name == "train" and len(present) < len(files):
            missing = next(file for file in files if not (folder / file).is_file())
            raise DataError(f"{folder} lacks {missing}: all of {', '.join(files)} are expected")
        if present:
            parts = [_binary(file, count) if binary else _python(file, count) for file in present]
            images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            splits[name] = Split(torch.from_numpy(images), {"label": torch.from_numpy(labels)})
    return Dataset(path.name, splits, _classes(folder, count, binary), "cifar", str(path))


def _find(path: Path) -> tuple[Path, int, bool] | None:
    for folder in (path / name for name in FOLDERS):
        for count in (10, 100):
            if (folder / BINARY[count][0][0]).is_file():
                return folder, count, True
            # CIFAR-100's Python files are called just `train` and `test`: the file of names must be there too.
            if (folder / PYTHON[count][0][0]).is_file() and (count == 10 or (folder / PYTHON[count][3]).is_file()):
                return folder, count, False
    return None


def _binary(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    lead = BINARY[count][2]
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if not len(content) or len(content) % (lead + PIXELS):
        raise DataError(
            f"{path} has {len(content):,} bytes, which is no multiple of {lead + PIXELS:,} (a label and an image); "
            "it is cut short or no CIFAR batch"
        )
    rows = content.reshape(-1, lead + PIXELS)
    return rows[:, lead:].reshape(-1, 3, 32, 32).copy(), rows[:, lead - 1].astype(np.int64)


def _python(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    batch = read_batch(path)
    key = PYTHON[count][2]
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS:
        raise DataError(f"{path} has no array 'data' of uint8 (N, {PIXELS})")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(isinstance(k, int) for k in labels):
        raise DataError(f"{path} has no list '{key}' with a number for each of its {len(data):,} images")
    return data.reshape(-1, 3, 32, 32), np.array(labels, np.int64)


def _classes(folder: Path, count: int, binary: bool) -> tuple[str, ...]:
    file = folder / (BINARY[count][3] if binary else PYTHON[count][3])
    if not file.is_file():
        return tuple(str(label) for label in range(count))
    if binary:
        names = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    else:
        names = [_text(name) for name in read_batch(file).get(PYTHON[count][4], [])]
    if len(names) != count:
        raise DataError(f"{file} names {len(names)} classes; expected {count}")
    return tuple(names)


def _text(name: object) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)
