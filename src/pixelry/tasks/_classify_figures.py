"""Figures of a classifier's report: calibration with intervals, confidence of right and wrong answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest

from pixelry.draw import ACCENT, COLORS, QUIET, new_figure
from pixelry.reports.findings import Picture

MIN_IMAGES = 20  # behind each point of a reliability diagram,
MIN_SHARE = 0.02  # and this part of all images
PALE = "#d0d7de"


@dataclass(frozen=True)
class ReliabilityPoint:
    """What stands behind a point of a reliability diagram.

    Attributes:
        confidence: Mean probability that was given.
        correct: Share that is right.
        low: Lower end of the 95 % interval of that share (Wilson 1927).
        high: Its upper end.
        images: How many images.
    """

    confidence: float
    correct: float
    low: float
    high: float
    images: int


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def reliability_points(confidence: NDArray[Any], correct: NDArray[Any], bins: int) -> list[ReliabilityPoint]:
    """Return the share that is right by the probability given, in bins that have images enough to judge by.

    Equal bins are joined with their neighbors above until each has 20 images and 2 % of all: the share of three images
    means nothing. What is left at the upper end goes into the last one.

    Args:
        confidence: (N,) probabilities of the answers.
        correct: (N,) whether they are right.
        bins: Equal bins of [0, 1] to begin with.
    """
    place = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    least = max(MIN_IMAGES, math.ceil(MIN_SHARE * len(confidence)))
    groups: list[NDArray[np.int64]] = []
    waiting = np.empty(0, np.int64)
    for k in range(bins):
        waiting = np.concatenate([waiting, np.flatnonzero(place == k)])
        if len(waiting) >= least:
            groups.append(waiting)
            waiting = np.empty(0, np.int64)
    if len(waiting):
        groups.append(np.concatenate([groups.pop(), waiting]) if groups else waiting)
    points = []
    for members in groups:
        right = int(np.count_nonzero(correct[members]))
        low, high = wilson_interval(right, len(members))
        share = right / len(members)
        points.append(ReliabilityPoint(float(confidence[members].mean()), share, low, high, len(members)))
    return points


def reliability_figure(confidence: NDArray[Any], correct: NDArray[Any], bins: int) -> Figure:
    """Draw `reliability_points` with their intervals, and behind them how the probabilities are spread.

    Args:
        confidence: (N,) probabilities of the answers.
        correct: (N,) whether they are right.
        bins: Equal bins of [0, 1] to begin with.
    """
    figure, axes = new_figure(5.0, 4.2)
    counts, edges = np.histogram(confidence, bins=np.linspace(0, 1, bins + 1))
    axes.bar(edges[:-1], counts / counts.max() / 4, width=1 / bins, align="edge", color=PALE, label="spread of images")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1, label="perfectly calibrated")
    points = reliability_points(confidence, correct, bins)
    x, y = (np.array([getattr(point, name) for point in points]) for name in ("confidence", "correct"))
    low, high = (np.array([getattr(point, name) for point in points]) for name in ("low", "high"))
    axes.vlines(x, low, high, color=ACCENT, linewidth=1.5, label="95 % interval")
    axes.plot(x, y, "o-", color=ACCENT, markersize=4, linewidth=1, label="this model")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability given", ylabel="share that is right")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def confidence_figure(confidence: NDArray[Any], correct: NDArray[np.bool_], *, bins: int = 20) -> Figure:
    """Draw how sure a model is where it is right (upwards) and where it is wrong (downwards), each as shares.

    Args:
        confidence: (N,) probabilities of the answers.
        correct: (N,) whether they are right.
        bins: Of [0, 1].
    """
    figure, axes = new_figure(5.0, 4.2)
    edges = np.linspace(0, 1, bins + 1)
    groups = (("right", correct, 1, COLORS[0]), ("wrong", ~correct, -1, COLORS[3]))
    for name, members, sign, color in groups:
        shares = np.histogram(confidence[members], bins=edges)[0] / max(1, np.count_nonzero(members))
        label = f"{np.count_nonzero(members):,} {name}"
        axes.bar(edges[:-1], sign * shares, width=0.9 / bins, align="edge", color=color, label=label)
    axes.axhline(0, color=QUIET, linewidth=1)
    axes.set(xlim=(0, 1), xlabel="probability given", ylabel="share of the right / of the wrong answers")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def calibration_pictures(probabilities: NDArray[Any], labels: NDArray[Any], bins: int) -> tuple[Picture, ...]:
    """Return both figures of how much the probabilities can be trusted, with their captions.

    Args:
        probabilities: (N, K).
        labels: (N,) class indices.
        bins: Of the reliability diagram, to begin with.
    """
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    return (
        Picture(
            "Reliability",
            reliability_figure(confidence, correct, bins),
            "Of the images that were given a probability, the share that is right, with its 95 % interval. On the "
            f"diagonal probabilities are right, below it the model is overconfident. At least {MIN_IMAGES} images and "
            f"{MIN_SHARE:.0%} of all stand behind each point.",
        ),
        Picture(
            "Confidence",
            confidence_figure(confidence, correct),
            "Probabilities of the right answers above the line, of the wrong ones below, each group as shares of its "
            "own. The less they overlap, the better a low probability points out mistakes.",
        ),
    )
