"""Pascal VOC's masks: SegmentationClass, and objects in SegmentationObject (Everingham et al. 2010)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from pixelry.data.dataset import Dataset, Split
from pixelry.data.findings import counted
from pixelry.data.formats._boxes import by_stem
from pixelry.data.formats._mask_values import Meaning, find_legend, understand
from pixelry.data.formats._masks import Pair, lie_as_filed, mask_dataset, mask_split, matched
from pixelry.data.formats._shared import SPLITS, read_text, split_lists
from pixelry.data.masks import IGNORE, InstanceFiles, ValueTable, as_image, number_table, read_raw
from pixelry.errors import DataError
from pixelry.pixels import image_files

LOOKS_FOR = (
    "Pascal VOC's masks: JPEGImages/, SegmentationClass/*.png, maybe SegmentationObject/*.png and "
    "ImageSets/Segmentation/train.txt, where there are no Annotations/*.xml (else --format voc_masks reads them)"
)
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
BACKGROUND = "background"


def recognise(path: Path) -> bool:
    """Return whether a folder has VOC's folders of images and masks, and no boxes."""
    has_masks = (path / "JPEGImages").is_dir() and (path / "SegmentationClass").is_dir()
    return has_masks and next((path / "Annotations").glob("*.xml"), None) is None


def read(path: Path) -> Dataset:
    """Read VOC's masks: indices of the palette are the classes, 255 (borders, and what is hard to tell) is ignored.

    Splits are those of ImageSets/Segmentation (trainval only where train and val are missing); without it all is train.
    Where SegmentationObject is there, the splits have boxes, labels and masks of the objects too: an object's class is
    what most of its pixels are in SegmentationClass, its box what surrounds its pixels.

    Raises:
        DataError: A file is missing or cannot be read, a value has no class, or an object no pixel with one.
    """
    if not (path / "SegmentationClass").is_dir() or not (path / "JPEGImages").is_dir():
        raise DataError(f"{path} lacks JPEGImages or SegmentationClass; expected {LOOKS_FOR}")
    notes: list[str] = []
    splits = _listed(path, notes)
    meaning = _meaning(path, [pair.mask for pairs in splits.values() for pair in pairs])
    if not (path / "SegmentationObject").is_dir():
        return mask_dataset(path, splits, meaning, format="voc_masks", notes=notes)
    if meaning.classes[0] != BACKGROUND:
        raise DataError(
            f"{meaning.table.source} names '{meaning.classes[0]}' first; with objects in SegmentationObject value 0 is "
            f"the background: expected '{BACKGROUND}' first"
        )
    filed, turns = lie_as_filed(pair for pairs in splits.values() for pair in pairs)
    made = {split: _with_objects(path, pairs, meaning.table, filed) for split, pairs in splits.items()}
    said = tuple(dict.fromkeys((*notes, *meaning.notes, *turns)))
    return Dataset(path.name, made, meaning.classes[1:], "voc_masks", str(path), said, meaning.classes)


def _meaning(path: Path, files: list[Path]) -> Meaning:
    legend = find_legend([path, path / "SegmentationClass"])
    if legend is not None:
        return understand(files, legend)
    note = f"{IGNORE}, the border of objects, is no class: its pixels are ignored"
    return Meaning(number_table(len(CLASSES) + 1, source="Pascal VOC")[0], (BACKGROUND, *CLASSES), (note,))


