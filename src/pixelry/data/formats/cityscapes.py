"""Cityscapes: streets from a car (Cordts et al. 2016, https://www.cityscapes-dataset.com)."""

from __future__ import annotations

from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.findings import counted, listed
from pixelry.data.formats._mask_values import LOOKS, Meaning
from pixelry.data.formats._masks import Pair, mask_dataset
from pixelry.data.masks import IGNORE, ValueTable, number_table, read_raw
from pixelry.errors import DataError
from pixelry.pixels import image_files

LOOKS_FOR = (
    "Cityscapes: leftImg8bit/train/CITY/*_leftImg8bit.png and gtFine/train/CITY/*_gtFine_labelIds.png, with val/ and "
    "test/ beside"
)
IMAGE_END = "_leftImg8bit"
MASK_ENDS = ("_gtFine_labelIds", "_gtFine_labelTrainIds")
# By the id in labelIds, of 0 to 33: the classes that are learnt; cityscapesscripts, helpers/labels.py.
CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
IDS = 34


def recognise(path: Path) -> bool:
    """Return whether a folder has Cityscapes' own folders."""
    return (path / "leftImg8bit").is_dir() and (path / "gtFine").is_dir()


def read(path: Path) -> Dataset:
    """Read Cityscapes with its 19 classes; ids of others are ignored. labelTrainIds count where labelIds are missing.

    The masks of the test split that are published hold no class; such a split is left out, and a note says so.

    Raises:
        DataError: A folder is empty, or an image has no mask; the file is named.
    """
    images_root, masks_root = path / "leftImg8bit", path / "gtFine"
    found = {
        split: image_files(images_root / split) for split in ("train", "val", "test") if (images_root / split).is_dir()
    }
    if not any(found.values()):
        raise DataError(f"{images_root} holds no images; expected {LOOKS_FOR}")
    end = next((end for end in MASK_ENDS if next(masks_root.rglob(f"*{end}.png"), None)), None)
    if end is None:
        raise DataError(f"{masks_root} holds no masks; expected {LOOKS_FOR}")
    meaning = _by_train_id() if end == MASK_ENDS[1] else _by_id()
    splits: dict[str, list[Pair]] = {}
    notes = ["labelTrainIds are read: there are no labelIds"] if end == MASK_ENDS[1] else []
    for split, images in found.items():
        pairs = [Pair(image, _mask(image, images_root / split, masks_root / split, end)) for image in images]
        lone = [str(pair.mask) for pair in pairs if not pair.mask.is_file()]
        if split == "test" and (len(lone) == len(pairs) or (not lone and _is_dummy(pairs, meaning.table))):
            notes.append(f"split 'test' ({counted(len(pairs), 'image')}) has no masks with classes: left out")
            continue
        if lone:
            raise DataError(f"{counted(len(lone), 'mask')} of split '{split}' missing: {listed(lone)}")
        if pairs:
            splits[split] = pairs
    return mask_dataset(path, splits, meaning, format="cityscapes", notes=notes)


def _mask(image: Path, images: Path, masks: Path, end: str) -> Path:
    return masks / image.relative_to(images).with_name(f"{image.stem.removesuffix(IMAGE_END)}{end}.png")


def _by_id() -> Meaning:
    values = dict.fromkeys((*range(IDS), IGNORE), IGNORE) | {value: k for k, value in enumerate(CLASSES)}
    note = f"the {IDS} ids of labelIds: {len(CLASSES)} are classes, the pixels of the others are ignored"
    return Meaning(ValueTable(values, source="Cityscapes' labelIds"), tuple(CLASSES.values()), (note,))


def _by_train_id() -> Meaning:
    note = f"{IGNORE} in labelTrainIds is no class: its pixels are ignored"
    return Meaning(number_table(len(CLASSES), source="Cityscapes' labelTrainIds")[0], tuple(CLASSES.values()), (note,))


def _is_dummy(pairs: list[Pair], table: ValueTable) -> bool:
    """Return whether the first masks are ignored altogether."""
    return all((table.ids(read_raw(pair.mask), str(pair.mask)) == IGNORE).all() for pair in pairs[:LOOKS])
