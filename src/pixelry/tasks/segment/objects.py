"""What an evaluation of found objects says: COCO's figures of masks and of boxes, the worst pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
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
from pixelry.pixels import contact_sheet
from pixelry.tasks.base import Evaluator, Findings, Picture, Table
from pixelry.tasks.detect.matching import evaluate_entries

Size = tuple[int, int]
# Found objects (n, ...) of one picture, its size and that at which the network saw it, to boxes (n, 4) and masks.
Place = Callable[[Tensor, Size, Size], tuple[Tensor, NDArray[np.bool_]]]

WORST = 6
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
        """Take objects (B, most, 6 + 28 * 28), and of the batch "image", "masks", "labels", "crowd" and "index"."""
        seen = (int(batch["image"].shape[-2]), int(batch["image"].shape[-1]))
        rows = zip(batch["index"].tolist(), output.cpu(), batch["masks"], batch["labels"], batch["crowd"], strict=True)
        found: list[dict[str, Any]] = []
        true: list[dict[str, Any]] = []
        for index, objects, masks, labels, crowd in rows:
            kept = objects[objects[:, 5] >= 0]
            _, pixels = self.place(kept, (int(masks.shape[-2]), int(masks.shape[-1])), seen)
            for run, row in zip(_runs(pixels), kept, strict=True):
                found.append({"image_id": index, "category_id": int(row[5]), "score": float(row[4]), **run})
            for run, label, many in zip(_runs(masks.cpu().numpy()), labels, crowd, strict=True):
                true.append({"image_id": index, "category_id": int(label), **run, "iscrowd": int(many)})
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
            pictures=(self._worst(split, found, true),),
            protocol=(
                "COCO's protocol by pycocotools, of masks (mask_map) and of the boxes around them (map): at most 100 "
                "objects in an image; those marked as crowd are not judged."
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

    def _worst(self, split: Split, found: list[dict[str, Any]], true: list[dict[str, Any]]) -> Picture:
        """Draw the pictures whose objects are covered worst: true ones on the left, found ones on the right."""
        order = sorted(dim_zero_cat(self.indices).tolist())
        sure = [entry for entry in found if entry["score"] >= self.confidence]
        parts = {name: _by_image(entries, len(order)) for name, entries in (("true", true), ("found", sure))}
        faults = [abs(len(real) - len(seen)) for real, seen in zip(parts["true"], parts["found"], strict=True)]
        cells, texts = [], []
        for i in np.argsort(-np.asarray(faults), kind="stable")[:WORST]:
            image = as_picture(split.images[order[i]])
            for name, entries in parts.items():
                runs = tuple(entry["segmentation"] for entry in entries[i])
                masks = decode(runs) if runs else np.zeros((0, *image.shape[:2]), dtype=np.bool_)
                cells.append(draw_objects(image, _nearest(masks, (int(image.shape[0]), int(image.shape[1])))))
                texts.append(f"{split.name(order[i])[-22:]}: {len(runs)} {name}")
        note = f"Where the number of objects (of at least {self.confidence:.0%}) is most wrong."
        return Picture("Worst pictures", contact_sheet(cells, labels=texts, columns=2, cell=320), note)


def _runs(masks: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return the part of COCO's entries that says where objects are, of masks (n, H, W)."""
    from pycocotools import mask

    runs = encode(np.asarray(masks, dtype=np.bool_)) if len(masks) else ()
    return [
        {"segmentation": run, "area": int(mask.area(run)), "bbox": mask.toBbox(run).tolist(), "iscrowd": 0}
        for run in runs
    ]


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


def _nearest(masks: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """Return masks (n, H, W) at another size."""
    rows, columns = ((np.arange(new) * old) // new for new, old in zip(size, masks.shape[1:], strict=True))
    return masks[:, rows[:, None], columns[None]]
