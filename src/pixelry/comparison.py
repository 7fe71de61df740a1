"""The ladder: several networks on the same data with the same budget, as one table and one plot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from matplotlib.figure import Figure

from pixelry import plugins
from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import SeededBatches, eval_batch, make_loader, native_size, to_float
from pixelry.draw import curves_figure
from pixelry.errors import UsageError
from pixelry.features import load_features
from pixelry.folds import fold_table, summary_of
from pixelry.model import Model
from pixelry.report import Section, format_metric, render_page
from pixelry.reports.curves import read_log, training_curves
from pixelry.reports.findings import Block, Link
from pixelry.reports.metrics import find_metric
from pixelry.reports.page import render_fragment
from pixelry.rungs import parse_rung
from pixelry.tasks._restoration import Restoration
from pixelry.tasks.base import Picture, Table
from pixelry.tasks.generate import Generate
from pixelry.training.evaluate import run_network
from pixelry.training.fit import METRICS
from pixelry.training.fused import fused

SPEED_SECONDS = 1.0
LEAST_WHOLE = 10  # of slower ones two digits count


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
        seconds_per_megapixel: Of a picture that is restored or enlarged, as it is then; None for other tasks.
        megabytes: Of the model file.
        history: (seconds of training, validation score) at each validation.
        folder: Of its run, or of those of its folds.
        folds: Metrics of each fold; () without folds.
    """

    network: str
    metrics: Mapping[str, float]
    parameters: int
    train_seconds: float
    epochs: float
    images_per_second: float
    seconds_per_megapixel: float | None
    megabytes: float
    history: tuple[tuple[float, float], ...]
    folder: str
    folds: tuple[Mapping[str, float], ...] = ()


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

    def table(self, base: Path | None = None) -> Table:
        """Return the comparison as a table; on a page in `base` with links to the pages of the runs."""
        fixed = ("parameters", "train s", "epochs", "images/s", *self._per_megapixel(), "MB")
        columns = ("network", self.monitor, *self._interval(), *self._folded(), *fixed)
        return Table(
            "The ladder",
            columns,
            tuple(self._row(rung, base) for rung in self.rungs),
            f"{self.task} on {self.data}, split {self.split}; {self.budget} each. {self._meaning()}images/s is the "
            "speed of prediction, in batches on this machine.",
        )

    def _meaning(self) -> str:
        known = find_metric(self.monitor, self.task)
        if known is None:
            return ""
        better = f" {known.direction.capitalize()} is better." if known.direction else ""
        return f"{self.monitor} is the {known.title}: {known.explanation}{better} "

    def _interval(self) -> tuple[str, ...]:
        """Return the heading of the interval's column, () where the metric has no interval."""
        known = any(f"{self.monitor}_low" in rung.metrics for rung in self.rungs)
        return ("95 % interval",) if known else ()

    def _folded(self) -> tuple[str, ...]:
        """Return the heading of the column with mean and standard deviation over folds, () without folds."""
        return ("mean ± std of folds",) if any(rung.folds for rung in self.rungs) else ()

    def _per_megapixel(self) -> tuple[str, ...]:
        """Return the heading of that column, () for tasks without."""
        return ("s/megapixel",) if any(rung.seconds_per_megapixel is not None for rung in self.rungs) else ()

    def _row(self, rung: Rung, base: Path | None) -> tuple[Any, ...]:
        bounds = (rung.metrics.get(f"{self.monitor}_{end}") for end in ("low", "high"))
        between = " to ".join(format_metric(self.monitor, bound) for bound in bounds if bound is not None)
        page = Path(rung.folder) / "index.html"
        linked = base is not None and page.is_file()
        return (
            Link(rung.network, Path(os.path.relpath(page, base)).as_posix()) if linked else rung.network,
            format_metric(self.monitor, rung.metrics[self.monitor]),
            *(between for _ in self._interval()),
            *(summary_of(rung.folds, self.monitor) for _ in self._folded()),
            f"{rung.parameters:,}",
            f"{rung.train_seconds:.1f}",
            f"{rung.epochs:.1f}",
            f"{rung.images_per_second:,.0f}"
            if rung.images_per_second >= LEAST_WHOLE
            else f"{rung.images_per_second:.2g}",
            *(f"{rung.seconds_per_megapixel or 0:.3g}" for _ in self._per_megapixel()),
            f"{rung.megabytes:.2f}",
        )

    def figure(self) -> Figure:
        """Return the validation score of each network against its seconds of training."""
        curves = {r.network: ([x for x, _ in r.history], [y for _, y in r.history]) for r in self.rungs if r.history}
        return curves_figure(curves, xlabel="seconds of training", ylabel=f"validation {self.monitor}", focus=True)

    def curves(self) -> tuple[Block, ...]:
        """Return every validation metric and the loss of all networks, from what their runs logged."""
        homes = {r.network: Path(r.folder) / ("fold-1" if r.folds else "") for r in self.rungs}
        logs = {r.network: read_log(homes[r.network] / METRICS, epochs=r.epochs) for r in self.rungs}
        logs = {network: log for network, log in logs.items() if log.rows}
        return training_curves(logs, task=self.task, monitor=self.monitor) if logs else ()

    def sections(self, base: Path | None = None) -> list[Section]:
        """Return the comparison's parts of a page, which lies in `base`."""
        pictures: tuple[Block, ...] = ()
        if any(rung.history for rung in self.rungs):
            note = "Each point is a validation during training."
            pictures = (Picture("Score against time", self.figure(), note),)
        folds = tuple(fold_table(r.folds, r.metrics, f"Folds of {r.network}") for r in self.rungs if r.folds)
        first = Section("Which rung buys what", tables=(self.table(base),), pictures=(*pictures, *self.curves()))
        return [first, *([Section("Folds", tables=folds)] if folds else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        names = {"task": self.task, "data": self.data, "split": self.split, "budget": self.budget}
        return {**names, "monitor": self.monitor, "networks": [asdict(rung) for rung in self.rungs]}

    def save(self, folder: Path) -> None:
        """Write `index.html` and `comparison.json` into a folder."""
        title = f"{self.task} on {self.data}: the ladder"
        (folder / "index.html").write_text(render_page(title, self.sections(folder)), encoding="utf-8")
        (folder / "comparison.json").write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    def _repr_html_(self) -> str:
        return render_fragment(f"{self.task} on {self.data}", self.sections())

    def __str__(self) -> str:
        table = self.table()
        rows = [table.columns, *table.rows]
        widths = [max(len(str(row[i])) for row in rows) for i in range(len(table.columns))]
        lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return f"Comparison({self.task} on {self.data})\n{self}"


def rebuild_comparison(folder: Path) -> Path:
    """Write the page of a comparison again from its `comparison.json` and the runs beside it, and return it.

    Raises:
        UsageError: The file cannot be understood.
    """
    path = folder / "comparison.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        rungs = tuple(_read_rung(entry, folder) for entry in raw.pop("networks"))
        comparison = Comparison(**raw, rungs=rungs)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no comparison of this version of Pixelry: {error}") from None
    comparison.save(folder)
    return folder / "index.html"


def _read_rung(entry: dict[str, Any], folder: Path) -> Rung:
    """Return a network of a comparison; its run lies in the comparison's folder, wherever that was moved."""
    history = tuple((float(x), float(y)) for x, y in entry["history"])
    return Rung(**{**entry, "history": history, "folder": str(folder / Path(entry["folder"]).name)})


def measure(task: str, names: Sequence[str], dataset: Dataset, features: Any, channels: int | None) -> str:
    """Return the metric by which networks are compared: their own where all have the same, else their task's.

    Raises:
        UsageError: Generators are to be compared by their pictures, and no features suit the data.
    """
    measures = {plugins.task_for(task, parse_rung(name)[0]).measure() for name in names}
    metric = measures.pop() if len(measures) == 1 else plugins.tasks.load(task).TASK.monitor
    if metric == "frechet":
        seer = load_features(features, channels=channels or dataset.channels, classes=dataset.classes)
        if seer is None:
            raise UsageError(
                f"{', '.join(names)} are compared by the Fréchet distance of their pictures, and no features suit "
                f"{dataset.name}: give --features MODEL, a classifier of such pictures"
            )
    return str(metric)


class Speed(TypedDict):
    """How fast a model predicts, as a `Rung` has it."""

    images_per_second: float
    seconds_per_megapixel: float | None


def prediction_speed(model: Model, split: Split) -> Speed:
    """Return how fast a model predicts, measured for about a second.

    It is the network alone, in batches, as in an evaluation; of generators, the pictures that they make.
    """
    if isinstance(model.task, Generate):
        return Speed(images_per_second=_drawing_speed(model), seconds_per_megapixel=None)
    size = native_size(split)
    batch = next(iter(make_loader(split, SeededBatches(len(split), eval_batch(size) if size else 1), workers=0)))
    seen = model.task.observe({**batch, "image": to_float(batch["image"])}, training=False)
    network = fused(model.network)
    output = run_network(network, model.task, seen, memory_format=torch.channels_last)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SPEED_SECONDS:
        run_network(network, model.task, seen, memory_format=torch.channels_last)
        count += len(batch["image"])
    speed = count / (time.perf_counter() - start)
    megapixels = output.shape[-2] * output.shape[-1] / 1e6
    restored = isinstance(model.task, Restoration)
    return Speed(images_per_second=speed, seconds_per_megapixel=1 / (speed * megapixels) if restored else None)


def _drawing_speed(model: Model) -> float:
    """Return pictures a second, in the batches in which they are made."""
    model.generate(1)
    assert isinstance(model.task, Generate)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SPEED_SECONDS:
        count += len(model.generate(model.task.at_once))
    return count / (time.perf_counter() - start)
