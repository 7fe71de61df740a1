"""What an evaluation of a classifier says: figures with their uncertainty, tables, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.draw import confusion_figure
from pixelry.logistic.calibration import fit_temperature
from pixelry.reports.findings import ThresholdChooser
from pixelry.tasks._classify_figures import calibration_pictures, wilson_interval
from pixelry.tasks._mistakes import Mistake, mistake_gallery
from pixelry.tasks._two_classes import decide, one_vs_rest_auroc, operating_points, ranking_figures
from pixelry.tasks.base import Evaluator, Findings, Picture, Table

ECE_BINS = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"


class ClassifyEvaluator(Evaluator):
    """Accuracy with its 95 % interval, top-5, per-class figures, confusion, calibration, worst mistakes.

    Args:
        classes: K class names.
        temperature: Logits are divided by it.
        positive: Of two classes the one that rank figures and the threshold are about.
        threshold: From which probability of the positive class on an answer is that class; None takes the more
            probable one.
        tta: The views that the logits are the mean of, for the protocol.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]
    indices: list[Tensor]

    def __init__(
        self,
        classes: tuple[str, ...],
        temperature: float = 1.0,
        *,
        positive: str = "",
        threshold: float | None = None,
        tta: str = "none",
        sync: bool = False,
    ) -> None:
        super().__init__(sync_on_compute=sync)
        self.classes, self.temperature = classes, temperature
        self.threshold, self.tta = threshold, tta
        self.positive = classes.index(positive) if positive else len(classes) - 1
        for state in ("logits", "labels", "indices"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take logits (B, K) and the batch's "label" and "index", both (B,)."""
        self.logits.append(output.float())
        self.labels.append(batch["label"])
        self.indices.append(batch["index"])

    def empty(self) -> ClassifyEvaluator:
        """Return an evaluator that takes the answers of several models by `join`: they come calibrated."""
        return ClassifyEvaluator(
            self.classes, positive=self.classes[self.positive], threshold=self.threshold, tta=self.tta
        )

    def join(self, other: ClassifyEvaluator, positions: NDArray[np.int64]) -> None:
        """Take the calibrated answers that another evaluator gathered on a part of a split.

        Args:
            other: Filled on the part.
            positions: (n,) of the part's images in the split.
        """
        logits, labels, indices = (dim_zero_cat(state).cpu() for state in (other.logits, other.labels, other.indices))
        calibrated = logits * (self.temperature / other.temperature)
        self.update(calibrated, {"label": labels, "index": torch.from_numpy(positions)[indices]})

    def compute(self) -> dict[str, float]:
        """Return the figures by name, all but `nll_nats` and `images` in [0, 1].

        `accuracy` with the bounds `accuracy_low` and `accuracy_high` of its 95 % Wilson interval, `balanced_accuracy`
        (mean recall of the classes that there are), `f1` (macro, of the classes that there are or that were
        predicted), `auroc` (area under the ROC curve; of more than two classes the mean of each against the rest),
        `average_precision` (of two classes), `top5` (from six classes on), `ece` (expected calibration error, 15
        bins), `nll_nats` (mean cross-entropy).
        """
        probabilities, labels = self._gathered()[:2]
        predicted = self._predicted(probabilities)
        correct = int((predicted == labels).sum())
        low, high = wilson_interval(correct, len(labels))
        figures = {
            "accuracy": correct / len(labels),
            "accuracy_low": low,
            "accuracy_high": high,
            **self._class_means(predicted, labels),
            **self._ranking(probabilities, labels),
            "ece": float(
                multiclass_calibration_error(probabilities.float(), labels, len(self.classes), n_bins=ECE_BINS)
            ),
            "nll_nats": float(F.nll_loss(probabilities.clamp_min(1e-12).log(), labels)),
        }
        if len(self.classes) > 5:
            best = probabilities.topk(5, dim=1).indices
            figures["top5"] = float((best == labels[:, None]).any(1).double().mean())
        return {**figures, "images": len(labels)}

    def _class_means(self, predicted: Tensor, labels: Tensor) -> dict[str, float]:
        """Return figures that count each class alike; a class without images says nothing, as in scikit-learn."""
        _, recall, f1, images = (np.asarray(column) for column in self._per_class(predicted, labels))
        concerned = (images > 0) | (np.bincount(predicted.numpy(), minlength=len(self.classes)) > 0)
        return {"balanced_accuracy": float(recall[images > 0].mean()), "f1": float(f1[concerned].mean())}

    def _ranking(self, probabilities: Tensor, labels: Tensor) -> dict[str, float]:
        if len(self.classes) == 2:
            return ranking_figures(self._log_odds(probabilities), (labels == self.positive).numpy())
        each = one_vs_rest_auroc(probabilities.numpy(), labels.numpy())
        return {"auroc": float(np.nanmean(each))} if np.isfinite(each).any() else {}

    def _log_odds(self, probabilities: Tensor) -> NDArray[np.float64]:
        """Return what orders images that are nearly sure: their probabilities are 1, and the odds are not infinite."""
        tiny = torch.finfo(torch.float64).tiny
        logs = probabilities.clamp_min(tiny).log()
        odds: NDArray[np.float64] = (logs[:, self.positive] - logs[:, 1 - self.positive]).numpy()
        return odds

    def _predicted(self, probabilities: Tensor) -> Tensor:
        return decide(probabilities, self.positive, self.threshold)

    def findings(self, split: Split) -> Findings:
        """Return figures, the per-class and confusion tables, and pictures."""
        probabilities, labels = self._gathered()[:2]
        predicted = self._predicted(probabilities)
        matrix = confusion_matrix(labels, predicted, labels=range(len(self.classes)))
        picture = Picture(
            "Confusion",
            confusion_figure(matrix, self.classes),
            "Rows are the true classes, columns what the model predicted; the diagonal is right.",
        )
        tables, two = (self._class_table(probabilities, predicted, labels), *self._confusions(matrix)), Findings({})
        if len(self.classes) == 2:
            two = self._two_classes(probabilities, labels)
        return Findings(
            metrics=self.compute(),
            tables=(*two.tables, *tables),
            pictures=(
                picture,
                *two.pictures,
                *calibration_pictures(probabilities.numpy(), labels.numpy(), ECE_BINS),
                *mistake_gallery(self.mistakes(), split, self.classes),
            ),
            protocol=self._protocol(),
        )

    def _protocol(self) -> str:
        """Return how the figures came about."""
        answer = "the most probable class counts"
        if self.threshold is not None:
            answer = f"from a probability of {self.threshold:g} on it is '{self.classes[self.positive]}'"
        views = "" if self.tta == "none" else f", mean probabilities over views (tta={self.tta})"
        ranks = "auroc: mean of each class against the rest"
        if len(self.classes) == 2:
            ranks = f"auroc and average_precision: of '{self.classes[self.positive]}'"
        return (
            f"each image once{views}, {answer}; probabilities at temperature {self.temperature:.3g}; "
            f"accuracy_low and accuracy_high: 95 % Wilson interval; f1: mean over the classes; {ranks}; "
            f"ece: {ECE_BINS} bins"
        )

    def _two_classes(self, probabilities: Tensor, labels: Tensor) -> Findings:
        """Return curves and operating points of the positive class; nothing where only one class has images."""
        name = self.classes[self.positive]
        scores, positive = probabilities[:, self.positive].numpy(), (labels == self.positive).numpy()
        if positive.all() or not positive.any():
            return Findings({})
        threshold = 0.5 if self.threshold is None else self.threshold
        chooser = ThresholdChooser(
            "Choose a threshold",
            scores,
            positive,
            f"From which probability on an image is called '{name}'. Predict with a threshold of yours by "
            "--set threshold=0.3.",
            positive_name=name,
            negative_name=self.classes[1 - self.positive],
            threshold=threshold,
        )
        table = operating_points(scores, positive, name=name, threshold=threshold)
        return Findings({}, (table,), (chooser,))

    def _gathered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return probabilities (N, K), labels (N,) and indices (N,), in the order of the split."""
        # A list before processes are joined, one tensor after: torchmetrics' cat states are both.
        logits, labels, indices = (dim_zero_cat(state).cpu() for state in (self.logits, self.labels, self.indices))
        order = indices.argsort()
        # In double precision: in single, many answers that are nearly sure would have the probability 1.
        return (logits[order].double() / self.temperature).softmax(1), labels[order], indices[order]

    def best_temperature(self) -> float:
        """Return the temperature at which the gathered labels are most probable (Guo et al. 2017, section 4.2)."""
        return fit_temperature(dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.labels).cpu())

    def _per_class(self, predicted: Tensor, labels: Tensor) -> Any:
        return precision_recall_fscore_support(
            labels, predicted, labels=range(len(self.classes)), average=None, zero_division=0
        )

    def _class_table(self, probabilities: Tensor, predicted: Tensor, labels: Tensor) -> Table:
        columns = [np.round(c, 4).tolist() for c in self._per_class(predicted, labels)]
        each = one_vs_rest_auroc(probabilities.numpy(), labels.numpy())
        columns.insert(3, [round(float(a), 4) if np.isfinite(a) else "" for a in each])
        rows = zip(self.classes, *columns, strict=True)
        return Table(
            "Per class",
            ("class", "precision", "recall", "f1", "auroc", "images"),
            tuple(rows),
            "auroc: of a class against the rest; precision, recall and f1: of the answers as they are given.",
        )

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

    def mistakes(self) -> list[Mistake]:
        """Return the wrong answers, the most confident first."""
        probabilities, labels, indices = self._gathered()
        predicted = self._predicted(probabilities)
        wrong = (predicted != labels).nonzero().flatten()
        confidence = probabilities[wrong, predicted[wrong]]
        order = wrong[torch.argsort(confidence, descending=True, stable=True)].tolist()
        return [
            Mistake(
                int(indices[i]),
                int(labels[i]),
                int(predicted[i]),
                float(probabilities[i, labels[i]]),
                float(probabilities[i, predicted[i]]),
            )
            for i in order
        ]
