"""Boxes that another program found, as COCO results, judged like those of a model of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelry.data.dataset import Dataset, Split
from pixelry.data.findings import listed
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
        path: A JSON list of "image_id", "category_id", "bbox" (left, top, width, height) and "score". Of data that was
            read from COCO, ids are those of its file. Of other data category 1 is the first class, and an image's id
            its file's name, with or without the suffix, or the number by which it is named. Entries may have a
            "category_name", which then counts and not the id; where all have one, images are looked for by name
            first, as `predict` writes them, else by id first; all of a file are found in one way.
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
    found = _read(path, images, dataset.classes)
    evaluator = DetectEvaluator(dataset.classes)
    evaluator.take(found, {**framed.targets, "index": torch.arange(len(images))})
    return evaluator.findings(framed)


def _read(path: Path, images: Split, classes: Sequence[str]) -> Tensor:
    """Return the boxes of each image, surest first, (N, most, 6) float64: xyxy, score, label, -1 for none."""
    try:
        entries: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as COCO results: {error}") from None
    if not isinstance(entries, list):
        raise DataError(f"{path} holds no list of results, but {type(entries).__name__}")
    place, labels = _places(images, entries), _labels(images, classes)
    rows: list[list[list[float]]] = [[] for _ in range(len(images))]
    for number, entry in enumerate(entries):
        image, row = _entry(path, number, entry, place, labels, classes)
        rows[image].append(row)
    most = max(1, *(len(row) for row in rows))
    found = torch.zeros(len(rows), most, 6, dtype=torch.float64)
    found[..., 5] = -1
    for boxes, into in zip(rows, found, strict=True):
        into[: len(boxes)] = torch.tensor(sorted(boxes, key=lambda box: -box[4]), dtype=torch.float64).view(-1, 6)
    return found


def _places(images: Split, entries: Sequence[Any]) -> dict[str, int]:
    """Return the place of each image by what the results call it: its name, or the id in the file it came from."""
    by_name = _by_text((key, i) for i in range(len(images)) for key in _names(images.name(i)))
    if images.origin is None:
        return by_name
    by_id = _by_text((key, i) for i, key in enumerate(images.origin.image_ids))
    given = [entry for entry in entries if isinstance(entry, dict)]
    ways = (by_name, by_id) if all("category_name" in entry for entry in given) else (by_id, by_name)
    # One way for all: a number may be the id of one image and the name of another.
    return next((way for way in ways if all(str(entry.get("image_id")) in way for entry in given)), ways[0])


def _labels(images: Split, classes: Sequence[str]) -> dict[str, int]:
    """Return the label by the id of its category; without ids of its own the first class is 1."""
    if images.origin is None:
        return {str(label + 1): label for label in range(len(classes))}
    return _by_text(images.origin.category_ids.items())


def _names(name: str) -> set[str]:
    path = Path(name)
    return {name, path.name, path.stem, *([str(int(path.stem))] if path.stem.isdecimal() else [])}


def _by_text(pairs: Iterable[tuple[int | str, int]]) -> dict[str, int]:
    """Return numbers by keys as text, AMBIGUOUS where a key is there twice."""
    found: dict[str, int] = {}
    for key, number in pairs:
        found[str(key)] = AMBIGUOUS if str(key) in found else number
    return found


def _entry(
    path: Path, number: int, entry: Any, place: dict[str, int], labels: dict[str, int], classes: Sequence[str]
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
    if name is None and labels.get(str(category), AMBIGUOUS) == AMBIGUOUS:
        own = list(labels)
        which = f"1 to {len(own)}" if own == [str(k) for k in range(1, len(own) + 1)] else f"one of {listed(own)}"
        raise DataError(f"{where}: category_id is {category!r}; expected {which}, or a category_name")
    if name is not None and name not in classes:
        raise DataError(f"{where}: category_name is '{name}'; the data has {', '.join(classes)}")
    label = classes.index(name) if name is not None else labels[str(category)]
    if not all(map(torch.isfinite, torch.tensor([left, top, width, height, score]))):
        raise DataError(f"{where}: a number is not finite: {entry['bbox']}, {score}")
    return place[str(image)], [left, top, left + width, top + height, score, float(label)]
