"""Write COCO: annotations/instances_train.json with the images in train/, and so for each split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from natsort import natsorted

from pixelry.data.findings import listed
from pixelry.data.writers.base import DECIMALS, Ids, Item, Splits, box_area

Id = int | str


def image_folder(split: str) -> str:
    """Return where the images of a split lie."""
    return split


def losses(splits: Splits, classes: Sequence[str], ids: Ids) -> list[str]:
    """Return what changes in COCO's terms: the order of classes, where ids that are kept give another."""
    first = _category_ids(next(name for name in ("train", "val", "test") if name in splits), len(classes), ids)
    order = [classes[first.index(key)] for key in natsorted(first)]
    if order == list(classes):
        return []
    return [f"COCO's order of classes is that of their ids: {listed(order)}"]


def write(folder: Path, splits: Splits, classes: Sequence[str], ids: Ids) -> None:
    """Write a file for each split; images and categories keep the ids that they have, others count from 1."""
    (folder / "annotations").mkdir()
    for split, items in splits.items():
        category_ids = _category_ids(split, len(classes), ids)
        free = _free(item.image_id for item in items)
        image_ids = [next(free) if item.image_id is None else item.image_id for item in items]
        annotations: list[dict[str, Any]] = []
        for image_id, item in zip(image_ids, items, strict=True):
            annotations += _objects(item, image_id, category_ids, len(annotations) + 1)
        images = [
            {"id": image_id, "file_name": Path(item.file).name, "width": item.width, "height": item.height}
            for image_id, item in zip(image_ids, items, strict=True)
        ]
        categories = [
            {"id": key, "name": name, "supercategory": ""} for key, name in zip(category_ids, classes, strict=True)
        ]
        content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content), "utf-8")


def _category_ids(split: str, classes: int, ids: Ids) -> list[Id]:
    """Return the id of each class: the split's own, else that of another split, else the next free number."""
    found: dict[int, Id] = {}
    for table in (ids.get(split, {}), *ids.values()):
        for key, label in table.items():
            # Of several ids of a class the first; what another split means by an id may be taken here.
            if label not in found and key not in found.values():
                found[label] = key
    free = _free(found.values())
    return [found[label] if label in found else next(free) for label in range(classes)]


def _free(taken: Iterable[Id | None]) -> Iterator[int]:
    """Yield numbers from 1 that no id is."""
    used = set(taken)
    return (number for number in count(1) if number not in used)


def _objects(item: Item, image_id: Id, category_ids: Sequence[Id], first: int) -> list[dict[str, Any]]:
    outlines = item.outlines or [[]] * len(item.boxes)
    objects = zip(item.boxes, item.labels, item.crowd, item.areas, outlines, strict=True)
    return [
        {
            "id": number,
            "image_id": image_id,
            "category_id": category_ids[label],
            "bbox": [box[0], box[1], round(box[2] - box[0], DECIMALS), round(box[3] - box[1], DECIMALS)],
            "area": box_area(box) if area is None else area,
            "iscrowd": int(crowd),
            "segmentation": outline,
        }
        for number, (box, label, crowd, area, outline) in enumerate(objects, first)
    ]
