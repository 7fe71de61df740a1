"""Curves of a run, or of several beside each other: every validation metric, the loss, the learning rate."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pixelry.draw import COLORS, GRID, QUIET, new_figure
from pixelry.reports.findings import Picture, Tabs
from pixelry.reports.metrics import find_metric

VALIDATION = "val_"
# Bounds of intervals are drawn with their metric; the number of images does not change.
BOUNDS = ("_low", "_high")
CONSTANT = ("val_images",)
# Of images before a restoration: baselines in the plot of the metric that they belong to.
COMPARED = ("val_psnr", "val_ssim")
# Weight of the past in the exponential moving average of the loss, as in TensorBoard, with its correction at the start.
SMOOTHING = 0.8
MIN_SMOOTHED = 5  # points from which on an average says more than the points
LOG_RANGE = 30.0  # largest over smallest loss from which on the axis is logarithmic
SIZE = (3.4, 2.4)  # of a figure, in inches: three stand side by side
MIN_SPAN = 0.1  # of a vertical axis, as a part of its largest value: what changes less looks like no change
MARKED = 30  # points up to which each has a marker


@dataclass(frozen=True)
class TrainingLog:
    """What `metrics.csv` of a run holds.

    Attributes:
        rows: Numbers by column; a row lacks what was not measured then.
        passes_per_step: Passes over the training images in one step of the optimizer; 0 where it is unknown.
    """

    rows: Sequence[Mapping[str, float]]
    passes_per_step: float = 0.0

    def series(self, name: str, axis: str) -> tuple[list[float], list[float]]:
        """Return x and y of every row that has a value; x in "seconds" of training or in "passes"."""
        rows = [row for row in self.rows if name in row]
        x = [row["seconds"] if axis == "seconds" else row["step"] * self.passes_per_step for row in rows]
        return x, [row[name] for row in rows]

    def names(self) -> list[str]:
        """Return the columns, in the order of the file."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


