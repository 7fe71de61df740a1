"""Write YOLO: data.yaml, images/train/ and labels/train/, and so for each split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from pixelry.data.writers.base import Ids, Item, Splits, crowd_lost, origin_lost


def image_folder(split: str) -> str:
    """Return where the images of a split lie."""
    return f"images/{split}"


def losses(splits: Splits, classes: Sequence[str], ids: Ids) -> list[str]:
    """Return what YOLO does not hold: marks for crowds, ids and areas."""
    return [*crowd_lost(splits, "YOLO"), *origin_lost(splits, ids, "YOLO")]


def write(folder: Path, splits: Splits, classes: Sequence[str], ids: Ids) -> None:
    """Write a text file for each image, also for one without objects, and data.yaml."""
    for split, items in splits.items():
        (folder / "labels" / split).mkdir(parents=True)
        for item in items:
            (folder / "labels" / split / f"{Path(item.file).stem}.txt").write_text(_lines(item), "utf-8")
    content = {**{split: image_folder(split) for split in splits}, "names": dict(enumerate(classes))}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


def _lines(item: Item) -> str:
    lines = []
    for (left, top, right, bottom), label in zip(item.boxes, item.labels, strict=True):
        across, down = (left + right) / 2 / item.width, (top + bottom) / 2 / item.height
        width, height = (right - left) / item.width, (bottom - top) / item.height
        lines.append(" ".join([str(label), *(f"{value:.15g}" for value in (across, down, width, height))]) + "\n")
    return "".join(lines)
