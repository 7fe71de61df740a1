"""What an evaluation of a classifier says: figures with their uncertainty, tables, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.draw import confusion_figure, reliability_figure
from pixelry.logistic.calibration import fit_temperature
from pixelry.pixels import contact_sheet
from pixelry.tasks.base import Evaluator, Findings, Picture, Table

ECE_BINS = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"
MISTAKES = 32


class ClassifyEvaluator(Evaluator):
    """Accuracy with its 95 % interval, top-5, per-class figures, confusion, calibration, worst mistakes.

    Args:
        classes: K class names.
        temperature: Logits are divided by it.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]
    indices: list[Tensor]

    def __init__(self, classes: tuple[str, ...], temperature: float = 1.0, *, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.classes, self.temperature = classes, temperature
        for state in ("logits", "labels", "indices"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take logits (B, K) and the batch's "label" and "index", both (B,)."""
        self.logits.append(output.float())
        self.labels.append(batch["label"])
        self.indices.append(batch["index"])

    def compute(self) -> dict[str, float]:
        """Return the figures by name, all but `nll_nats` and `images` in [0, 1].

        `accuracy` with the bounds `accuracy_low` and `accuracy_high` of its 95 % Wilson interval, `top5` (from six
        classes on), `ece` (expected calibration error, 15 bins), `nll_nats` (mean cross-entropy), `f1` (macro).
        """
        probabilities, labels = self._gathered()[:2]
        predicted = probabilities.argmax(1)
        correct = int((predicted == labels).sum())
        interval = binomtest(correct, len(labels)).proportion_ci(0.95, method="wilson")
        figures = {
            "accuracy": correct / len(labels),
            "accuracy_low": float(interval.low),
            "accuracy_high": float(interval.high),
            "f1": float(self._per_class(predicted, labels, average="macro")[2]),
            "ece": float(multiclass_calibration_error(probabilities, labels, len(self.classes), n_bins=ECE_BINS)),
            "nll_nats": float(F.nll_loss(probabilities.clamp_min(1e-12).log(), labels)),
        }
        if len(self.classes) > 5:
            best = probabilities.topk(5, dim=1).indices
            figures["top5"] = float((best == labels[:, None]).any(1).double().mean())
        return {**figures, "images": len(labels)}

    def findings(self, split: Split) -> Findings:
        """Return figures, the per-class and confusion tables, and pictures."""
        probabilities, labels, indices = self._gathered()
        predicted = probabilities.argmax(1)
        matrix = confusion_matrix(labels, predicted, labels=range(len(self.classes)))
        pictures = [
            Picture(
                "Confusion",
                confusion_figure(matrix, self.classes),
                "Rows are the true classes, columns what the model said; the diagonal is right.",
            ),
            Picture(
                "Reliability",
                reliability_figure(probabilities.max(1).values.numpy(), (predicted == labels).numpy(), ECE_BINS),
                "Of the images to which the model gives a probability, how many are right: on the diagonal it can be "
                "taken at its word, below it it is too sure. The bars show how many images stand behind a point.",
            ),
        ]
        mistakes = self._mistakes(split, probabilities, predicted, labels, indices)
        return Findings(
            metrics=self.compute(),
            tables=(self._class_table(predicted, labels), *self._confusions(matrix)),
            pictures=(*pictures, *mistakes),
            protocol=self._protocol(),
        )

    def _protocol(self) -> str:
        """Return how the figures came about."""
        return (
            f"each image once, the most probable class counts; probabilities at temperature {self.temperature:.3g}; "
            f"accuracy_low and accuracy_high: 95 % Wilson interval; f1: mean over the classes; ece: {ECE_BINS} bins"
        )

    def _gathered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return probabilities (N, K), labels (N,) and indices (N,), in the order of the split."""
        # A list before processes are joined, one tensor after: torchmetrics' cat states are both.
        logits, labels, indices = (dim_zero_cat(state).cpu() for state in (self.logits, self.labels, self.indices))
        order = indices.argsort()
        return (logits[order] / self.temperature).softmax(1), labels[order], indices[order]

    def best_temperature(self) -> float:
        """Return the temperature at which the gathered labels are most probable (Guo et al. 2017, section 4.2)."""
        return fit_temperature(dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.labels).cpu())

    def _per_class(self, predicted: Tensor, labels: Tensor, average: str | None = None) -> Any:
        return precision_recall_fscore_support(
            labels, predicted, labels=range(len(self.classes)), average=average, zero_division=0
        )

    def _class_table(self, predicted: Tensor, labels: Tensor) -> Table:
        columns = self._per_class(predicted, labels)
        rows = zip(self.classes, *(np.round(c, 4).tolist() for c in columns), strict=True)
        return Table("Per class", ("class", "precision", "recall", "f1", "images"), tuple(rows))

    def _confusions(self, matrix: np.ndarray) -> tuple[Table, ...]:
        """The pairs that are confused most: what a reader looks for in a large matrix."""
        off = matrix - np.diag(np.diag(matrix))
        order = np.argsort(-off, axis=None, kind="stable")[:10]
        rows = tuple(
            (self.classes[i], self.classes[j], int(off[i, j]))
            for i, j in zip(*np.unravel_index(order, off.shape), strict=True)
            if off[i, j]
        )
        return (Table("Most confused", ("true class", "taken for", "images"), rows),) if rows else ()

    def _mistakes(
        self, split: Split, probabilities: Tensor, predicted: Tensor, labels: Tensor, indices: Tensor
    ) -> tuple[Picture, ...]:
        wrong = (predicted != labels).nonzero().flatten()
        if not len(wrong):
            return ()
        confidence = probabilities[wrong].max(1).values
        worst = wrong[torch.argsort(confidence, descending=True, stable=True)[:MISTAKES]]
        images = [split.images[int(indices[i])].permute(1, 2, 0).numpy() for i in worst]
        captions = [
            f"{self.classes[labels[i]]}\nas {self.classes[predicted[i]]} {probabilities[i].max():.0%}" for i in worst
        ]
        return (
            Picture(
                "Most confident mistakes",
                contact_sheet(images, labels=captions),
                f"{len(worst)} of {len(wrong)} mistakes: the true class, what it was taken for, how surely.",
            ),
        )
