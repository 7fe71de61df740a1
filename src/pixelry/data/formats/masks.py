"""Images and masks in two folders, matched by name: a class for each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.findings import counted
from pixelry.data.formats._masks import Pair, find_legend, mask_dataset, matched, understand
from pixelry.data.formats._shared import split_of, split_roots, subfolders
from pixelry.errors import DataError
from pixelry.pixels import SUFFIXES, image_files

LOOKS_FOR = (
    "masks: images/ and masks/ (or labels/, annotations/), with train/, val/ and test/ in them or around them, or "
    "train/ and trainannot/; classes named in labels.txt or classes.csv (name,r,g,b)"
)
IMAGES = ("images", "image", "imgs", "img", "JPEGImages")
MASKS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "annotation",
    "annot",
    "segmentations",
    "segmentation",
    "gt",
)
# What the name of a folder of masks has more than that of its images.
ENDS = ("annot", "_annot", "masks", "_masks", "_mask", "_labels", "_label")
# Folders of these names may hold text, boxes or anything else.
VAGUE = ("labels", "label", "annotations", "annotation")


@dataclass(frozen=True)
class _Place:
    """Folders of images and of their masks, and their split."""

    split: str
    images: Path
    masks: Path


def recognise(path: Path) -> bool:
    """Return whether there are two such folders with pictures in them."""
    if (path / "annotations" / "trimaps").is_dir():
        return False  # Oxford-IIIT Pet, which has a format of its own
    return any(
        _holds_pictures(place.images) and (place.masks.name not in VAGUE or _holds_pictures(place.masks))
        and (_holds_pictures(place.masks) or not any(place.masks.iterdir()))
        for place in _places(path)
    )  # fmt: skip


def read(path: Path) -> Dataset:
    """Read images and masks. Names of classes come from a file in the data set's folder, or beside the masks.

    A mask has its image's name, maybe with `_mask` or the like at its end. A file with a palette counts by its indices.
    255 is no class, and neither is a name such as `void`; masks of 0 and 255 alone are background and foreground.

    Raises:
        DataError: A folder is empty; an image or a mask has no partner, or two; a mask cannot be read, or has a value
            or a colour that is no class. The file is named.
    """
    places = _places(path)
    if not places:
        raise DataError(f"{path} has no folders of images and masks; expected {LOOKS_FOR}")
    splits: dict[str, list[Pair]] = {}
    notes = []
    for place in places:
        images, masks = image_files(place.images), image_files(place.masks)
        if not images and not masks:
            raise DataError(f"{place.images} and {place.masks} hold no pictures; expected images and their masks")
        pairs, ends = matched(place.images, place.masks, images, masks)
        if place.split in splits:
            raise DataError(
                f"{place.images} is a second folder of split '{place.split}'; put them together, or move it"
            )
        splits[place.split] = pairs
        if ends:
            notes.append(f"masks are called like their images, and {ends}")
    folders = dict.fromkeys([path, *(f for place in places for f in (place.masks, place.masks.parent))])
    annot = all(place.masks.name.endswith("annot") for place in places)
    files = [pair.mask for pairs in splits.values() for pair in pairs]
    meaning = understand(files, find_legend(folders), void_after=annot)
    if lost := [f.name for f in subfolders(path) if split_of(f.name) and not any(f in _line(p) for p in places)]:
        notes.append(f"{counted(len(lost), 'folder')} without masks left out: {', '.join(lost)}")
    return mask_dataset(path, splits, meaning, format="masks", notes=notes)


def _line(place: _Place) -> list[Path]:
    return [place.images, *place.images.parents]


def _places(path: Path) -> list[_Place]:
    """Return where images and masks lie; the layouts are tried one after the other."""
    if not path.is_dir():
        return []
    beside = [
        _Place(split, folder, mate)
        for folder in subfolders(path)
        if (split := split_of(folder.name)) and (mate := _first(path, [folder.name + end for end in ENDS]))
    ]
    if beside:
        return beside
    around = [
        _Place(split, images, masks)
        for split, root in split_roots(path).items()
        if root != path and (images := _first(root, IMAGES)) and (masks := _first(root, MASKS))
    ]
    if around:
        return around
    images, masks = _first(path, IMAGES), _first(path, MASKS)
    if images is None or masks is None:
        return []
    inside = [
        _Place(split, folder, masks / folder.name)
        for folder in subfolders(images)
        if (split := split_of(folder.name)) and (masks / folder.name).is_dir()
    ]
    return inside or [_Place("train", images, masks)]


def _first(root: Path, names: tuple[str, ...] | list[str]) -> Path | None:
    """Return the first folder of some names, in any case."""
    folders = {folder.name.lower(): folder for folder in subfolders(root)}
    return next((folders[name.lower()] for name in names if name.lower() in folders), None)


def _holds_pictures(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in folder.rglob("*") if file.is_file())
