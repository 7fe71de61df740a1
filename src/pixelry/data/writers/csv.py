"""Write a list of boxes: annotations.csv, with the images in images/train/ and so for each split."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pixelry.data.writers.base import Ids, Splits, classes_lost, crowd_lost, origin_lost, plain

COLUMNS = ("image", "label", "xmin", "ymin", "xmax", "ymax", "split")


def image_folder(split: str) -> str:
    """Return where the images of a split lie."""
    return f"images/{split}"


def losses(splits: Splits, classes: Sequence[str], ids: Ids) -> list[str]:
    """Return what a list of boxes does not hold."""
    return [*classes_lost(splits, classes, "CSV"), *crowd_lost(splits, "CSV"), *origin_lost(splits, ids, "CSV")]


def write(folder: Path, splits: Splits, classes: Sequence[str], ids: Ids) -> None:
    """Write a row for each object, and one without a box for an image that has none."""
    with (folder / "annotations.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for split, items in splits.items():
            for item in items:
                for box, label in zip(item.boxes, item.labels, strict=True):
                    writer.writerow([item.file, classes[label], *map(plain, box), split])
                if not item.boxes:
                    writer.writerow([item.file, *[""] * 5, split])
