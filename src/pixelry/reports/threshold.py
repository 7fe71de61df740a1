"""What a threshold on two-class scores makes of them, at every threshold that a reader may choose."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.reports.findings import ThresholdChooser

STEPS = 200  # thresholds 0, 0.005, ... 1
STATIC = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SIDE = 200  # of the plots, in units of the drawing


def counts_above(chooser: ThresholdChooser) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return true and false positives at each threshold: how many images score at least as much, (201,) each."""
    scores, positive = np.asarray(chooser.scores, np.float64), np.asarray(chooser.positive, bool)
    # A score of 0.3 as float32 is not below the threshold 0.3.
    thresholds = np.linspace(0, 1, STEPS + 1) - 1e-6
    hits, alarms = (np.sort(scores[part]) for part in (positive, ~positive))
    true = len(hits) - np.searchsorted(hits, thresholds)
    false = len(alarms) - np.searchsorted(alarms, thresholds)
    return true.astype(np.int64), false.astype(np.int64)


def rates(true: int, false: int, positives: int, negatives: int) -> dict[str, float | None]:
    """Return precision, recall, false positive rate, F1 and accuracy; None for what divides by nothing."""

    def share(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    return {
        "precision": share(true, true + false),
        "recall": share(true, positives),
        "false positive rate": share(false, negatives),
        "F1": share(2 * true, true + false + positives),
        "accuracy": share(true + negatives - false, positives + negatives),
    }


def threshold_data(chooser: ThresholdChooser) -> dict[str, Any]:
    """Return what the template needs of a chooser.

    Returns:
        "json" for the script; "roc" and "pr", the curves as points of an SVG polyline; "rows" of the table that a page
        without script shows: threshold, then the rates and the counts.
    """
    true, false = counts_above(chooser)
    positives = int(np.asarray(chooser.positive, bool).sum())
    negatives = len(chooser.scores) - positives
    places = [round(threshold * STEPS) for threshold in STATIC]
    rows = [
        (
            f"{place / STEPS:g}",
            rates(int(true[place]), int(false[place]), positives, negatives),
            true[place],
            false[place],
        )
        for place in places
    ]
    data = {
        "true": true.tolist(), "false": false.tolist(), "positives": positives, "negatives": negatives, "steps": STEPS,
    }  # fmt: skip
    return {
        "json": json.dumps(data, separators=(",", ":")),
        "roc": _points(np.append(false, 0) / max(1, negatives), np.append(true, 0) / max(1, positives)),
        "pr": _points(true / max(1, positives), _precision(true, false)),
        "prevalence": positives / len(chooser.scores),
        "rows": rows,
        "positives": positives,
        "negatives": negatives,
        "steps": STEPS,
        "start": round(chooser.threshold * STEPS),
        "side": SIDE,
    }


def _precision(true: NDArray[np.int64], false: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the precision at each threshold; where nothing is above it, that of the last threshold before."""
    precision = true / np.maximum(1, true + false)
    filled = np.nonzero(true + false)[0]
    precision[filled[-1] + 1 :] = precision[filled[-1]]
    return precision.astype(np.float64)


def _points(x: NDArray[Any], y: NDArray[Any]) -> str:
    return " ".join(f"{SIDE * a:.1f},{SIDE * (1 - b):.1f}" for a, b in zip(x, y, strict=True))
