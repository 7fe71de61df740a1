"""`load_dataset`: a built-in name, a path whose format is recognised, or what a program has in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixelry import plugins
from pixelry.data.arrays import dataset_from_arrays, dataset_from_torch
from pixelry.data.builtin import BUILT_IN
from pixelry.data.dataset import Dataset, Split
from pixelry.errors import DataError, UsageError, did_you_mean
from pixelry.paths import cache_dir, data_dir


@dataclass(frozen=True)
class Download:
    """A data set that torchvision knows where to find.

    Attributes:
        kind: Its class in torchvision.datasets.
        description: For lists.
        folder: Where under torchvision's root its files come to lie.
        files: What to fetch by hand where there is no network.
        format: Reads those files.
        classes: Names, where the files have none.
        parts: Arguments of its class for each part that is fetched.
        proof: What lies in the folder when it was fetched, and whose format is `format` though it looks like another
            too; "" where the format itself recognises the folder.
    """

    kind: str
    description: str
    folder: str
    files: str
    format: str
    classes: tuple[str, ...] = ()
    parts: tuple[Mapping[str, Any], ...] = ({"train": True}, {"train": False})
    proof: str = ""


IDX_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz"
)
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
DOWNLOADS = {
    "mnist": Download("MNIST", "handwritten digits, 28x28 grey, 60,000 + 10,000", "MNIST/raw", IDX_FILES, "idx"),
    "fashion-mnist": Download(
        "FashionMNIST", "clothes, 28x28 grey, 60,000 + 10,000", "FashionMNIST/raw", IDX_FILES, "idx", CLOTHES
    ),
    "kmnist": Download("KMNIST", "cursive Japanese, 28x28 grey, 60,000 + 10,000", "KMNIST/raw", IDX_FILES, "idx", KANA),
    "cifar10": Download(
        "CIFAR10", "small photographs of 10 classes, 32x32 colour, 50,000 + 10,000", "cifar-10-batches-py",
        "cifar-10-python.tar.gz, unpacked", "cifar",
    ),
    "cifar100": Download(
        "CIFAR100", "small photographs of 100 classes, 32x32 colour, 50,000 + 10,000", "cifar-100-python",
        "cifar-100-python.tar.gz, unpacked", "cifar",
    ),
    "oxford-pets": Download(
        "OxfordIIITPet", "cats and dogs with masks of pet and background, photographs, 3,680 + 3,669",
        "oxford-iiit-pet", "images.tar.gz and annotations.tar.gz, unpacked", "oxford_pets",
        parts=({"split": "trainval", "target_types": "segmentation"},),
    ),
    "voc2012": Download(
        "VOCSegmentation", "Pascal VOC's masks of 20 kinds of things and of each thing, photographs, 1,464 + 1,449",
        "VOCdevkit/VOC2012", "what VOCdevkit/VOC2012 holds in VOCtrainval_11-May-2012.tar", "voc_masks",
        parts=({"year": "2012", "image_set": "trainval"},), proof="SegmentationObject",
    ),
}  # fmt: skip
# Names that someone may try, and what to do instead.
ELSEWHERE = {
    "cityscapes": (
        "Cityscapes is given to registered users alone: register at https://www.cityscapes-dataset.com, download "
        "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, unpack both into one folder, so that leftImg8bit/ "
        "and gtFine/ lie side by side in it, and give it as --data FOLDER, or as cityscapes/ in the folder that "
        "PIXELRY_DATA names"
    ),
    "voc": (
        "Pascal VOC goes by the name of its year: voc2012 has masks and is downloaded; boxes are read from a folder "
        "with JPEGImages/ and Annotations/, as --data FOLDER"
    ),
}


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
            return _path(_find(source), format)
        dataset = _named(str(source))
        if not Path(source).is_dir() or source == "digits":
            return dataset
        note = f"the folder {source} holds no data of a format that is known: taken for the data set of that name"
        return replace(dataset, notes=(*dataset.notes, note))
    if format is not None:
        raise UsageError(f"format '{format}' goes with a path; the data given is a {type(source).__name__} in memory")
    if isinstance(source, Mapping):
        return dataset_from_arrays(source)
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


def _find(source: str | Path) -> Path:
    path, home = Path(source).expanduser(), data_dir()
    if path.exists():
        return path
    if home is not None and not path.is_absolute() and (home / path).exists():
        return home / path
    if str(source) in ELSEWHERE:
        raise DataError(f"there is no file or folder {source}. {ELSEWHERE[str(source)]}")
    if str(source) in {*BUILT_IN, *DOWNLOADS}:
        raise DataError(f"there is no file or folder {source}; the data set of that name goes without --format")
    near = did_you_mean(str(source), [*BUILT_IN, *DOWNLOADS])
    raise DataError(f"there is no file, folder or data set called '{source}'{near}")


def _path(path: Path, format: str | None) -> Dataset:
    if format is not None:
        read: Dataset = plugins.formats.load(format).read(path)
        return read
    found = _recognised(path)
    if len(found) > 1:
        raise DataError(f"{path} looks like several formats: {', '.join(found)}; say which with --format")
    if not found:
        looked = "".join(f"\n- {name}: {plugins.formats.load(name).LOOKS_FOR}" for name in plugins.formats.names())
        raise DataError(f"{path} is in no format that is recognised; what was looked for:{looked}")
    dataset: Dataset = plugins.formats.load(found[0]).read(path)
    return dataset


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
