"""From one format of detection to another: images are copied, annotations written anew, losses said."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.findings import counted
from pixelry.data.formats._boxes import Box
from pixelry.data.outlines import Outlines
from pixelry.data.writers import coco, csv, voc, yolo
from pixelry.data.writers.base import Ids, Item
from pixelry.errors import DataError, unknown
from pixelry.instances import encode
from pixelry.pixels import SUFFIXES, encode_image, read_header
from pixelry.pixels.header import read_orientation

WRITERS = {"coco": coco, "csv": csv, "voc": voc, "yolo": yolo}
WRITTEN = ("boxes", "labels", "crowd")
SUFFIX_OF = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "WEBP": ".webp"}
# Characters that some file system, list or address does not take in a file's name.
AWKWARD = set('<>:"/\\|?*%')


@dataclass(frozen=True)
class Conversion:
    """A conversion that is prepared: everything has been looked at, and nothing written.

    Attributes:
        dataset: What is converted.
        to: Name of the new format.
        splits: The images of each split as they will be written, in the data set's order.
        notes: What a reader of the new data should know, and what the new format cannot hold.
    """

    dataset: Dataset
    to: str
    splits: Mapping[str, list[Item]]
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write images and annotations into an empty folder.

        Files are copied as they are, byte for byte; what lies in memory is written as PNG.

        Raises:
            ImageError: An image in memory cannot be read.
            OSError: A file cannot be copied or written.
        """
        for name, items in self.splits.items():
            (folder / WRITERS[self.to].image_folder(name)).mkdir(parents=True, exist_ok=True)
            for index, item in enumerate(items):
                _save(self.dataset[name], index, folder / item.file)
        WRITERS[self.to].write(folder, self.splits, self.dataset.classes, _ids(self.dataset, self.splits))

    def describe(self) -> str:
        """Return one line: format, images and boxes by split."""
        counts = [
            f"{name} {counted(len(items), 'image')} with {counted(sum(len(i.boxes) for i in items), 'box', 'boxes')}"
            for name, items in self.splits.items()
        ]
        return f"{self.to}: {', '.join(counts)}"


def plan_conversion(dataset: Dataset, to: str) -> Conversion:
    """Prepare a conversion: name the files, read the images' sizes, and see what will be lost.

    Args:
        dataset: For detection: its splits have "boxes", "labels" and maybe "crowd".
        to: "coco", "csv", "voc" or "yolo".

    Raises:
        UsageError: There is no such format to write.
        DataError: The data set has no boxes, or a class whose name the format cannot hold.
        ImageError: An image's header cannot be read; the image is named.
    """
    if to not in WRITERS:
        raise unknown("format to write", to, WRITERS)
    notes = [f"as it was read: {note}" for note in dataset.notes]
    splits: dict[str, list[Item]] = {}
    used: set[str] = set()
    for name, split in dataset.splits.items():
        if "boxes" not in split.targets:
            raise DataError(f"{dataset.name} ({dataset.format}) has no boxes; only data for detection can be converted")
        if len(split):
            splits[name] = _items(name, split, to, used, len(dataset.classes))
        else:
            notes.append(f"split '{name}' has no images: left out")
    if not splits:
        raise DataError(f"{dataset.name} has no images to convert")
    notes += _renamed(dataset, splits) + _turned(dataset) + _unwritten(dataset, to)
    notes += WRITERS[to].losses(splits, dataset.classes, _ids(dataset, splits))
    return Conversion(dataset, to, splits, tuple(notes))


def _items(name: str, split: Split, to: str, used: set[str], classes: int) -> list[Item]:
    items, folder = [], WRITERS[to].image_folder(name)
    for index in range(len(split)):
        file, (height, width, channels) = _file(name, split, index)
        free = _free(f"{folder}/{file.stem}", used)
        boxes, labels, crowd = _objects(name, split, index, classes)
        areas, image_id = _origin(name, split, index, len(boxes))
        outlines = _outlines(name, split, index, (height, width), len(boxes)) if to == "coco" else ()
        if outlines and split.origin is None:
            # COCO's area of an object is that of its mask.
            areas = [float(area) for area in split.targets["masks"][index].flatten(1).sum(1)]
        items.append(Item(free + file.suffix, height, width, channels, boxes, labels, crowd, areas, image_id, outlines))
    return items


def _outlines(name: str, split: Split, index: int, size: tuple[int, int], objects: int) -> Sequence[Any]:
    """Return the outlines of an image's objects as they were read, or made from their masks; () without masks."""
    values = split.targets.get("masks")
    if values is None:
        return ()
    if isinstance(values, Outlines) and values.sizes[index] in (None, size):
        return values.segments[index]
    masks = values[index]
    if masks.shape != (objects, *size):
        raise DataError(
            f"{split.name(index)} of split '{name}' has masks of shape {tuple(masks.shape)}; expected "
            f"{(objects, *size)}: {objects} boxes, and the image's height and width"
        )
    return encode(masks.numpy())


def _origin(name: str, split: Split, index: int, objects: int) -> tuple[Sequence[float | None], int | str | None]:
    """Return the areas of an image's objects and its id, None of what is not known."""
    if split.origin is None:
        return [None] * objects, None
    areas = split.origin.areas[index]
    if len(areas) != objects:
        raise DataError(f"{split.name(index)} of split '{name}' has {objects} boxes and {len(areas)} areas")
    return areas, split.origin.image_ids[index]


