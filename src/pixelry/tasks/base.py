"""What a task promises to training, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import Metric

from pixelry.data.dataset import Dataset, Split
from pixelry.types import Result

Batch = dict[str, Any]
# An image as it was given to predict: its pixels, or where to read them again.
Source = NDArray[Any] | Path


@dataclass(frozen=True)
class Table:
    """A table of a report: a title, column names, rows of plain values, and a sentence on how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of a report: (H, W, 3) uint8 pixels, or a matplotlib Figure, with a title and a caption."""

    title: str
    content: Any
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """What an evaluation found: figures by name, tables and pictures."""

    metrics: Mapping[str, float]
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = field(default=())


class Evaluator(Metric):
    """Gathers the outputs of a network over a split; a torchmetrics Metric, so that processes add up.

    `update(output, batch)` takes a batch, `compute()` gives the figures by name as floats.
    """

    def findings(self, split: Split) -> Findings:
        """Return figures, tables and pictures for the split whose outputs were gathered, in its order."""
        raise TypeError(f"{type(self).__name__} makes no report")


class Task(Protocol):
    """Target, losses, metrics and decoding of one kind of job.

    Attributes:
        name: The word of the command line.
        phases: Names of the optimisation phases of a step, each with its own optimiser; most tasks have one.
        monitor: The metric that says which of two models is better.
        higher_is_better: Of the monitor.
        recommended: The network to take when none is named.
        ladder: The networks that `compare` takes when none are named, simplest first.
        classes: Class names, () for tasks without.
    """

    name: ClassVar[str]
    phases: ClassVar[tuple[str, ...]]
    monitor: ClassVar[str]
    higher_is_better: ClassVar[bool]
    recommended: ClassVar[str]
    ladder: ClassVar[tuple[str, ...]]
    classes: tuple[str, ...]

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Task:
        """Make the task that fits a data set; raises DataError where the data lacks what the task needs."""
        ...

    def options(self) -> dict[str, Any]:
        """Return the task's own options, as the model card keeps them."""
        ...

    def outputs(self) -> dict[str, Any]:
        """Return what a network's `build` must be told beside channels and size, such as `classes`."""
        ...

    def parameters(self, network: nn.Module, phase: str) -> nn.Module:
        """Return the part of the network that a phase trains."""
        ...

    def losses(self, network: nn.Module, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Return the losses of one phase; "loss" is the one to descend, a scalar."""
        ...

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        ...

    def calibrated(self, evaluator: Evaluator) -> Task:
        """Return the task with what it fits to the validation split after training, such as a temperature.

        The evaluator, filled on that split, is brought up to date; a task that fits nothing returns itself.
        """
        ...

    def decode(self, output: Tensor, sources: list[Source], names: list[str]) -> list[Result]:
        """Turn a batch of outputs into one typed result an image."""
        ...
