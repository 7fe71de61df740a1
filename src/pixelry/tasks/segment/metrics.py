"""What an evaluation of a segmenter says: overlap by class, boundaries, confusions, the worst pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.data.masks import IGNORE
from pixelry.data.sheet import as_picture
from pixelry.draw import confusion_figure, draw_mask, magnified, name_regions
from pixelry.errors import UsageError
from pixelry.pixels import to_color
from pixelry.reports.findings import Gallery
from pixelry.reports.images import at_most
from pixelry.tasks.base import Evaluator, Findings, Picture, Table
from pixelry.tasks.segment.boundaries import TOLERANCE, boundary_scores

WORST = 6
CELL = 480  # pixels of the longer side of a picture in a report


@dataclass(frozen=True)
class _Seen:
    """A picture that went badly: which one, the share of its labelled pixels that is wrong, and both masks (H, W)."""

    index: int
    wrong: float
    found: NDArray[np.uint8]
    truth: NDArray[np.uint8]


class SegmentEvaluator(Evaluator):
    """Mean intersection over union over a whole split, and what else a segmenter is judged by.

    All figures but that of the boundaries come from one confusion matrix of pixels; those whose truth is 255 are left
    out. For boundaries they take the class of the nearest judged pixel (`boundary_scores`).

    Args:
        classes: K class names, at most 255.
        boundaries: Whether boundaries are judged, which takes a search for each picture.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    matrix: Tensor
    boundary: Tensor
    indices: list[Tensor]

    def __init__(self, classes: tuple[str, ...], *, boundaries: bool = True, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.classes, self.boundaries = classes, boundaries
        # Rows the truth, columns what was found.
        self.add_state("matrix", default=torch.zeros(len(classes), len(classes)).long(), dist_reduce_fx="sum")
        # The sum of the pictures' boundary scores, and how many pictures have one.
        self.add_state("boundary", default=torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("indices", default=[], dist_reduce_fx="cat")
        self._worst: list[_Seen] = []

    def reset(self) -> None:
        """Forget what was gathered."""
        super().reset()
        self._worst = []

    def update(self, output: Tensor | Sequence[Tensor], batch: Batch) -> None:
        """Take class ids (B, H, W), with a batch's "mask" of the same size; as lists, pictures may differ in size.

        Raises:
            UsageError: A found mask has another size than the true one, or ids beyond the classes.
        """
        # A process that has no pictures of its own must have something to join with.
        self.indices.append(batch["index"].long())
        for found, truth, index in zip(output, batch["mask"], batch["index"].tolist(), strict=True):
            self._judge(found, truth, index)

    def take(self, ids: Tensor | NDArray[Any], truth: Tensor | NDArray[Any], index: int) -> None:
        """Take one picture of any size.

        Args:
            ids: (H, W) class ids that were found.
            truth: (H, W) true ones, 255 where a pixel is not judged.
            index: Of the picture in the split.

        Raises:
            UsageError: The sizes differ, or there are ids beyond the classes.
        """
        found, true = torch.as_tensor(ids), torch.as_tensor(truth)
        self.update([found], {"mask": [true], "index": torch.tensor([index], device=found.device)})

    def _judge(self, found: Tensor, truth: Tensor, index: int) -> None:
        count = len(self.classes)
        if found.shape != truth.shape or found.ndim != 2:
            raise UsageError(
                f"picture {index}: the found mask has shape {tuple(found.shape)}, the true one {tuple(truth.shape)}; "
                "expected the same (H, W)"
            )
        found, truth = found.long(), truth.to(found.device).long()
        judged = truth != IGNORE
        real, seen = truth[judged], found[judged]
        for what, ids in (("true", real), ("found", seen)):
            if len(ids) and not (int(ids.min()) >= 0 and int(ids.max()) < count):
                raise UsageError(
                    f"picture {index}: {what} class ids go from {int(ids.min())} to {int(ids.max())}; with {count} "
                    f"classes they go from 0 to {count - 1}"
                )
        matrix = torch.bincount(count * real + seen, minlength=count * count).view(count, count)
        self.matrix += matrix.to(self.matrix.device)
        wrong = 1 - int(matrix.diagonal().sum()) / max(1, len(real))
        worst = len(real) > 0 and (len(self._worst) < WORST or wrong > self._worst[-1].wrong)
        if not worst and not self.boundaries:
            return
        arrays = [ids.clamp(0, IGNORE).cpu().numpy().astype(np.uint8) for ids in (found, truth)]
        if worst:
            self._worst = sorted([*self._worst, _Seen(index, wrong, *arrays)], key=lambda s: (-s.wrong, s.index))
            del self._worst[WORST:]
        if self.boundaries:
            scores = boundary_scores(arrays[0], arrays[1], count, ignore=IGNORE)
            if not np.isnan(scores).all():
                self.boundary += torch.tensor([np.nanmean(scores), 1], dtype=torch.float64, device=self.boundary.device)

    def compute(self) -> dict[str, float]:
        """Return the figures by name, all but `images` in [0, 1].

        `mean_iou` and `mean_dice` are means over the classes that the truth or what was found has, `mean_accuracy`
        over those that the truth has, `pixel_accuracy` is the share of right pixels, `boundary_f` the mean over
        pictures of the mean over their classes of the boundaries' F; where no picture has a boundary, it is left out.
        """
        matrix = self.matrix.cpu().double().numpy()
        iou, dice, accuracy = self._by_class(matrix)
        figures = {
            "mean_iou": _mean(iou),
            "mean_dice": _mean(dice),
            "pixel_accuracy": float(np.trace(matrix) / max(1.0, matrix.sum())),
            "mean_accuracy": _mean(accuracy),
        }
        total, count = self.boundary.tolist()
        if count:
            figures["boundary_f"] = total / count
        return {**figures, "images": len(dim_zero_cat(self.indices))}

    @staticmethod
    def _by_class(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return intersection over union, Dice and accuracy of each class, (K,), NaN for one that is not there."""
        right, real, seen = np.diag(matrix), matrix.sum(1), matrix.sum(0)
        return (
            np.divide(right, real + seen - right, out=np.full(len(right), np.nan), where=real + seen > 0),
            np.divide(2 * right, real + seen, out=np.full(len(right), np.nan), where=real + seen > 0),
            np.divide(right, real, out=np.full(len(right), np.nan), where=real > 0),
        )

    def findings(self, split: Split) -> Findings:
        """Return figures, figures by class, confusions, and the pictures that went worst.

        The split's pictures must show what the masks did, at any size.
        """
        matrix = self.matrix.cpu().numpy()
        share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        confusion = Picture(
            "Confusion",
            confusion_figure(share.round().astype(np.int64), self.classes),
            "Of the pixels of each true class (rows), the percentage that was taken for each class.",
        )
        metrics = self.compute()
        return Findings(
            metrics=metrics,
            tables=(self._class_table(matrix.astype(np.float64)),),
            pictures=(confusion, *self._worst_pictures(split)),
            protocol=self._protocol("boundary_f" in metrics),
        )

    def _protocol(self, boundaries: bool) -> str:
        here = int(((self.matrix.sum(0) + self.matrix.sum(1)) > 0).sum())
        text = (
            "Overlaps are of one confusion matrix over the pixels of all images; those that are not labelled "
            f"({IGNORE}) do not count. Classes that neither the truth nor the model shows are left out of means "
            f"({here} of {len(self.classes)} are there)."
        )
        if boundaries:
            text += (
                f" Boundary F: within {TOLERANCE:.2%} of the diagonal, mean over each image's classes, then over "
                "images (Csurka et al. 2013); pixels that are not labelled take the class of the nearest labelled one, "
                "in the truth and in what was found alike."
            )
        return text

    def _class_table(self, matrix: NDArray[np.float64]) -> Table:
        by_class = np.stack(self._by_class(matrix), 1)
        share = matrix.sum(1) / max(1.0, matrix.sum())
        rows = [
            (name, f"{part:.2%}", *("" if np.isnan(v) else round(float(v), 4) for v in values))
            for name, part, values in zip(self.classes, share, by_class, strict=True)
        ]
        note = "Share of the labelled pixels; accuracy is the part of a class's true pixels that was found."
        return Table("Per class", ("class", "share", "iou", "dice", "accuracy"), tuple(rows), note)

    def _worst_pictures(self, split: Split) -> list[Gallery]:
        """Draw the pictures with the most wrong pixels: the picture, the truth, and what was found."""
        cells: list[tuple[NDArray[np.uint8], str]] = []
        for seen in self._worst:
            image = _at_size(as_picture(split.images[seen.index]), seen.truth.shape)
            scale = max(1, CELL // max(image.shape[:2]))
            image, name = magnified(image, scale), split.name(seen.index)
            cells.append((at_most(to_color(image) if image.ndim == 2 else image, CELL), name))
            for ids, text in ((seen.truth, "true"), (seen.found, f"found, {seen.wrong:.0%} wrong")):
                large = magnified(ids, scale)
                drawn = name_regions(draw_mask(image, large, self.classes), large, self.classes)
                cells.append((at_most(drawn, CELL), f"{name}: {text}"))
        if not cells:
            return []
        note = "The pictures with the largest share of wrong pixels."
        return [Gallery("Worst pictures", tuple(cells), note, columns=3)]


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of what is a number, 0 where nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else 0.0


def _at_size(image: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    if image.shape[:2] == size:
        return image
    return np.asarray(PILImage.fromarray(image).resize((size[1], size[0]), PILImage.Resampling.BILINEAR))