def _ids(dataset: Dataset, splits: Iterable[str]) -> Ids:
    """Return the ids of the classes in the splits that have some."""
    return {name: origin.category_ids for name in splits if (origin := dataset[name].origin) is not None}


def _unwritten(dataset: Dataset, to: str) -> list[str]:
    """Return the note on targets beside boxes and classes: masks, captions, labels of whole images."""
    written = (*WRITTEN, "masks") if to == "coco" else WRITTEN
    more = dict.fromkeys(
        target for split in dataset.splits.values() for target in split.targets if target not in written and len(split)
    )
    what = "boxes, classes and masks of objects" if to == "coco" else "boxes and classes"
    return [f"{what} alone are written as {to}, and not: {', '.join(more)}"] if more else []


def _objects(name: str, split: Split, index: int, classes: int) -> tuple[list[Box], list[int], list[bool]]:
    """Return boxes, labels and crowd flags of an image."""
    targets: Mapping[str, Any] = split.targets
    boxes = torch.as_tensor(targets["boxes"][index], dtype=torch.float32).reshape(-1, 4)
    labels: list[int] = torch.as_tensor(targets["labels"][index]).tolist()
    crowd: list[bool] = (
        torch.as_tensor(targets["crowd"][index]).tolist() if "crowd" in targets else [False] * len(boxes)
    )
    if not len(boxes) == len(labels) == len(crowd):
        raise DataError(
            f"{split.name(index)} of split '{name}' has {len(boxes)} boxes, {len(labels)} labels and {len(crowd)} "
            "crowd flags; expected one of each for an object"
        )
    if wrong := [label for label in labels if not 0 <= label < classes]:
        raise DataError(f"{split.name(index)} of split '{name}' has label {wrong[0]}, and there are {classes} classes")
    if not bool(boxes.isfinite().all()):
        raise DataError(f"{split.name(index)} of split '{name}' has a box that is not finite: {boxes.tolist()}")
    # The fewest decimals that give the same float32 again: 12.3, not 12.300000190734863.
    edges = [[float(str(edge)) for edge in box] for box in boxes.numpy()]
    return [(left, top, right, bottom) for left, top, right, bottom in edges], labels, crowd


def _file(name: str, split: Split, index: int) -> tuple[Path, tuple[int, int, int]]:
    """Return what an image's file is to be called, and (height, width, channels) of the image."""
    images, number = split.images, f"{name}_{index:06d}"
    if not isinstance(images, FileImages):
        channels, height, width = images[index].shape
        return Path(f"{number}.png"), (height, width, channels)
    source = images.sources[index]
    header = read_header(source, name=images.name(index))
    shape = (header.height, header.width, header.channels)
    if isinstance(source, bytes):
        return Path(number + SUFFIX_OF[header.format]), shape
    suffix = source.suffix if source.suffix.lower() in SUFFIXES else source.suffix + SUFFIX_OF[header.format]
    return Path(_plain_name(source.stem) + suffix), shape


def _plain_name(stem: str) -> str:
    """Return a file's name without what lists and other systems do not take."""
    name = "".join("_" if c in AWKWARD or not c.isprintable() else c for c in stem)
    return name.strip(" .") or "_"


def _free(stem: str, used: set[str]) -> str:
    """Return a path without suffix that no other image has; case makes no difference on some file systems."""
    free, number = stem, 1
    while free.lower() in used:
        number += 1
        free = f"{stem}_{number}"
    used.add(free.lower())
    return free


def _renamed(dataset: Dataset, splits: Mapping[str, list[Item]]) -> list[str]:
    pairs = [
        (source, item.file)
        for name, items in splits.items()
        for source, item in zip(_sources(dataset[name]), items, strict=True)
        if isinstance(source, Path) and source.name != Path(item.file).name
    ]
    if not pairs:
        return []
    return [
        f"{counted(len(pairs), 'image')} renamed, for names that are plain and differ: {pairs[0][0]} is {pairs[0][1]}"
    ]


def _turned(dataset: Dataset) -> list[str]:
    sources = [source for split in dataset.splits.values() for source in _sources(split)]
    count = sum(source is not None and read_orientation(source) != 1 for source in sources)
    if not count:
        return []
    return [
        f"{counted(count, 'image')} stored turned or mirrored, as their EXIF data says: sizes and boxes are of the "
        "upright image, so a program that ignores EXIF sees the boxes in other places"
    ]


def _sources(split: Split) -> list[Path | bytes | None]:
    """Return the encoded image of each sample, None of what has none."""
    return list(split.images.sources) if isinstance(split.images, FileImages) else [None] * len(split)


def _save(split: Split, index: int, path: Path) -> None:
    source = split.images.sources[index] if isinstance(split.images, FileImages) else None
    if isinstance(source, Path):
        shutil.copyfile(source, path)
    elif source is not None:
        path.write_bytes(source)
    else:
        path.write_bytes(encode_image(split.images[index].permute(1, 2, 0).numpy(), format="PNG"))