def read_log(path: Path, *, epochs: float) -> TrainingLog:
    """Read `metrics.csv` of a run; a file that is not there has no rows.

    Args:
        path: The file.
        epochs: Passes of the whole run, up to its last row.
    """
    rows = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows.append({name: float(value) for name, value in row.items() if value not in ("", None)})
    steps = rows[-1]["step"] if rows else 0.0
    return TrainingLog(rows, epochs / steps if steps else 0.0)


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the exponential moving average of a series, corrected for its start (Kingma and Ba 2015, section 3).

    Examples:
        >>> smoothed([1.0, 1.0, 1.0])
        [1.0, 1.0, 1.0]
    """
    average, averages = 0.0, []
    for count, value in enumerate(values, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * value
        averages.append(round(average / (1 - SMOOTHING**count), 12))
    return averages


def training_curves(logs: Mapping[str, TrainingLog], *, task: str, monitor: str) -> tuple[Tabs, ...]:
    """Return all curves of runs, over seconds and over passes; nothing for runs without rows.

    Args:
        logs: Of each run, by its name; the name of a single one is not shown.
        task: Whose metrics they are.
        monitor: The metric by which the task judges networks, which comes first.
    """
    axes = ["seconds"] + (["passes"] if all(log.passes_per_step for log in logs.values()) else [])
    tabs, validated = [], _times_validated(logs) > 1
    for axis in axes:
        scores = _validation(logs, task, monitor, axis) if validated else []
        pictures = (*scores, *_losses(logs, axis), *_rate(logs, axis))
        if pictures:
            tabs.append((f"over {axis}", pictures))
    once = "There was one validation, at the end: its metrics have no curves. "
    note = ("" if validated else once) + (
        "Validation metrics are of images that the network is not trained on. Seconds are those of training, passes "
        "are over the training images. The last point is of the last weights, with what is fitted after them; where "
        "better ones were kept, the metrics above are theirs."
    )
    return (Tabs("Curves", tuple(tabs), note),) if tabs else ()


def _times_validated(logs: Mapping[str, TrainingLog]) -> int:
    """Return the most validations that a run had."""
    return max(sum(any(name.startswith(VALIDATION) for name in row) for row in log.rows) for log in logs.values())


def _validation(logs: Mapping[str, TrainingLog], task: str, monitor: str, axis: str) -> list[Picture]:
    names = dict.fromkeys(name for log in logs.values() for name in log.names() if name.startswith(VALIDATION))
    shown = [n for n in names if not n.endswith(BOUNDS) and n not in CONSTANT and not _is_baseline(n)]
    shown.sort(key=lambda name: name != VALIDATION + monitor)
    return [_metric(logs, name, task, axis) for name in shown]


def _is_baseline(name: str) -> bool:
    return name.rpartition("_")[0] in COMPARED


def _metric(logs: Mapping[str, TrainingLog], name: str, task: str, axis: str) -> Picture:
    """Draw a validation metric of all runs; of a single one with its interval."""
    key = name.removeprefix(VALIDATION)
    known = find_metric(key, task)
    figure, axes = _axes(axis)
    for color, (run, log) in zip(_colors(len(logs)), logs.items(), strict=True):
        x, y = log.series(name, axis)
        axes.plot(x, y, "-", marker="o" if len(x) <= MARKED else None, markersize=3, color=color, label=run)
        low, high = (log.series(name + bound, axis)[1] for bound in BOUNDS)
        if len(logs) == 1 and len(low) == len(high) == len(x) and x:
            axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    baselines = [n for log in logs.values() for n in log.names() if _is_baseline(n) and n.rpartition("_")[0] == name]
    for baseline in dict.fromkeys(baselines):
        values = [y for log in logs.values() for y in log.series(baseline, axis)[1]]
        axes.axhline(values[-1], color=QUIET, linestyle="--", linewidth=1, label=baseline.rpartition("_")[2])
    if known and known.unit == "%":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish(axes, len(logs) + len(baselines))
    if known is None:
        return Picture(key, figure)
    unit = {"%": "", "": ""}.get(known.unit, f" in {known.unit}")
    better = f" {known.direction.capitalize()} is better." if known.direction else ""
    title = known.title if known.title[1].isupper() else known.title[0].upper() + known.title[1:]
    return Picture(f"{title}{unit}", figure, f"{key}: {known.explanation}{better}")


def _losses(logs: Mapping[str, TrainingLog], axis: str) -> list[Picture]:
    """Draw the losses of training: as they were, faint, and smoothed."""
    names = dict.fromkeys(name for log in logs.values() for name in log.names() if name.endswith("loss"))
    names = dict.fromkeys(name for name in names if not name.startswith(VALIDATION))
    # The sum of several losses adds nothing to them.
    parts = [name for name in names if name != "loss"] or list(names)
    curves = {
        (run, name): log.series(name, axis)
        for run, log in logs.items()
        for name in (parts if len(logs) == 1 else ["loss"])
        if len(log.series(name, axis)[0]) > 1
    }
    if not curves:
        return []
    figure, axes = _axes(axis)
    several = len(curves) > 1
    for color, ((run, name), (x, y)) in zip(_colors(len(curves)), curves.items(), strict=True):
        label = run if len(logs) > 1 else name
        if len(y) >= MIN_SMOOTHED:
            axes.plot(x, y, "-", color=color, alpha=0.3, linewidth=1)
            axes.plot(x, smoothed(y), "-", color=color, label=label)
        else:
            axes.plot(x, y, "-o", markersize=3, color=color, label=label)
    values = [value for _, y in curves.values() for value in y]
    if min(values) > 0 and max(values) > LOG_RANGE * min(values):
        axes.set_yscale("log")
    _finish(axes, 2 if several else 1)
    note = (
        "What training minimizes, on single batches: faint as it was, strong its exponential moving average "
        f"(weight of the past {SMOOTHING:g}). Lower is better."
    )
    return [Picture("Training loss", figure, note)]


def _rate(logs: Mapping[str, TrainingLog], axis: str) -> list[Picture]:
    curves = [log.series("lr", axis) for log in logs.values()]
    if len(logs) > 1 or not any(len(x) > 1 for x, _ in curves):
        return []
    figure, axes = _axes(axis)
    for x, y in curves:
        axes.plot(x, y, "-", color=COLORS[0])
    axes.set_ylim(bottom=0)
    _finish(axes, 1)
    axes.ticklabel_format(axis="y", scilimits=(-3, 3))
    return [Picture("Learning rate", figure, "Of the recipe; parts of a network may have a multiple of it.")]


def _axes(axis: str) -> tuple[Figure, Any]:
    figure, axes = new_figure(*SIZE)
    axes.tick_params(labelsize=8)
    axes.set_xlabel(axis, fontsize=8)
    axes.grid(axis="y", color=GRID)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="y", useOffset=False)
    return figure, axes


def _colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]


def _finish(axes: Any, count: int) -> None:
    """Begin the axis of time at 0, keep small changes small, and name the curves where there are several."""
    axes.set_xlim(left=0)
    low, high = axes.dataLim.y0, axes.dataLim.y1
    span = MIN_SPAN * max(abs(low), abs(high)) or MIN_SPAN
    if axes.get_yscale() == "linear" and high - low < span:
        middle = (low + high) / 2
        axes.set_ylim(middle - span / 2, middle + span / 2)
    if count > 1:
        axes.legend(frameon=False, fontsize=7.5)
