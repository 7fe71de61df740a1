"""What a task promises to training, evaluation and prediction."""

from __future__ import annotations

import dataclasses
import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, get_type_hints

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import Metric

from pixelry.config import check_value
from pixelry.data.dataset import Dataset, Split, image_to_tensor
from pixelry.data.loading import Batch, fit_image, prepare
from pixelry.errors import DataError, ImageError, UsageError, unknown
from pixelry.pixels import read_header
from pixelry.reports.findings import Block as Block
from pixelry.reports.findings import Findings as Findings
from pixelry.reports.findings import Picture as Picture
from pixelry.reports.findings import Table as Table
from pixelry.types import Result

# Marks an option of a task that has its say in training, and that a trained model keeps.
OF_TRAINING: Mapping[str, Any] = {"training": True}
# An image as it was given to predict: its pixels, or where to read them again.
Source = NDArray[Any] | Path
# Sizes to suggest where an image is too large for the time, as parts of its side.
SMALLER_PARTS = (0.75, 0.5, 0.375, 0.25)


@dataclass(frozen=True)
class Form:
    """What images look like at the network: channels (1 or 3) and (height, width); None is left open."""

    channels: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Candidate:
    """A network, and the (height, width) in pixels at which it looks at images; None for the task's own."""

    network: str
    size: tuple[int, int] | None = None


def training_split(dataset: Dataset) -> Split:
    """Return the training split of a data set.

    Raises:
        DataError: There is none, or it is empty.
    """
    if "train" not in dataset.splits or not len(dataset["train"]):
        raise DataError(f"{dataset.name} has no training images (splits: {', '.join(dataset.splits)})")
    return dataset["train"]


def check_ranges(task: Any, *, shares: Sequence[str] = (), below_one: Sequence[str] = ()) -> None:
    """Raise UsageError unless options of a task are in [0, 1], and others in [0, 1)."""
    for name in shares:
        if not 0 <= getattr(task, name) <= 1:
            raise UsageError(f"{name} is {getattr(task, name)}; expected 0 to 1")
    for name in below_one:
        if not 0 <= getattr(task, name) < 1:
            raise UsageError(f"{name} is {getattr(task, name)}; expected at least 0, and below 1")


def size_of(source: Source) -> tuple[int, int]:
    """Return (height, width) of an image as it was given; of a file only the header is read."""
    if isinstance(source, Path):
        header = read_header(source)
        return header.height, header.width
    return int(source.shape[0]), int(source.shape[1])


def check_side(network: nn.Module, images: Tensor) -> None:
    """Raise ImageError unless pictures (..., H, W) are as large as the window through which a network looks."""
    least = getattr(network, "least_side", 1)
    if min(images.shape[-2:]) < least:
        raise ImageError(
            f"the picture has {images.shape[-2]}x{images.shape[-1]} pixels; the network looks through a window of "
            f"{least}x{least}: leave it out, or continue it to that size (`pixelry pixels pad`)"
        )


class Evaluator(Metric):
    """Gathers the outputs of a network over a split; a torchmetrics Metric, so that processes add up.

    `update(output, batch)` takes a batch, `compute()` gives the figures by name as floats.
    """

    def forget_figures(self) -> None:
        """Compute the figures anew when they are asked for next, since something that they depend on has changed."""
        self._computed = None  # torchmetrics keeps what `compute` returned until the next `update`

    def findings(self, split: Split) -> Findings:
        """Return figures, tables and pictures for the split whose outputs were gathered, in its order."""
        raise TypeError(f"{type(self).__name__} makes no report")


