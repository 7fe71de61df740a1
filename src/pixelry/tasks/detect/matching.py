"""Found boxes against true ones: COCO's figures by pycocotools, and who has found whom."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATCH = 0.5  # intersection over union from which on a box has found an object, in curves and confusions


@dataclass(frozen=True)
class Seen:
    """Boxes of one picture, in its own pixels: found ones, the surest first, or true ones.

    Attributes:
        xyxy: (n, 4).
        labels: (n,).
        scores: (n,) of found ones; of true ones 1.
        crowd: (n,) bool, true ones that are not judged.
        areas: (n,) of true objects, by which they are small or large; None for those of their boxes.
    """

    xyxy: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64] | None = None


def above(seen: Seen, score: float) -> Seen:
    """Return the boxes that score so much, or more."""
    kept = seen.scores >= score
    return Seen(seen.xyxy[kept], seen.labels[kept], seen.scores[kept], seen.crowd[kept])


def evaluate_boxes(found: list[Seen], true: list[Seen], classes: int) -> Any:
    """Return pycocotools' COCOeval of found and true boxes, one entry a picture, with its figures computed."""
    truth: list[dict[str, Any]] = []
    for i, t in enumerate(true):
        areas = np.prod(t.xyxy[:, 2:] - t.xyxy[:, :2], 1) if t.areas is None else t.areas
        for box, label, crowd, area in zip(_xywh(t.xyxy), t.labels, t.crowd, areas, strict=True):
            entry = {"image_id": i, "category_id": int(label), "bbox": box}
            truth.append({**entry, "area": float(area), "iscrowd": int(crowd)})
    results: list[dict[str, Any]] = []
    for i, f in enumerate(found):
        for box, label, score in zip(_xywh(f.xyxy), f.labels, f.scores, strict=True):
            entry = {"image_id": i, "category_id": int(label), "bbox": box}
            results.append({**entry, "area": box[2] * box[3], "iscrowd": 0, "score": float(score)})
    return evaluate_entries(results, truth, pictures=len(true), classes=classes, kind="bbox")


def evaluate_entries(
    results: list[dict[str, Any]], truth: list[dict[str, Any]], *, pictures: int, classes: int, kind: str
) -> Any:
    """Return pycocotools' COCOeval, with its figures computed.

    Args:
        results: COCO's entries with "image_id" (from 0), "category_id" (from 0), "area", "iscrowd", "score", and "bbox"
            or "segmentation" (run lengths).
        truth: Such entries, without "score".
        pictures: How many there are.
        classes: K.
        kind: "bbox" or "segm".
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": i} for i in range(pictures)]
    for entry in (*truth, *results):
        if "segmentation" in entry:
            height, width = entry["segmentation"]["size"]
            images[entry["image_id"]] |= {"height": height, "width": width}
    categories = [{"id": k, "name": str(k)} for k in range(classes)]
    truth, results = ([{**entry, "id": i} for i, entry in enumerate(entries, 1)] for entries in (truth, results))
    # pycocotools prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        real, seen = COCO(), COCO()
        real.dataset = {"images": images, "annotations": truth, "categories": categories}
        seen.dataset = {"images": images, "annotations": results, "categories": categories}
        real.createIndex()
        seen.createIndex()
        judged = COCOeval(real, seen, kind)
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged


def _xywh(xyxy: NDArray[np.float64]) -> list[list[float]]:
    rows: list[list[float]] = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1).tolist()
    return rows


def ious(one: NDArray[Any], other: NDArray[Any], *, crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the intersection over union of boxes (n, 4) and (m, 4) xyxy, each with each, (n, m).

    Of the second ones that are a crowd it is the share of the first that lies in it, as pycocotools has it.
    """
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), 2)
    own, others = (np.prod(boxes[:, 2:] - boxes[:, :2], 1) for boxes in (one, other))
    union = np.where(crowd[None], own[:, None], own[:, None] + others[None] - common)
    shares: NDArray[np.float64] = common / np.maximum(union, 1e-12)
    return shares


def match(found: Seen, true: Seen, *, any_class: bool = False) -> NDArray[np.int64]:
    """Return which object each found box has found, (n,): -1 for none, -2 for one that is not judged.

    The surest box chooses first, the object that it covers best, from an IoU of 0.5 on; each object is found once.
    """
    shares = ious(found.xyxy, true.xyxy, crowd=true.crowd)
    if not any_class:
        shares = np.where(found.labels[:, None] == true.labels[None], shares, 0)
    matched = np.full(len(found.xyxy), -1, dtype=np.int64)
    free = ~true.crowd
    for i in range(len(matched)):
        open_to = np.where(free, shares[i], 0)
        if open_to.size and open_to.max() >= MATCH:
            matched[i] = open_to.argmax()
            free[matched[i]] = False
        elif (shares[i][true.crowd] >= MATCH).any():
            matched[i] = -2
    return matched


def confusions(found: list[Seen], true: list[Seen], classes: int, score: float) -> NDArray[np.int64]:
    """Return counts (K + 1, K + 1): rows true classes, columns found ones, the last of each the background."""
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for f, t in zip(found, true, strict=True):
        sure = above(f, score)
        matched = match(sure, t, any_class=True)
        for label, place in zip(sure.labels, matched, strict=True):
            if place > -2:
                matrix[t.labels[place] if place >= 0 else classes, label] += 1
        missed = np.setdiff1d(np.flatnonzero(~t.crowd), matched)
        matrix[:classes, classes] += np.bincount(t.labels[missed], minlength=classes)
    return matrix


def f1_scores(found: list[Seen], true: list[Seen], label: int, scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return F1 of one class at an IoU of 0.5, where boxes count from each of some scores on."""
    right, wrong, objects = [], [], 0
    for f, t in zip(found, true, strict=True):
        here = f.labels == label
        mine = Seen(f.xyxy[here], f.labels[here], f.scores[here], f.crowd[here])
        matched = match(mine, t)
        right += mine.scores[matched >= 0].tolist()
        wrong += mine.scores[matched == -1].tolist()
        objects += int(((t.labels == label) & ~t.crowd).sum())
    hits, misses = (np.array([(np.asarray(s) >= least).sum() for least in scores]) for s in (right, wrong))
    f1: NDArray[np.float64] = 2 * hits / np.maximum(hits + misses + objects, 1)
    return f1
