"""The ladder: several networks on the same data with the same budget, as one table and one plot."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from pixelry.data.dataset import Split
from pixelry.data.loading import SeededBatches, eval_batch, make_loader, native_size
from pixelry.draw import curves_figure
from pixelry.model import Model
from pixelry.report import Section, format_metric, render_page
from pixelry.tasks.base import Picture, Table
from pixelry.training.evaluate import run_network

SPEED_SECONDS = 1.0


@dataclass(frozen=True)
class Rung:
    """One network of a comparison.

    Attributes:
        network: Its name.
        metrics: On the split that the comparison is about.
        parameters: Trainable numbers.
        train_seconds: Of training.
        epochs: Passes over the training images.
        images_per_second: At prediction, in batches, on this machine.
        megabytes: Of the model file.
        history: (seconds of training, validation score) at each validation.
        folder: Of its run.
    """

    network: str
    metrics: Mapping[str, float]
    parameters: int
    train_seconds: float
    epochs: float
    images_per_second: float
    megabytes: float
    history: tuple[tuple[float, float], ...]
    folder: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Networks side by side, best first; shows itself in a notebook.

    Attributes:
        task: The task's name.
        data: The data set's name.
        split: On which the scores were measured.
        budget: Of each network.
        monitor: The metric that orders them.
        rungs: One a network, best first.
    """

    task: str
    data: str
    split: str
    budget: str
    monitor: str
    rungs: tuple[Rung, ...]

    def table(self) -> Table:
        """Return the comparison as a table."""
        columns = ("network", self.monitor, *self._interval(), "parameters", "train s", "epochs", "images/s", "MB")
        return Table(
            "The ladder",
            columns,
            tuple(self._row(rung) for rung in self.rungs),
            f"{self.task} on {self.data}, split {self.split}; {self.budget} each. images/s: prediction in batches.",
        )

    def _interval(self) -> tuple[str, ...]:
        """Return the heading of the interval's column, () where the metric has no interval."""
        known = any(f"{self.monitor}_low" in rung.metrics for rung in self.rungs)
        return ("95 % interval",) if known else ()

    def _row(self, rung: Rung) -> tuple[Any, ...]:
        bounds = (rung.metrics.get(f"{self.monitor}_{end}") for end in ("low", "high"))
        between = " to ".join(format_metric(self.monitor, bound) for bound in bounds if bound is not None)
        return (
            rung.network,
            format_metric(self.monitor, rung.metrics[self.monitor]),
            *(between for _ in self._interval()),
            f"{rung.parameters:,}",
            f"{rung.train_seconds:.1f}",
            f"{rung.epochs:.1f}",
            f"{rung.images_per_second:,.0f}",
            f"{rung.megabytes:.2f}",
        )

    def figure(self) -> Figure:
        """Return the validation score of each network against its seconds of training."""
        curves = {r.network: ([x for x, _ in r.history], [y for _, y in r.history]) for r in self.rungs if r.history}
        return curves_figure(curves, xlabel="seconds of training", ylabel=f"validation {self.monitor}", focus=True)

    def sections(self) -> list[Section]:
        """Return the comparison's parts of a page."""
        pictures = (Picture("Score against time", self.figure(), "Each point is a validation during training."),)
        drawn = pictures if any(rung.history for rung in self.rungs) else ()
        return [Section("Which rung buys what", tables=(self.table(),), pictures=drawn)]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        names = {"task": self.task, "data": self.data, "split": self.split, "budget": self.budget}
        return {**names, "monitor": self.monitor, "networks": [asdict(rung) for rung in self.rungs]}

    def save(self, folder: Path) -> None:
        """Write `index.html` and `comparison.json` into a folder."""
        title = f"{self.task} on {self.data}: the ladder"
        (folder / "index.html").write_text(render_page(title, self.sections()), encoding="utf-8")
        (folder / "comparison.json").write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    def _repr_html_(self) -> str:
        return render_page(f"{self.task} on {self.data}", self.sections())

    def __str__(self) -> str:
        table = self.table()
        rows = [table.columns, *table.rows]
        widths = [max(len(str(row[i])) for row in rows) for i in range(len(table.columns))]
        lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def prediction_speed(model: Model, split: Split) -> float:
    """Return images a second at prediction: the network alone, in batches, for about a second."""
    size = native_size(split)
    batch = next(iter(make_loader(split, SeededBatches(len(split), eval_batch(size) if size else 1), workers=0)))
    run_network(model.network, model.task, batch, memory_format=torch.channels_last)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SPEED_SECONDS:
        run_network(model.network, model.task, batch, memory_format=torch.channels_last)
        count += len(batch["image"])
    return count / (time.perf_counter() - start)