def _listed(path: Path, notes: list[str]) -> dict[str, list[Pair]]:
    """Return images and masks by the lists of their splits."""
    images, masks = image_files(path / "JPEGImages"), image_files(path / "SegmentationClass")
    lists = split_lists(path / "ImageSets" / "Segmentation", notes)
    if not lists:
        stems = {mask.stem for mask in masks}
        if lone := [image for image in images if image.stem not in stems]:
            notes.append(
                f"{counted(len(lone), 'image')} without a mask left out, and no list in ImageSets/Segmentation"
            )
        if not masks:
            raise DataError(f"{path / 'SegmentationClass'} holds no masks")
        kept = [image for image in images if image.stem in stems]
        return {"train": matched(path / "JPEGImages", path / "SegmentationClass", kept, masks)[0]}
    splits: dict[str, list[Pair]] = {}
    for split in (split for split in SPLITS if split in lists):
        pairs, without = _pairs(lists[split], by_stem(images), by_stem(masks))
        if without and (pairs or split != "test"):
            raise DataError(f"{lists[split]}, {without[0]}, but there is no SegmentationClass/ mask of that name")
        if pairs:
            splits[split] = pairs
        else:
            notes.append(f"split '{split}' ({counted(len(without), 'image')}) has no masks: left out")
    if not splits:
        raise DataError(f"the lists in {path / 'ImageSets' / 'Segmentation'} name no images with masks")
    return splits


def _pairs(file: Path, images: dict[str, list[Path]], masks: dict[str, list[Path]]) -> tuple[list[Pair], list[str]]:
    """Return the pairs that a list names, and the lines of images without a mask."""
    pairs, without, seen = [], [], set()
    for line, text in enumerate(read_text(file).splitlines(), 1):
        if not (name := text.strip()):
            continue
        if len(images.get(name, [])) != 1:
            many = "several images" if name in images else "no image"
            raise DataError(f"{file}, line {line} names {name}, and JPEGImages/ has {many} of that name")
        if name in seen:
            raise DataError(f"{file}, line {line} names {name}, which stands further up already")
        seen.add(name)
        of_name = masks.get(name, [])
        if len(of_name) > 1:
            both = " and ".join(map(str, of_name))
            raise DataError(f"{file}, line {line} names {name}, which has {len(of_name)} masks: {both}; remove one")
        if of_name:
            pairs.append(Pair(images[name][0], of_name[0]))
        else:
            without.append(f"line {line} names {name}")
    return pairs, without


def _with_objects(path: Path, pairs: list[Pair], table: ValueTable, filed: bool) -> Split:
    files = [path / "SegmentationObject" / pair.mask.name for pair in pairs]
    if missing := [file for file in files if not file.is_file()]:
        raise DataError(f"there is no {missing[0]} ({counted(len(missing), 'mask')} of objects missing)")
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda pair, file: _objects(pair, file, table, filed), pairs, files))
    plain = mask_split(pairs, table, filed)
    targets: dict[str, Any] = {
        "boxes": [torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) for _, _, boxes in found],
        "labels": [torch.tensor(labels, dtype=torch.int64) for _, labels, _ in found],
        "crowd": [torch.zeros(len(labels), dtype=torch.bool) for _, labels, _ in found],
        "mask": plain.targets["mask"],
        "masks": InstanceFiles(files, [values for values, _, _ in found], [pair.image for pair in pairs], filed),
    }
    return Split(plain.images, targets)


def _objects(pair: Pair, file: Path, table: ValueTable, filed: bool) -> tuple[list[int], list[int], list[list[float]]]:
    """Return value, label (without the background) and box of each object of an image."""
    raw = read_raw(file)
    if raw.colored:
        raise DataError(f"{file} is in colour; expected numbers of objects, or a palette")
    numbers = as_image(raw.values, pair.image, str(file), filed=filed)
    ids = as_image(table.ids(read_raw(pair.mask), str(pair.mask)), pair.image, str(pair.mask), filed=filed)
    labels, boxes = [], []
    values = [value for value in np.unique(numbers).tolist() if value not in (0, IGNORE)]
    windows = ndimage.find_objects(numbers)
    for value in values:
        rows, columns = windows[value - 1]
        kinds = np.bincount(ids[rows, columns][numbers[rows, columns] == value], minlength=IGNORE + 1)[1:IGNORE]
        if not kinds.any():
            raise DataError(f"{file}: object {value} lies where {pair.mask} has no class")
        labels.append(int(kinds.argmax()))
        boxes.append([float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)])
    return values, labels, boxes
