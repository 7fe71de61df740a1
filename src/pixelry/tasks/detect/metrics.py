"""What an evaluation of a detector says: COCO's figures by pycocotools, curves, confusions, the worst pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.data.sheet import as_picture
from pixelry.draw import confusion_figure, curves_figure, draw_boxes, magnified
from pixelry.reports.findings import Gallery
from pixelry.reports.images import at_most
from pixelry.tasks.base import Evaluator, Findings, Picture, Table
from pixelry.tasks.detect.matching import MATCH, Seen, above, confusions, evaluate_boxes, f1_scores, match

WORST = 6
CELL = 480  # pixels of the longer side of a picture in a report
# COCO's twelve figures in pycocotools' order; those of one and ten boxes an image are rarely asked for.
FIGURES = {
    "map": 0, "map50": 1, "map75": 2, "map_small": 3, "map_medium": 4, "map_large": 5, "recall": 8, "recall_small": 9,
    "recall_medium": 10, "recall_large": 11,
}  # fmt: skip


class DetectEvaluator(Evaluator):
    """Mean average precision as COCO defines it, and what else a detector is judged by.

    Args:
        classes: K class names.
        confidence: Score from which on boxes count in the confusion matrix and in pictures.
        overlap: Of the suppression of overlapping boxes, for the protocol; None where it is another program's affair.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    found: list[Tensor]
    true: list[Tensor]
    indices: list[Tensor]

    def __init__(
        self, classes: tuple[str, ...], *, confidence: float = 0.25, overlap: float | None = None, sync: bool = False
    ) -> None:
        super().__init__(sync_on_compute=sync)
        self.classes, self.confidence, self.overlap = classes, confidence, overlap
        for state in ("found", "true", "indices"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take boxes (B, most, 6) in pixels of the frames (xyxy, score, label, -1 for none) and the batch's own."""
        place, shape = batch["place"].to(output)[:, None], batch["shape"].to(output)
        boxes = (output[..., :4] - place[..., 2:].repeat(1, 1, 2)) / place[..., :2].repeat(1, 1, 2)
        boxes = torch.minimum(boxes.clamp_min(0), shape.flip(1).repeat(1, 2)[:, None])
        self.take(torch.cat([boxes, output[..., 4:]], -1), batch)

    def take(self, found: Tensor, batch: Batch) -> None:
        """Take boxes (B, most, 6) in the pictures' own pixels."""
        self.found.append(found.double())
        rows = [batch["own_boxes"], *(batch[name][..., None] for name in ("labels", "crowd", "area"))]
        self.true.append(torch.cat([row.double() for row in rows], -1))
        self.indices.append(batch["index"])

    def compute(self) -> dict[str, float]:
        """Return the figures by name, all but `images` in [0, 1].

        `map` (mean over classes and over IoU thresholds 0.5, 0.55, ... 0.95), `map50`, `map75`, `map_small`,
        `map_medium`, `map_large` (objects below 32x32, below 96x96 and of more pixels), `recall` (mean over the
        thresholds, of at most 100 boxes an image) and the same by size; sizes of which there are no objects are left
        out.
        """
        return self._figures(evaluate_boxes(*self._gathered()[:2], len(self.classes)))

    def _figures(self, judged: Any) -> dict[str, float]:
        figures = {name: float(judged.stats[place]) for name, place in FIGURES.items() if judged.stats[place] >= 0}
        return {"map": 0.0, "map50": 0.0, **figures, "images": len(dim_zero_cat(self.indices))}

    def findings(self, split: Split) -> Findings:
        """Return figures, figures by class, curves, confusions, and the pictures that went worst."""
        found, true, indices = self._gathered()
        judged = evaluate_boxes(found, true, len(self.classes))
        matrix = confusions(found, true, len(self.classes), self.confidence)
        names = (*self.classes, "background")
        pictures = [
            *self._curves(judged, found, true),
            Picture(
                "Confusion",
                confusion_figure(matrix, names),
                f"Boxes of at least {self.confidence:.0%}, each with the object that it covers best, from an IoU of "
                f"{MATCH:g} on. The last row: boxes where there is no object; the last column: objects without a box.",
            ),
            self._worst(split, found, true, indices),
        ]
        return Findings(
            metrics=self._figures(judged),
            tables=(self._class_table(judged, true),),
            pictures=tuple(pictures),
            protocol=self._protocol(),
        )

    def _protocol(self) -> str:
        alone = "" if self.overlap is None else f", of which none has an IoU above {self.overlap:g} with a surer one"
        return (
            f"COCO's protocol by pycocotools: at most 100 boxes of a class in an image{alone}; objects marked as crowd "
            "or difficult are not judged."
        )

    def _gathered(self) -> tuple[list[Seen], list[Seen], NDArray[np.int64]]:
        """Return found and true boxes of each picture, in its own pixels, and the pictures' indices in the split."""
        found, true, indices = (dim_zero_cat(s).cpu().double().numpy() for s in (self.found, self.true, self.indices))
        order = np.argsort(indices, kind="stable")
        return [_found(found[i]) for i in order], [_true(true[i]) for i in order], indices[order].astype(np.int64)

    def _class_table(self, judged: Any, true: list[Seen]) -> Table:
        precision, recall = judged.eval["precision"][:, :, :, 0, -1], judged.eval["recall"][:, :, 0, -1]
        rows = []
        for k, name in enumerate(self.classes):
            objects = sum(int(((t.labels == k) & ~t.crowd).sum()) for t in true)
            values = (precision[:, :, k], precision[0, :, k], recall[:, k])
            rows.append((name, objects, *(round(float(v.mean()), 4) if objects else "" for v in values)))
        return Table("Per class", ("class", "objects", "map", "map50", "recall"), tuple(rows))

    def _curves(self, judged: Any, found: list[Seen], true: list[Seen]) -> list[Picture]:
        steps = judged.params.recThrs
        precision = judged.eval["precision"][0, :, :, 0, -1]
        present = [k for k in range(len(self.classes)) if (precision[:, k] >= 0).all()]
        curves = {self.classes[k]: (steps.tolist(), precision[:, k].tolist()) for k in present}
        scores = np.linspace(0.02, 0.98, 49)
        if not present:
            return []
        values = [f1_scores(found, true, k, scores) for k in present]
        f1 = {self.classes[k]: (scores.tolist(), f.tolist()) for k, f in zip(present, values, strict=True)}
        mean = np.mean(values, 0)
        best = float(scores[mean.argmax()])
        return [
            Picture(
                "Precision and recall",
                curves_figure(curves, xlabel="recall", ylabel="precision"),
                f"At an IoU of {MATCH:g}: how many of the boxes are right, where so many of the objects are found.",
            ),
            Picture(
                "F1 by score",
                curves_figure(f1, xlabel="least score", ylabel="F1"),
                f"At an IoU of {MATCH:g}. The mean over classes is largest, {mean.max():.3f}, at {best:.2f}.",
            ),
        ]

    def _worst(self, split: Split, found: list[Seen], true: list[Seen], indices: NDArray[np.int64]) -> Gallery:
        """Draw the pictures with the most misses and false boxes: true boxes on the left, found ones on the right."""
        shown = [above(f, self.confidence) for f in found]
        faults = []
        for f, t in zip(shown, true, strict=True):
            matched = match(f, t)
            faults.append(int((matched == -1).sum()) + int((~t.crowd).sum()) - len(set(matched[matched >= 0].tolist())))
        worst = np.argsort(-np.asarray(faults), kind="stable")[:WORST]
        cells = []
        for i in worst:
            image = as_picture(split.images[int(indices[i])])
            place = split.targets["place"][int(indices[i])].double().numpy()
            for seen, word in ((true[i], "true"), (shown[i], "found")):
                framed = seen.xyxy * np.tile(place[:2], 2) + np.tile(place[2:], 2)
                scale = max(1, CELL // max(image.shape[:2]))
                drawn = draw_boxes(
                    magnified(image, scale), framed * scale, seen.labels, [self.classes[k] for k in seen.labels]
                )
                cells.append((at_most(drawn, CELL), f"{split.name(int(indices[i]))}: {word}"))
        note = f"The pictures with the most missed objects and wrong boxes (of at least {self.confidence:.0%})."
        return Gallery("Worst pictures", tuple(cells), note, columns=2)


def _found(rows: NDArray[Any]) -> Seen:
    rows = rows[rows[:, 5] >= 0]
    return Seen(rows[:, :4], rows[:, 5].astype(np.int64), rows[:, 4], np.zeros(len(rows), bool))


def _true(rows: NDArray[Any]) -> Seen:
    rows = rows[rows[:, 4] >= 0]
    return Seen(rows[:, :4], rows[:, 4].astype(np.int64), np.ones(len(rows)), rows[:, 5] > 0, rows[:, 6])
