"""Estimates of a run before it begins: what it would be, and how long it would take on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pixelry import plugins, runs
from pixelry.config import Budget, DataConfig, EngineConfig, RunConfig
from pixelry.data.dataset import Dataset
from pixelry.tasks.base import Task
from pixelry.training.fit import fast_path_for, fit_input, step_seconds
from pixelry.training.pace import Size

# Part of the time of a run that training steps' losses and gradients take: the rest goes to preparing the data,
# optimizer steps, augmentation and validations.
TRAINING_SHARE = 0.7
# A run without a budget in minutes should not take longer, unless network and size are given.
DEFAULT_SECONDS = 600.0
# A step is timed on so many images, which are few enough to be decoded at once.
TIMED_IMAGES = 16

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the user asked of a run, before network and size are chosen.

    Attributes:
        task: Name of the task.
        settings: Recipe, task or network settings by name.
        data: The source, and what is known of the form of its images.
        budget: Of the run.
        engine: On what it runs.
        weights: What the network starts from, None for scratch.
        freeze: Part of the run during which only the head is trained.
        early_stop: Validations without a better score before the run ends, 0 for never.
        seed: Of everything that is random.
    """

    task: str
    settings: Mapping[str, Any]
    data: DataConfig
    budget: Budget
    engine: EngineConfig
    weights: str | None = None
    freeze: float = 0.0
    early_stop: int = 0
    seed: int = 0

    def configure(self, network: str, size: Size | None = None, dataset: Dataset | None = None) -> RunConfig:
        """Return the settings of a run with a network and an image size.

        Args:
            network: Its name.
            size: (height, width) in pixels, None for the one that was given, or the task's own.
            dataset: The data, where it was read: its fingerprint is kept, and small data gets small batches.

        Raises:
            UsageError: The network does not do the task, or has no such setting.
        """
        data = dataclasses.replace(self.data, size=size or self.data.size)
        recipe = runs.recipe_of(network, self.task, self.weights)
        config = RunConfig(
            self.task, network, data, recipe, self.budget, self.engine, weights=self.weights, freeze=self.freeze,
            early_stop=self.early_stop, seed=self.seed,
        )  # fmt: skip
        config = runs.apply_settings(config, self.settings)
        if dataset is None:
            return config
        data = dataclasses.replace(data, fingerprint=dataset.fingerprint)
        config, _ = runs.fit_batch(config, len(dataset["train"]), self.settings)
        return dataclasses.replace(config, data=data)


@dataclass(frozen=True)
class Estimate:
    """What a run would be.

    Attributes:
        config: The run's settings.
        channels: At the network.
        size: (height, width) at the network in pixels.
        images: Training images, or patches of them, in a pass.
        seconds_per_pass: Expected, on this machine; None where nothing could be timed.
    """

    config: RunConfig
    channels: int
    size: Size
    images: int
    seconds_per_pass: float | None

    @property
    def seconds(self) -> float | None:
        """Expected seconds of training: the budget's minutes, or what its passes take."""
        if self.config.budget.minutes is not None:
            return 60 * self.config.budget.minutes
        return None if self.seconds_per_pass is None else self.passes * self.seconds_per_pass

    @property
    def steps_per_pass(self) -> int:
        """Steps that make one pass over the training images."""
        return max(1, self.images // min(self.config.recipe.batch, self.images))

    @property
    def passes(self) -> float:
        """Passes over the training images that the run will make, 0 where that is not known."""
        budget = self.config.budget
        if budget.minutes is not None:
            return 60 * budget.minutes / self.seconds_per_pass if self.seconds_per_pass else 0.0
        if budget.steps is not None:
            return budget.steps / self.steps_per_pass
        return float(budget.epochs or self.config.recipe.epochs)

    @property
    def min_passes(self) -> float:
        """Passes that a network of the task needs to learn from the data."""
        kind = plugins.task_for(self.config.task, self.config.network)
        return max(kind.min_passes, kind.min_steps / self.steps_per_pass)

    @property
    def min_minutes(self) -> float | None:
        """Minutes in which the run sees the data often enough."""
        return None if self.seconds_per_pass is None else self.min_passes * self.seconds_per_pass / 60

    @property
    def fits(self) -> bool:
        """Whether a run in minutes sees the data often enough, and any other is over soon enough."""
        if self.seconds_per_pass is None:
            return True
        if self.config.budget.minutes is None:
            return (self.seconds or 0.0) <= DEFAULT_SECONDS
        return self.passes >= self.min_passes

    def __str__(self) -> str:
        return f"{self.config.network} at {self.size[0]}x{self.size[1]}"


def task_of(config: RunConfig, dataset: Dataset) -> Task:
    """Return the task of a run, with its options."""
    kind = plugins.task_for(config.task, config.network)
    task: Task = kind.from_dataset(dataset, **config.recipe.options)
    return task


def estimate(config: RunConfig, dataset: Dataset, seconds_per_pixel: float | None, *, images: int = 0) -> Estimate:
    """Return what a run would be.

    Args:
        config: The run's settings.
        dataset: The data, with its validation split.
        seconds_per_pixel: Of a training step, None where it was not timed.
        images: Training images, or patches of them; by default those of the data.
    """
    channels, size = runs.input_form(config.data, dataset, config.weights, task_of(config, dataset))
    images = images or len(dataset["train"])
    seconds = None
    if seconds_per_pixel is not None:
        seconds = seconds_per_pixel * size[0] * size[1] * images / TRAINING_SHARE
    return Estimate(config, channels, size, images, seconds)


def seconds_per_pixel(
    config: RunConfig, dataset: Dataset, *, budget: float, announce: Announce = lambda text: None
) -> float:
    """Return how many seconds a training step takes for a pixel at the network, timed on a few images.

    Args:
        config: The run's settings.
        dataset: The data, with its validation split.
        budget: Seconds that the measurement may take.
        announce: Receives a line of text before anything is measured.
    """
    config = runs.with_network_defaults(config)
    task = task_of(config, dataset)
    channels, size = runs.input_form(config.data, dataset, config.weights, task)
    few = dataset["train"].subset(_spread(len(dataset["train"])))
    train = task.fit_split(few, size=size, channels=channels, training=True)
    network = runs.build_network(config, task, channels, size)
    fit_input(network, task, train, seed=config.seed)
    path = fast_path_for(network, task, train, config, budget=budget, announce=announce)
    return step_seconds(network, task, train, config, path) / (size[0] * size[1])


def _spread(count: int) -> Sequence[int]:
    """Return a few indices of `count` images, at equal distances."""
    return torch.linspace(0, count - 1, min(count, TIMED_IMAGES)).round().long().tolist()
