"""Logistic regression from first principles: the rung on which every ladder here stands, to be read on one page."""

from __future__ import annotations

from pixelry.logistic.estimator import LogisticRegression
from pixelry.logistic.functions import cross_entropy, sigmoid, softmax
from pixelry.logistic.plots import plot_boundary, plot_cost, plot_weights

__all__ = [
    "LogisticRegression",
    "cross_entropy",
    "plot_boundary",
    "plot_cost",
    "plot_weights",
    "sigmoid",
    "softmax",
]
