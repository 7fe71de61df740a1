"""Choose a network and an image size that can learn from the data, in the time given, on this machine.

Each task lists candidates, strongest and slowest first. A training step of each candidate network is timed on a few of
the user's images (and the time kept on disk); work grows with the number of pixels. The first candidate that sees the
training images often enough within the budget is chosen, else the last and fastest one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pixelry import plugins, runs
from pixelry.config import RunConfig
from pixelry.data.dataset import Dataset
from pixelry.errors import ModelError, UsageError
from pixelry.estimates import Announce, Estimate, Request, estimate, seconds_per_pixel, task_of
from pixelry.model import load_model
from pixelry.tasks.base import Candidate
from pixelry.training.fit import measuring_budget

# Of the networks that have weights by a name, the one to take where it is among them.
TRANSFER_NETWORK = "resnet18"


@dataclass(frozen=True)
class Choice:
    """The chosen run, and the stronger ones that the budget has no room for, strongest first."""

    chosen: Estimate
    stronger: tuple[Estimate, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether the choice is one between several, by their speed."""
        return self.chosen.seconds_per_pass is not None

    @property
    def reason(self) -> str:
        """Why this network and size, and what a longer budget would choose, in a sentence."""
        run = self.chosen
        if run.seconds_per_pass is None:
            return f"{run}"
        passes = f"{_count(run.passes)} passes over {run.images:,} images"
        if run.config.budget.minutes is None:
            text = f"{run}: {passes} take about {_duration(run.seconds or 0)}"
            others = [f"; {other} would take {_duration(other.seconds or 0)}" for other in self.stronger[-1:]]
            return "".join([text, *others])
        text = f"{run}: about {passes} fit into {run.config.budget}"
        if not run.fits:
            needed = f"{_count(run.min_passes)} passes, for which it takes --minutes {run.min_minutes or 0:.2g}"
            return f"{text}, fewer than the {needed}"
        # The nearest of the stronger ones is what a somewhat longer budget chooses.
        others = [f"; with --minutes {other.min_minutes or 0:.2g} it would be {other}" for other in self.stronger[-1:]]
        return "".join([text, *others])


def choose(request: Request, dataset: Dataset, *, network: str | None = None, announce: Announce = print) -> Choice:
    """Return the strongest candidate for which the budget suffices, else the fastest.

    On a GPU it is the strongest: its time is not measured.

    Args:
        request: What the user asked for; only candidates of its size count where it has one.
        dataset: The data, as read.
        network: Only candidates of this network.
        announce: Receives a line of text before anything is measured.

    Raises:
        UsageError: No candidate has the settings of the request.
    """
    default = network or plugins.tasks.load(request.task).TASK.recommended
    plugins.task_for(request.task, default).from_dataset(dataset)  # data that the task cannot use is refused here
    configs = _candidates(request, dataset, network)
    dataset = dataset.with_val(request.data.val_fraction)
    if len(configs) == 1 or (torch.cuda.is_available() and request.engine.accelerator != "cpu"):
        return Choice(estimate(configs[0], dataset, None))
    budget = measuring_budget(request.budget) / 2 / len({config.network for config in configs})
    estimates: list[Estimate] = []
    times: dict[str, float] = {}
    for config in configs:
        if config.network not in times:
            # The smallest size of a network is the quickest to time.
            smallest = [other for other in configs if other.network == config.network][-1]
            times[config.network] = seconds_per_pixel(smallest, dataset, budget=budget, announce=announce)
        estimates.append(estimate(config, dataset, times[config.network]))
        if estimates[-1].fits:
            break
    return Choice(estimates[-1], tuple(estimates[:-1]))


