"""Pictures of a logistic regression: how its cost fell, where it draws the line, what its weights look like."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pixelry.logistic.estimator import LogisticRegression
from pixelry.logistic.functions import Array

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000")


def plot_cost(model: LogisticRegression) -> Figure:
    """Draw the objective in nats after each iteration."""
    figure, (axes,) = _figure(1, 5.0, 3.6)
    axes.plot(model.loss_curve_, color=COLORS[0])
    axes.set(xlabel="iteration", ylabel="cost in nats", title=f"{len(model.loss_curve_) - 1} iterations")
    return figure


def plot_boundary(model: LogisticRegression, X: Array, y: Array) -> Figure:  # noqa: N803
    """Draw samples with two features over the probability of the most probable class.

    Args:
        model: Fitted on two features.
        X: (N, 2).
        y: (N,) labels.

    Raises:
        ValueError: There are not two features.
    """
    if model.n_features_in_ != 2:
        raise ValueError(f"a boundary can be drawn for 2 features; the model has {model.n_features_in_}")
    X = np.asarray(X)  # noqa: N806
    figure, (axes,) = _figure(1, 5.6, 4.6)
    low, high = X.min(0), X.max(0)
    margin = 0.08 * (high - low)
    first, second = (np.linspace(low[i] - margin[i], high[i] + margin[i], 240) for i in range(2))
    grid = np.stack(np.meshgrid(first, second), -1)
    p = model.predict_proba(grid.reshape(-1, 2).astype(X.dtype)).reshape(240, 240, -1)
    if p.shape[2] == 2:
        shade = axes.contourf(first, second, p[..., 1], levels=np.linspace(0, 1, 21), cmap="RdBu", alpha=0.75)
        axes.contour(first, second, p[..., 1], levels=[0.5], colors="k", linewidths=1.2)
        figure.colorbar(shade, ax=axes, label=f"probability of {model.classes_[1]}")
    else:
        axes.pcolormesh(first, second, p.argmax(2), cmap="Pastel1", alpha=0.8)
    for k, label in enumerate(model.classes_):
        chosen = np.asarray(y) == label
        color = ("#b2182b", "#2166ac")[k] if p.shape[2] == 2 else COLORS[k % len(COLORS)]
        axes.scatter(*X[chosen].T, s=9, color=color, edgecolor="white", linewidth=0.3, label=str(label))
    axes.legend(title="class", fontsize=8)
    axes.set(xlabel="first feature", ylabel="second feature")
    return figure


def plot_weights(model: LogisticRegression, shape: tuple[int, int]) -> Figure:
    """Draw each class's weights as a picture: blue speaks for the class, red against it.

    Args:
        model: Fitted on pixels.
        shape: (height, width) of the pictures.

    Raises:
        ValueError: The weights are not as many as the pixels of `shape`.
    """
    if shape[0] * shape[1] != model.coef_.shape[1]:
        raise ValueError(f"the model has {model.coef_.shape[1]} weights a class; {shape} has {shape[0] * shape[1]}")
    names = model.classes_[1:] if len(model.coef_) == 1 else model.classes_
    figure, panels = _figure(len(names), 1.5, 1.6)
    limit = float(np.abs(model.coef_).max()) or 1.0
    for axes, name, weights in zip(panels, names, model.coef_, strict=False):
        axes.imshow(weights.reshape(shape), cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_title(str(name), fontsize=9)
    for axes in panels:
        axes.set_axis_off()
    return figure


def _figure(count: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    columns = min(count, 5)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.ravel(figure.subplots(rows, columns)))
