"""Two classes, of which one is the positive one: rank figures, and what each threshold on its probability gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from torch import Tensor

from pixelry.tasks.base import Table

GOAL = 0.95  # recall and precision that the table looks for


def decide(probabilities: Tensor, positive: int, threshold: float | None) -> Tensor:
    """Return the answers (N,) of probabilities (N, K): the most probable, or of two classes by a threshold.

    Args:
        probabilities: (N, K).
        positive: Index of the positive class.
        threshold: From which probability of it on the answer is that class; None for the most probable.
    """
    if threshold is None:
        return probabilities.argmax(1)
    return torch.where(probabilities[:, positive] >= threshold, positive, 1 - positive)


def one_vs_rest_auroc(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of each class against all others.

    It is the share of pairs of an image of the class and another one in which the first has the higher score, ties
    counted half (Hanley and McNeil 1982).

    Args:
        scores: (N, K), higher for images that rather are of a class.
        labels: (N,) class indices.

    Returns:
        (K,) in [0, 1]; NaN for a class of which there is no image, or nothing but.
    """
    ranks = rankdata(scores, axis=0)
    member = labels[:, None] == np.arange(scores.shape[1])
    positives = member.sum(0)
    negatives = len(labels) - positives
    pairs = np.where((positives > 0) & (negatives > 0), positives * negatives, np.nan)
    above = (ranks * member).sum(0) - positives * (positives + 1) / 2
    return np.asarray(above / pairs)


def ranking_figures(scores: NDArray[Any], positive: NDArray[np.bool_]) -> dict[str, float]:
    """Return `auroc` and `average_precision`; nothing where all images are of one class.

    Args:
        scores: (N,), higher for images that rather are of the positive class.
        positive: (N,), whether an image is of it.
    """
    if positive.all() or not positive.any():
        return {}
    auroc = one_vs_rest_auroc(np.stack([-scores, scores], 1), positive.astype(np.int64))[1]
    return {"auroc": float(auroc), "average_precision": float(average_precision_score(positive, scores))}


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What every threshold that makes a difference gives, highest first, (T,) each.

    Attributes:
        values: Images with at least this probability are called positive.
        true: Images of the positive class among these.
        false: Other images among these.
        positives: All images of the positive class.
        negatives: All others.
    """

    values: NDArray[np.float64]
    true: NDArray[np.int64]
    false: NDArray[np.int64]
    positives: int
    negatives: int

    @classmethod
    def of(cls, scores: NDArray[Any], positive: NDArray[np.bool_]) -> Thresholds:
        """Count at each distinct probability; `scores` (N,) in [0, 1], `positive` (N,), with images of both classes."""
        distinct = np.unique(scores.astype(np.float64))
        members, others = np.sort(scores[positive]), np.sort(scores[~positive])
        true = len(members) - np.searchsorted(members, distinct)
        false = len(others) - np.searchsorted(others, distinct)
        # Half way to the next lower probability, so that rounding the threshold moves no image over it.
        below = np.concatenate([[0.0], distinct[:-1]])
        values = (distinct + below) / 2
        return cls(values[::-1], true[::-1], false[::-1], len(members), len(others))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the positive class that is called so (true positive rate)."""
        return self.true / self.positives

    @property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """Share of the other class that is called positive."""
        return self.false / self.negatives

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of what is called positive that is."""
        return self.true / (self.true + self.false)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall."""
        return 2 * self.true / (self.true + self.false + self.positives)


def _first_recall(at: Thresholds) -> int | None:
    """Return the highest threshold whose recall reaches the goal."""
    return int(np.argmax(at.recall >= GOAL))


def _best_precise(at: Thresholds) -> int | None:
    """Return the threshold of the most recall among those whose precision reaches the goal; None where none does."""
    precise = np.flatnonzero(at.precision >= GOAL)
    return int(precise[at.recall[precise].argmax()]) if len(precise) else None


def _best_f1(at: Thresholds) -> int | None:
    return int(at.f1.argmax())


def _best_youden(at: Thresholds) -> int | None:
    """Return the threshold of the largest recall less false positive rate (Youden 1950)."""
    return int((at.recall - at.false_positive_rate).argmax())


GOALS: tuple[tuple[str, Callable[[Thresholds], int | None]], ...] = (
    (f"recall at least {GOAL:.0%}", _first_recall),
    (f"precision at least {GOAL:.0%}", _best_precise),
    ("best F1", _best_f1),
    ("best Youden index", _best_youden),
)


def operating_points(scores: NDArray[Any], positive: NDArray[np.bool_], *, name: str, threshold: float) -> Table:
    """Return a table of thresholds by what one wants of them, the one in use first.

    Args:
        scores: (N,), probability of the positive class.
        positive: (N,), whether an image is of it; there are images of both classes.
        name: Of the positive class.
        threshold: The one in use.
    """
    at = Thresholds.of(scores, positive)
    called = scores >= threshold
    true, false = int((called & positive).sum()), int((called & ~positive).sum())
    rows: list[tuple[Any, ...]] = [(f"in use: {threshold:g}", *_row(at, threshold, true, false))]
    for goal, choose in GOALS:
        place = choose(at)
        if place is None:
            rows.append((goal, "not reached", "", "", "", ""))
        else:
            rows.append((goal, *_row(at, float(at.values[place]), int(at.true[place]), int(at.false[place]))))
    columns = ("goal", "threshold", "precision", "recall", "false positive rate", "F1")
    note = (
        f"From the threshold on, an image is called '{name}'. The thresholds were chosen on these very images: on "
        "others they give a little less. Use one by --set threshold=0.3."
    )
    return Table("Operating points", columns, tuple(rows), note)


def _row(at: Thresholds, threshold: float, true: int, false: int) -> tuple[Any, ...]:
    precision = round(true / (true + false), 4) if true + false else ""
    f1 = 2 * true / (true + false + at.positives)
    return (
        f"{threshold:.6g}",
        precision,
        round(true / at.positives, 4),
        round(false / at.negatives, 4),
        round(f1, 4),
    )
