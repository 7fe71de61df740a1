"""A NumPy archive: x_train, y_train, x_test, y_test, or train_images, train_labels, ..., or images, labels."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pixelry.data.arrays import dataset_from_arrays
from pixelry.data.dataset import Dataset
from pixelry.data.formats._shared import split_of
from pixelry.errors import DataError

LOOKS_FOR = "a .npz archive: x_train, y_train, x_test, y_test, or train_images, train_labels, or images, labels"
IMAGE_WORDS = {"x", "image", "images", "data", "img", "imgs"}
LABEL_WORDS = {"y", "label", "labels", "target", "targets"}


def recognise(path: Path) -> bool:
    """Return whether the path is a .npz file."""
    return path.suffix == ".npz" and path.is_file()


def read(path: Path) -> Dataset:
    """Read an archive of arrays; one with pickled objects in it is refused.

    Images are (N, H, W), (N, H, W, C) or (N, C, H, W), with scikit-image's ranges; an array `classes` may give
    the names.

    Raises:
        DataError: It is no archive, has no such arrays, or they do not fit each other.
    """
    arrays = _arrays(path)
    splits: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays.items():
        if place := _place(key):
            splits.setdefault(place[0], {})[place[1]] = value
    if not splits:
        raise DataError(f"{path} has the arrays {', '.join(arrays) or '(none)'}; expected {LOOKS_FOR}")
    lone = [name for name, parts in splits.items() if "images" not in parts]
    if lone:
        raise DataError(f"{path} has labels but no images of its {lone[0]} split; expected {LOOKS_FOR}")
    names = arrays.get("classes", arrays.get("class_names"))
    classes = None if names is None else [str(name) for name in names]
    pairs = {name: (parts["images"], parts.get("labels")) for name, parts in splits.items()}
    return dataset_from_arrays(pairs, classes=classes, name=path.stem, format="npz", source=str(path))


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{path} holds pickled objects, which can run any code; save plain arrays") from None
        raise DataError(f"{path} cannot be read: {error}") from None
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} is no .npz archive, or damaged: {error}") from None


def _place(key: str) -> tuple[str, str] | None:
    """Return (split, "images" or "labels") of an array's name, None if it is neither."""
    words = re.split(r"[_\-.]", key.lower())
    kind = "images" if IMAGE_WORDS & set(words) else "labels" if LABEL_WORDS & set(words) else None
    split = next((name for word in words if (name := split_of(word))), "train")
    return (split, kind) if kind else None
