"""Images and masks in two folders, matched by name: a class for each pixel."""

from __future__ import annotations

from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.findings import counted
from pixelry.data.formats._mask_values import find_legend, understand
from pixelry.data.formats._masks import Pair, mask_dataset, matched
from pixelry.data.formats._shared import split_of, subfolders
from pixelry.data.formats._two_folders import Place, holds_pictures, places
from pixelry.data.stacks import pages_of_pairs
from pixelry.errors import DataError
from pixelry.pixels import image_files

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


def recognise(path: Path) -> bool:
    """Return whether there are two such folders with pictures in them, or empty: reading says which.

    Folders of vague names are recognised by pictures in the one for masks alone.
    """
    if (path / "annotations" / "trimaps").is_dir():
        return False  # Oxford-IIIT Pet, which has a format of its own
    return any(
        _pictures_or_nothing(place.images)
        and _pictures_or_nothing(place.others)
        and (place.others.name.lower() not in VAGUE or holds_pictures(place.others))
        for place in _places(path)
    )


def read(path: Path) -> Dataset:
    """Read images and masks. Names of classes come from a file in the data set's folder, or beside the masks.

    A mask has its image's name, maybe with `_mask` or the like at its end. A file with a palette counts by its indices,
    unless its colours are those of a table of colours; grey ones count by their values, with the same exception.
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
        images, masks = image_files(place.images), image_files(place.others)
        if not images and not masks:
            raise DataError(f"{place.images} and {place.others} hold no pictures; expected images and their masks")
        if not images:
            raise DataError(f"{place.images} holds no pictures; expected the images of the masks in {place.others}")
        if not masks:
            raise DataError(f"{place.others} holds no pictures; expected the masks of the images in {place.images}")
        pairs, ends = matched(place.images, place.others, images, masks)
        if place.split in splits:
            raise DataError(
                f"{place.images} is a second folder of split '{place.split}'; put them together, or move it"
            )
        paged, stacked = pages_of_pairs([(pair.image, pair.mask) for pair in pairs])
        splits[place.split] = [Pair(*each) for each in paged]
        notes += stacked
        notes.append("masks are called like their images" + (f", and {ends}" if ends else ""))
    folders = dict.fromkeys([path, *(f for place in places for f in (place.others, place.others.parent))])
    annot = all(place.others.name.endswith("annot") for place in places)
    files = [pair.mask for pairs in splits.values() for pair in pairs]
    meaning = understand(files, find_legend(folders), annot=annot)
    return mask_dataset(path, splits, meaning, format="masks", notes=[*notes, *_left_out(path, places)])


def _left_out(path: Path, places: list[Place]) -> list[str]:
    """Say what is not read: folders of splits, and what lies beside the splits' folders in one for all of them."""
    used = {folder for place in places for one in (place.images, place.others) for folder in (one, *one.parents)}
    lost = [folder for folder in subfolders(path) if _split_of_either(folder.name) and folder not in used]
    notes = []
    inside = dict.fromkeys(one.parent for place in places for one in (place.images, place.others))
    for root in (root for root in inside if root.parent == path):
        lost += [folder for folder in subfolders(root) if folder not in used and holds_pictures(folder)]
        if loose := image_files(root, recursive=False):
            notes.append(f"{counted(len(loose), 'picture')} in {root.name}, outside its folders, left out")
    if lost:
        names = ", ".join(folder.relative_to(path).as_posix() for folder in lost)
        notes.append(f"{counted(len(lost), 'folder')} left out, without images or without masks: {names}")
    return notes


def _split_of_either(name: str) -> str | None:
    """Return the split of a folder of images, or of a folder of masks that lies beside it."""
    ends = (end for end in ENDS if name.lower().endswith(end))
    return split_of(name) or next((split for end in ends if (split := split_of(name[: -len(end)]))), None)


def _places(path: Path) -> list[Place]:
    return places(path, IMAGES, MASKS, ENDS)


def _pictures_or_nothing(folder: Path) -> bool:
    return holds_pictures(folder) or not any(file.is_file() for file in folder.rglob("[!.]*"))