class Task(ABC):
    """Target, losses, metrics and decoding of one kind of job: a frozen dataclass of the job's options.

    Between the data and the network stand, in this order: `fit_split` (the form of the images), augmentation,
    `observe` (what the network gets to see of them, such as noisy ones) and `forward` (the call itself).

    Attributes:
        name: The word of the command line.
        phases: Names of the optimisation phases of a step, each with its own optimiser; most tasks have one.
        monitor: The metric that says which of two models is better.
        higher_is_better: Of the monitor.
        recommended: The network to take when none is named.
        ladder: The networks that `compare` takes when none are named, simplest first.
        tells: Names of what `outputs` tells a network's `build`; a user does not set them.
        placed: Whether targets have places in pictures, so that the recipe's `augment`, which moves pictures alone, is
            out of the question; such a task moves both in `observe`.
        by_tiles: How a large picture can be predicted by tiles: "boxes", of which those of all tiles are merged;
            "pixels", whose values are averaged where tiles overlap, by `pixel_values` and `from_pixel_values`; "" for
            not at all.
        min_steps: Steps below which a run of a network of this task learns little.
        min_passes: Passes over the training images that a run should have, where the user chooses no network.
        size_multiple: Of which heights and widths at the network are multiples.
        min_side: Pixels of the shorter side at the network; in a smaller image too little can be recognized.
        cross_validates: Whether training images can be divided into folds by their labels, and answers be joined.
        classes: Class names, () for tasks without.
    """

    name: ClassVar[str]
    phases: ClassVar[tuple[str, ...]] = ("main",)
    monitor: ClassVar[str]
    higher_is_better: ClassVar[bool]
    recommended: ClassVar[str]
    ladder: ClassVar[tuple[str, ...]]
    tells: ClassVar[tuple[str, ...]] = ()
    placed: ClassVar[bool] = False
    by_tiles: ClassVar[str] = ""
    min_steps: ClassVar[int] = 100
    min_passes: ClassVar[float] = 10.0
    size_multiple: ClassVar[int] = 8
    min_side: ClassVar[int] = 32
    cross_validates: ClassVar[bool] = False
    classes: tuple[str, ...]

    @classmethod
    def for_network(cls, plugin: ModuleType) -> type[Task]:
        """Return the class that trains a network: the task itself, unless its networks learn in different ways.

        Then the network's file says in `FAMILY` which module beside the task's own holds the class, as its `FAMILY`.
        """
        name: str | None = getattr(plugin, "FAMILY", None)
        if name is None:
            return cls
        family: type[Task] = importlib.import_module(f"{cls.__module__.rpartition('.')[0]}.{name}").FAMILY
        assert issubclass(family, Task), f"{family} is no task"
        return family

    @classmethod
    @abstractmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Task:
        """Make the task that fits a data set; raises DataError where the data lacks what the task needs."""

    @classmethod
    def classes_of(cls, dataset: Dataset) -> tuple[str, ...]:
        """Return the names of the classes that a model of this task tells apart."""
        return dataset.classes

    @classmethod
    def notes(cls, dataset: Dataset) -> tuple[str, ...]:
        """Return what a user should know of how the task takes a data set, such as objects that it leaves out."""
        return ()

    @classmethod
    def settable(cls) -> dict[str, Any]:
        """Return the options that a user may set, with their types: all fields but the classes and what is fitted."""
        hints = get_type_hints(cls)
        own = dataclasses.fields(cls)  # type: ignore[arg-type]  # tasks are dataclasses
        return {f.name: hints[f.name] for f in own if f.name != "classes" and "fitted" not in f.metadata}

    def with_settings(self, settings: Mapping[str, Any]) -> Task:
        """Return the task with other options.

        Raises:
            UsageError: There is no such option, or a value has the wrong type or is out of range.
        """
        hints = self.settable()
        for name in settings:
            if name not in hints:
                raise unknown(f"setting of {self.name}", name, hints)
        checked = {name: check_value(name, value, hints[name]) for name, value in settings.items()}
        changed = dataclasses.replace(self, **checked)  # type: ignore[type-var]
        for option in dataclasses.fields(self):  # type: ignore[arg-type]
            own, other = (getattr(task, option.name) for task in (self, changed))
            if "training" in option.metadata and own != other:
                raise UsageError(f"{option.name}={other}: the model was trained with {own}, which stays as it is")
        if changed.outputs() != self.outputs():
            raise UsageError(f"{', '.join(settings)}: the network was built for {self.outputs()}, which stays as it is")
        return changed

    @classmethod
    def measure(cls) -> str:
        """Return the metric by which networks are compared: what they are trained to, unless that is their own."""
        return cls.monitor

    def options(self) -> dict[str, Any]:
        """Return the task's own options, as the model card keeps them."""
        own = [f.name for f in dataclasses.fields(self) if f.name != "classes"]  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in own}

    def outputs(self) -> dict[str, Any]:
        """Return what a network's `build` must be told beside channels and size, such as `classes`."""
        return {}

    def input_form(self, split: Split, form: Form) -> Form:
        """Return the form of the images that the task wants of a training split, where the user left it open.

        What stays None follows from the data: its channels, and its size up to 128 pixels.
        """
        return form

    @classmethod
    def candidates(cls, split: Split) -> tuple[Candidate, ...]:
        """Return the networks and sizes to choose from where the user names none, strongest and slowest first.

        A size of None is the one of `input_form`.
        """
        return (Candidate(cls.recommended),)

    @classmethod
    def smaller_sizes(cls, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Return smaller sizes of about the same aspect, largest first, that the task's networks take."""
        step = cls.size_multiple
        scaled = [tuple(max(step, round(side * part / step) * step) for side in size) for part in SMALLER_PARTS]
        usable = {(h, w) for h, w in scaled if min(h, w) >= cls.min_side and h * w < size[0] * size[1]}
        return tuple(sorted(usable, key=lambda one: -one[0] * one[1]))

    def fit_split(self, split: Split, *, size: tuple[int, int], channels: int, training: bool = False) -> Split:
        """Return a split with its images in the form that batches are made of.

        Args:
            split: Images of any size and kind.
            size: (height, width) at the network in training.
            channels: 1 or 3.
            training: Whether it is to be trained on, and not to be judged on.
        """
        return prepare(split, size=size, channels=channels)

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return what the network gets to see of a batch: the batch itself, or with noise, or with levels.

        Args:
            batch: "image" (B, C, H, W) float in [0, 1], "index" (B,) where it comes from a loader, the targets, and in
                training "progress", the part of the run that is over, and "passes" over the data so far.
            training: Draw from torch's global generator; otherwise the draw follows from "index" alone, so that an
                evaluation is the same however its batches are cut.
        """
        return batch

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the network's output for what `observe` returned."""
        output: Tensor = network(batch["image"])
        return output

    def to_input(self, image: NDArray[Any], *, size: tuple[int, int], channels: int) -> Tensor:
        """Return an image to predict for as the network takes it, (C, H, W): uint8, or float in [0, 1].

        Raises:
            ImageError: It is no image, or too small for the network.
        """
        return fit_image(image_to_tensor(image, channels=channels), size=size)

    def parameters(self, network: nn.Module, phase: str) -> nn.Module:
        """Return the part of the network that a phase trains."""
        return network

    def rate(self, phase: str) -> float:
        """Return the learning rate of a phase as a multiple of the recipe's."""
        return 1.0

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Return the losses of one phase; "loss" is the one to descend, a scalar."""

    def probe(self, network: nn.Module, batch: Batch, phase: str) -> Tensor:
        """Return a scalar by whose gradient two precisions are compared: the loss, where it changes smoothly."""
        return self.losses(network, batch, phase)["loss"]

    @abstractmethod
    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""

    def calibrated(self, evaluator: Evaluator) -> Task:
        """Return the task with what it fits to the validation split after training, such as a temperature.

        The evaluator, filled on that split, is brought up to date; a task that fits nothing returns itself.
        """
        return self

    def samples(self, network: nn.Module) -> NDArray[np.uint8] | None:
        """Return a sheet of pictures that the network makes, the same numbers each time; None where it makes none."""
        return None

    def pictures(self, network: nn.Module) -> tuple[Block, ...]:
        """Return pictures for a report that the network makes out of nothing, such as a generator's."""
        return ()

    def findings(self, network: nn.Module, evaluator: Evaluator, split: Split) -> Findings:
        """Return what an evaluation found, and after it what explains it; the arguments are those of `explanations`."""
        findings = evaluator.findings(split)
        pictures = (*findings.pictures, *self.explanations(network, evaluator, split))
        return dataclasses.replace(findings, pictures=pictures)

    def explanations(self, network: nn.Module, evaluator: Evaluator, split: Split) -> tuple[Block, ...]:
        """Return blocks of a report that show why a network answered as it did, such as beside its mistakes.

        Args:
            network: In evaluation mode.
            evaluator: Filled on the split.
            split: Prepared, as it was evaluated.
        """
        return ()

    def explained(self, network: nn.Module, images: Tensor, results: Sequence[Result]) -> Sequence[Result]:
        """Return results with what they are based on.

        Args:
            network: In evaluation mode.
            images: (B, C, H, W), uint8 or float in [0, 1], which the results are of.
            results: One an image.

        Raises:
            UsageError: The task explains nothing.
        """
        raise UsageError(f"a model for {self.name} explains nothing")

    def decode(
        self, output: Tensor, sources: list[Source], names: list[str], *, size: tuple[int, int]
    ) -> Sequence[Result]:
        """Turn a batch of outputs into one typed result an image; `size` is what `to_input` was given.

        Raises:
            UsageError: The task predicts nothing for an image, as a generator does not.
        """
        raise UsageError(f"a model for {self.name} predicts nothing for an image; its verbs are others (--help)")


def check_explains(task: Task, explain: bool) -> None:
    """Raise UsageError where an explanation is asked for and a task's results have none."""
    if explain and type(task).explained is Task.explained:
        raise UsageError(f"a model for {task.name} gives no label to explain: --explain is for classifiers")