def decide(
    request: Request, dataset: Dataset, *, network: str | None = None, console: Console | None = None
) -> RunConfig:
    """Return the settings of a run with network and size, and print what was chosen and why.

    Args:
        request: What the user asked for.
        dataset: The data, as read.
        network: The network that the user named.
        console: Where to print; None prints nothing.
    """
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True) if console else lambda text: None
    if network is None or request.data.size is None:
        decided = runs.config_of_first_process()
        if decided is not None:  # all processes of a run train the same network
            return decided
        choice = choose(request, dataset, network=network, announce=say)
        config = choice.chosen.config
        if choice.timed or network is None:
            say(f"network: {choice.reason}")
    else:
        config = request.configure(network, request.data.size, dataset)
    _, note = runs.fit_batch(request.configure(config.network), len(dataset["train"]), request.settings)
    if note:
        say(f"data: {note}")
    return config


def _candidates(request: Request, dataset: Dataset, network: str | None) -> list[RunConfig]:
    """Return the settings of each candidate that has the options the user set, strongest first."""
    kind = plugins.tasks.load(request.task).TASK
    fixed = network or network_for_weights(request.task, request.weights)
    listed = kind.candidates(dataset["train"])
    if request.weights and fixed:
        listed = (Candidate(fixed), *listed)  # the size that published weights are used at comes first
    pairs = dict.fromkeys((fixed or one.network, request.data.size or one.size) for one in listed)
    configs, errors = [], []
    for name, size in pairs:
        try:
            configs.append(request.configure(name, size, dataset))
        except UsageError as error:
            errors.append(error)
    if not configs:
        raise errors[0]
    return configs


def network_for_weights(task: str, weights: str | None) -> str | None:
    """Return the network that weights are for: a model file's own, or one that lists them; None if unknown."""
    if weights is None:
        return None
    if Path(weights).is_file():
        with suppress(ModelError):  # a state dict of another program has no card
            card = load_model(weights).card
            return card.network if card.task == task else None
        return None
    able = [name for name in plugins.network_names(task) if weights in _weights_of(name, task)]
    return TRANSFER_NETWORK if TRANSFER_NETWORK in able else (able[0] if able else None)


def _weights_of(network: str, task: str) -> Mapping[str, Any]:
    weights: Mapping[str, Any] = getattr(plugins.network_for(network, task), "WEIGHTS", {})
    return weights


def _count(number: float) -> str:
    """Return a number of passes as people write it: 4.2, 16, 1,200."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def plan_run(
    request: Request, dataset: Dataset, *, network: str | None = None, announce: Announce = print
) -> dict[str, Any]:
    """Return what `train` would run: its settings, its speed, and a sensible budget; see the verb `plan`."""
    choice = choose(request, dataset, network=network, announce=announce)
    config = choice.chosen.config
    whole = dataset.with_val(request.data.val_fraction)
    run = choice.chosen
    if run.seconds_per_pass is None and not torch.cuda.is_available():
        budget = measuring_budget(request.budget)
        run = estimate(config, whole, seconds_per_pixel(config, whole, budget=budget, announce=announce))
    module = runs.build_network(config, task_of(config, whole), run.channels, run.size)
    budget_minutes = None if run.seconds is None else round(run.seconds / 60, 2)
    return {
        "task": request.task,
        "network": config.network,
        "size": list(run.size),
        "images": run.images,
        "batch": config.recipe.batch,
        "lr": config.recipe.lr,
        "parameters": sum(p.numel() for p in module.parameters()),
        "steps_per_pass": run.steps_per_pass,
        "seconds_per_pass": None if run.seconds_per_pass is None else round(run.seconds_per_pass, 2),
        "passes": round(run.passes, 1),
        "minutes": budget_minutes,
        "sensible_minutes": None if run.min_minutes is None else round(run.min_minutes, 2),
        "reason": Choice(run, choice.stronger).reason,
        "candidates": [_candidate_row(other) for other in (*choice.stronger, run)],
    }


def _candidate_row(run: Estimate) -> dict[str, Any]:
    minutes = None if run.min_minutes is None else round(run.min_minutes, 2)
    return {"network": run.config.network, "size": list(run.size), "sensible_minutes": minutes}
