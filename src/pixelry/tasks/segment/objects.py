"""What an evaluation of found objects says: COCO's figures of masks and of boxes, the worst pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.data.sheet import as_picture
from pixelry.draw import draw_objects
from pixelry.instances import decode, encode
from pixelry.reports.findings import Gallery
from pixelry.reports.images import at_most
from pixelry.tasks.base import Evaluator, Findings, Table
from pixelry.tasks.detect.matching import MATCH, evaluate_entries

Size = tuple[int, int]
Runs = tuple[Mapping[str, Any], ...]  # COCO's run lengths, as of `encode`
# Found objects (n, ...) of one picture, its size and that at which the network saw it, to boxes (n, 4) and n masks.
Place = Callable[[Tensor, Size, Size], tuple[Tensor, Runs]]

WORST = 6
CELL = 480  # pixels of the longer side of a picture in a report
# COCO's figures by their place in pycocotools.
FIGURES = {"map": 0, "map50": 1, "map75": 2, "map_small": 3, "map_medium": 4, "map_large": 5, "recall": 8}


class InstanceEvaluator(Evaluator):
    """Mean average precision of masks as COCO defines it, and of their boxes.

    Args:
        classes: K class names.
        place: Brings what the network found into the pixels of the picture itself.
        confidence: Score from which on objects are drawn and counted as wrong.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    found: list[Tensor]
    true: list[Tensor]
    indices: list[Tensor]

    def __init__(self, classes: tuple[str, ...], place: Place, *, confidence: float = 0.5, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.classes, self.place, self.confidence = classes, place, confidence
        # Entries of COCO as lines of JSON, in bytes: tensors are what processes exchange.
        for state in ("found", "true", "indices"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take objects (B, most, 6 + 28 * 28), and of the batch "image", "masks", "labels", "crowd" and "index".

        Where there is an "area", the areas that a file states of the objects (NaN for none), they say what is small.
        """
        seen = (int(batch["image"].shape[-2]), int(batch["image"].shape[-1]))
        stated = batch["area"] if "area" in batch else [torch.full((len(row),), torch.nan) for row in batch["labels"]]
        truth = zip(batch["masks"], batch["labels"], batch["crowd"], stated, strict=True)
        rows = zip(batch["index"].tolist(), output.cpu(), truth, strict=True)
        found: list[dict[str, Any]] = []
        true: list[dict[str, Any]] = []
        for index, objects, (masks, labels, crowd, areas) in rows:
            kept = objects[objects[:, 5] >= 0]
            _, runs = self.place(kept, (int(masks.shape[-2]), int(masks.shape[-1])), seen)
            for facts, row in zip(_facts(runs), kept, strict=True):
                found.append({"image_id": index, "category_id": int(row[5]), "score": float(row[4]), **facts})
            runs = encode(np.asarray(masks.cpu(), dtype=np.bool_))
            for facts, label, many, area in zip(_facts(runs), labels, crowd, areas.tolist(), strict=True):
                own = facts if math.isnan(area) else {**facts, "area": area}
                true.append({"image_id": index, "category_id": int(label), **own, "iscrowd": int(many)})
        device = batch["index"].device
        self.found.append(_bytes(found).to(device))
        self.true.append(_bytes(true).to(device))
        self.indices.append(batch["index"])

    def compute(self) -> dict[str, float]:
        """Return the figures by name, all but `images` in [0, 1].

        `mask_map` (mean over classes and IoU thresholds 0.5, 0.55, ... 0.95), `mask_map50`, `mask_map75`, by size,
        `mask_recall`, and of the boxes around the masks `map`, `map50`, ...; sizes without objects are left out.
        """
        found, true, count = self._gathered()
        return {**self._figures(found, true, count), "images": count}

    def _figures(self, found: list[dict[str, Any]], true: list[dict[str, Any]], count: int) -> dict[str, float]:
        figures = {"mask_map": 0.0, "mask_map50": 0.0}
        for kind, prefix in (("segm", "mask_"), ("bbox", "")):
            judged = evaluate_entries(found, true, pictures=count, classes=len(self.classes), kind=kind)
            known = {name: float(judged.stats[place]) for name, place in FIGURES.items()}
            figures |= {f"{prefix}{name}": value for name, value in known.items() if value >= 0}
        return figures

    def _gathered(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
        """Return the entries of found and true objects, by place of their picture, and the number of pictures."""
        order = sorted(dim_zero_cat(self.indices).tolist())
        place = {index: number for number, index in enumerate(order)}
        entries = [_entries(dim_zero_cat(state)) for state in (self.found, self.true)]
        for entry in (*entries[0], *entries[1]):
            entry["image_id"] = place[entry["image_id"]]
        return entries[0], entries[1], len(order)

    def findings(self, split: Split) -> Findings:
        """Return figures, figures by class, and the pictures that went worst."""
        found, true, count = self._gathered()
        judged = evaluate_entries(found, true, pictures=count, classes=len(self.classes), kind="segm")
        return Findings(
            metrics={**self._figures(found, true, count), "images": count},
            tables=(self._class_table(judged, true),),
            pictures=(self._worst(split, judged, found, true),),
            protocol=(
                "COCO's protocol by pycocotools, of masks (mask_map) and of the boxes around them (map): at most 100 "
                "objects in an image; those marked as crowd are not judged. An object's size is the area that the data "
                "states, else its pixels."
            ),
        )

    def _class_table(self, judged: Any, true: list[dict[str, Any]]) -> Table:
        precision, recall = judged.eval["precision"][:, :, :, 0, -1], judged.eval["recall"][:, :, 0, -1]
        rows = []
        for k, name in enumerate(self.classes):
            objects = sum(entry["category_id"] == k and not entry["iscrowd"] for entry in true)
            values = (precision[:, :, k], precision[0, :, k], recall[:, k])
            rows.append((name, objects, *(round(float(v.mean()), 4) if objects else "" for v in values)))
        return Table("Per class", ("class", "objects", "mask_map", "mask_map50", "mask_recall"), tuple(rows))

    def _worst(self, split: Split, judged: Any, found: list[dict[str, Any]], true: list[dict[str, Any]]) -> Gallery:
        """Draw the pictures with the most misses and false objects: true ones on the left, found ones on the right."""
        order = sorted(dim_zero_cat(self.indices).tolist())
        real = [entry for entry in true if not entry["iscrowd"]]
        sure = [entry for entry in found if entry["score"] >= self.confidence]
        parts = {name: _by_image(entries, len(order)) for name, entries in (("true", real), ("found", sure))}
        missed, false = _faults(judged, len(order), self.confidence)
        said = {"true": missed, "found": false}
        cells = []
        for i in np.argsort(-(missed + false), kind="stable")[:WORST]:
            image = as_picture(split.images[order[i]])
            size = (int(image.shape[0]), int(image.shape[1]))
            for name, entries in parts.items():
                drawn = draw_objects(image, [_nearest(entry["segmentation"], size) for entry in entries[i]])
                wrong = f", {said[name][i]} {'missed' if name == 'true' else 'wrong'}" if said[name][i] else ""
                cells.append((at_most(drawn, CELL), f"{split.name(order[i])}: {len(entries[i])} {name}{wrong}"))
        note = (
            f"The pictures with the most missed objects and wrong ones (of at least {self.confidence:.0%}): an object "
            f"is found by one of its class whose mask has an IoU of {MATCH:g} with its own."
        )
        return Gallery("Worst pictures", tuple(cells), note, columns=2)


def _facts(runs: Runs) -> list[dict[str, Any]]:
    """Return the part of COCO's entries that says where objects are."""
    from pycocotools import mask

    return [
        {"segmentation": run, "area": int(mask.area(run)), "bbox": mask.toBbox(run).tolist(), "iscrowd": 0}
        for run in runs
    ]


def _faults(judged: Any, pictures: int, confidence: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many objects are missed in each picture, and how many found ones are none, both (pictures,).

    They are read off pycocotools' own matches at its first threshold, an IoU of 0.5. It lets the surest choose first:
    those below the confidence take nothing from those above.
    """
    missed, false = np.zeros(pictures, dtype=np.int64), np.zeros(pictures, dtype=np.int64)
    everything = judged.params.areaRng[0]
    for entry in judged.evalImgs:
        if entry is None or entry["aRng"] != everything:
            continue
        sure = np.asarray(entry["dtScores"]) >= confidence
        matched, ignored = entry["dtMatches"][0] > 0, entry["dtIgnore"][0].astype(bool)
        place = entry["image_id"]
        missed[place] += int((entry["gtIgnore"] == 0).sum()) - int((sure & matched & ~ignored).sum())
        false[place] += int((sure & ~matched & ~ignored).sum())
    return missed, false


def _bytes(entries: list[dict[str, Any]]) -> Tensor:
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if text else torch.zeros(0, dtype=torch.uint8)


def _entries(content: Tensor) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bytes(content.cpu().numpy()).decode().splitlines()]


def _by_image(entries: list[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    rows: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for entry in entries:
        rows[entry["image_id"]].append(entry)
    return rows


def _nearest(run: Mapping[str, Any], size: Size) -> NDArray[np.bool_]:
    """Return the mask (H, W) of run lengths at another size."""
    mask: NDArray[np.bool_] = decode((run,))[0]
    rows, columns = ((np.arange(new) * old) // new for new, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], columns[None]]
