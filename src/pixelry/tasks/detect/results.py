"""Boxes that another program found, as COCO results, judged like those of a model of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelry.data.dataset import Dataset, Split
from pixelry.data.letterbox import letterboxed
from pixelry.errors import DataError
from pixelry.tasks.base import Findings
from pixelry.tasks.detect.metrics import DetectEvaluator

# Frames in which pictures are drawn in a report; the judgement is in the pictures' own pixels.
FRAME = (480, 640)
AMBIGUOUS = -1


def judge_results(path: Path, dataset: Dataset, split: str) -> Findings:
    """Judge COCO results against a split.

    Args:
        path: A JSON list of "image_id", "category_name" or "category_id" (1 for the first class), "bbox" (left, top,
            width, height) and "score". An image's id is its file's name, with or without the suffix, or the number by
            which it is named, as COCO's are. Ids that a COCO file gave its categories are not kept: data of that format
            wants names.
        dataset: With boxes.
        split: Name of the split.

    Raises:
        DataError: The file cannot be read, or an entry is not of this data; the entry is named.
    """
    images = dataset[split]
    if "boxes" not in images.targets:
        raise DataError(f"{dataset.name} has no boxes to judge {path} by")
    # Of the pictures only those that went worst are drawn, and so read.
    framed = letterboxed(images, frame=FRAME, channels=dataset.channels, memory=0)
    found = _read(path, images, dataset.classes, named=dataset.format == "coco")
    evaluator = DetectEvaluator(dataset.classes)
    evaluator.take(found, {**framed.targets, "index": torch.arange(len(images))})
    return evaluator.findings(framed)


def _read(path: Path, images: Split, classes: Sequence[str], *, named: bool) -> Tensor:
    """Return the boxes of each image, surest first, (N, most, 6) float64: xyxy, score, label, -1 for none."""
    try:
        entries: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as COCO results: {error}") from None
    if not isinstance(entries, list):
        raise DataError(f"{path} holds no list of results, but {type(entries).__name__}")
    place: dict[str, int] = {}
    for i in range(len(images)):
        name = Path(images.name(i))
        for key in {images.name(i), name.name, name.stem, *([str(int(name.stem))] if name.stem.isdecimal() else [])}:
            place[key] = AMBIGUOUS if key in place else i
    rows: list[list[list[float]]] = [[] for _ in range(len(images))]
    for number, entry in enumerate(entries):
        if named and isinstance(entry, dict) and "category_name" not in entry:
            raise DataError(f"{path}, result {number} has no category_name, which data of the format COCO wants")
        image, row = _entry(path, number, entry, place, classes)
        rows[image].append(row)
    most = max(1, *(len(row) for row in rows))
    found = torch.zeros(len(rows), most, 6, dtype=torch.float64)
    found[..., 5] = -1
    for boxes, into in zip(rows, found, strict=True):
        into[: len(boxes)] = torch.tensor(sorted(boxes, key=lambda box: -box[4]), dtype=torch.float64).view(-1, 6)
    return found


def _entry(
    path: Path, number: int, entry: Any, place: dict[str, int], classes: Sequence[str]
) -> tuple[int, list[float]]:
    where = f"{path}, result {number}"
    try:
        image, (left, top, width, height), score = entry["image_id"], map(float, entry["bbox"]), float(entry["score"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: expected image_id, category_id, bbox of four numbers and score; {error!r}") from None
    if str(image) not in place:
        raise DataError(f"{where}: no image of this split is called '{image}'")
    if place[str(image)] == AMBIGUOUS:
        raise DataError(f"{where}: several images of this split are called '{image}'; give the file with its folder")
    name, category = entry.get("category_name"), entry.get("category_id")
    if name is None and (not isinstance(category, int) or not 1 <= category <= len(classes)):
        raise DataError(f"{where}: category_id is {category!r}; expected 1 to {len(classes)}, or a category_name")
    if name is not None and name not in classes:
        raise DataError(f"{where}: category_name is '{name}'; the data has {', '.join(classes)}")
    label = classes.index(name) if name is not None else int(category) - 1
    if not all(map(torch.isfinite, torch.tensor([left, top, width, height, score]))):
        raise DataError(f"{where}: a number is not finite: {entry['bbox']}, {score}")
    return place[str(image)], [left, top, left + width, top + height, score, float(label)]
