"""Write COCO: annotations/instances_train.json with the images in train/, and so for each split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelry.data.writers.base import Item, Splits

# Of a width that is the difference of two edges: finer than float32 at any size of image.
DECIMALS = 9


def image_folder(split: str) -> str:
    """Return where the images of a split lie."""
    return split


def losses(splits: Splits, classes: Sequence[str]) -> list[str]:
    """Return nothing: COCO holds all that a data set for detection has."""
    return []


def write(folder: Path, splits: Splits, classes: Sequence[str]) -> None:
    """Write a file for each split; ids count from 1."""
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes, 1)]
    (folder / "annotations").mkdir()
    for split, items in splits.items():
        annotations: list[dict[str, Any]] = []
        for image_id, item in enumerate(items, 1):
            annotations += _objects(item, image_id, len(annotations) + 1)
        images = [
            {"id": number, "file_name": Path(item.file).name, "width": item.width, "height": item.height}
            for number, item in enumerate(items, 1)
        ]
        content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content), "utf-8")


def _objects(item: Item, image_id: int, first: int) -> list[dict[str, Any]]:
    objects = zip(item.boxes, item.labels, item.crowd, strict=True)
    return [
        {
            "id": number,
            "image_id": image_id,
            "category_id": label + 1,
            "bbox": [left, top, (width := round(right - left, DECIMALS)), (height := round(bottom - top, DECIMALS))],
            "area": max(0.0, width) * max(0.0, height),
            "iscrowd": int(crowd),
            "segmentation": [],
        }
        for number, ((left, top, right, bottom), label, crowd) in enumerate(objects, first)
    ]
