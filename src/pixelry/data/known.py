"""Data sets that go by a name, and where a name or path leads: looked up without torch, so that typos cost no time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pixelry.errors import DataError, did_you_mean
from pixelry.paths import data_dir

# `data/builtin.py` has a reader for each.
BUILT_IN_NAMES = ("digits", "photos", "shapes")


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


def find_data(source: str | Path) -> Path:
    """Return the file or folder that a path means, also one relative to the folder in PIXELRY_DATA.

    Raises:
        DataError: There is none; the message has the nearest name, of a data set or of what lies beside it.
    """
    path, home = Path(source).expanduser(), data_dir()
    if path.exists():
        return path
    if home is not None and not path.is_absolute() and (home / path).exists():
        return home / path
    if str(source) in ELSEWHERE:
        raise DataError(f"there is no file or folder {source}. {ELSEWHERE[str(source)]}")
    if str(source) in {*BUILT_IN_NAMES, *DOWNLOADS}:
        raise DataError(f"there is no file or folder {source}; the data set of that name goes without --format")
    raise DataError(f"there is no file, folder or data set called '{source}'{_nearest(source, path)}")


def nearest_path(path: Path) -> str:
    """Return the path of what lies in the same folder under a similar name, "" if nothing does."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = _similar(path.name, names, cutoff=0.8)  # a common suffix makes any two names alike
    return str(path.with_name(near)) if near else ""


def _nearest(source: str | Path, path: Path) -> str:
    """Return how a message goes on: the nearest name, or what is known."""
    names = [*BUILT_IN_NAMES, *DOWNLOADS]
    near = _similar(str(source), names) or nearest_path(path)
    if near:
        return f"; did you mean '{near}'?"
    missing = next((p for p in [*reversed(path.parents), path] if not p.exists()), path)
    if len(path.parts) > 1 and missing != path:
        return f": the folder {missing} does not exist"
    return did_you_mean(str(source), names) if len(path.parts) == 1 else f": {path.parent} holds nothing of that name"


def _similar(given: str, names: Iterable[str], *, cutoff: float = 0.7) -> str:
    """Return the name that is nearest to what was given; case, hyphens and underscores do not count."""
    plain = {_plain(name): name for name in names}
    near = get_close_matches(_plain(given), plain, n=1, cutoff=cutoff)
    return plain[near[0]] if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
