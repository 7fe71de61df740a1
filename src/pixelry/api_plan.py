"""The verb `plan`: what `train` would run, and how long it would take on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelry.api import make_console, read_dataset
from pixelry.arguments import verb


@verb
def plan(
    task: str,
    data: Any,
    *,
    network: str | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    weights: str | None = None,
    test: Any = None,
    format: str | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    val_fraction: float = 0.1,
    accelerator: str = "auto",
    precision: str = "auto",
    progress: bool = True,
) -> dict[str, Any]:
    """Show what `train` would run and how long it would take here, without training.

    A training step of each candidate is timed on a few of the images, which takes some seconds.

    Args:
        task: What to learn, such as "classify".
        data: A built-in name, a path, or data in memory.
        network: A name from `pixelry networks`; by default the strongest that can learn from the data in the time.
        epochs: Budget in passes over the training images.
        steps: Budget in steps of the optimizer.
        minutes: Budget in minutes.
        settings: Recipe, task or network settings by name.
        weights: What the network would start from.
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognized.
        size: Height and width at the network in pixels; by default as large as the time allows.
        channels: 1 for grayscale, 3 for color; by default the data's own.
        val_fraction: Part of the training images set aside for validation where the data has no such split.
        accelerator: "auto", "cpu", "gpu", ... as Lightning names them.
        precision: "auto" measures what is fastest here and right; or "32-true", "bf16-mixed".
        progress: Show on stderr what is measured.

    Returns:
        "task", "network", "size", "images", "batch", "lr", "parameters", "steps_per_pass", "seconds_per_pass",
        "passes", "minutes" of the budget (None where unknown), "sensible_minutes" that the data needs, "reason", and
        "candidates", each with its network, size, and the minutes that it needs.

    Raises:
        UsageError: An unknown name, an option out of range, options that exclude each other.
        DataError: The data cannot be read or does not fit the task.
    """
    from pixelry import preflight
    from pixelry.config import Budget, DataConfig, EngineConfig

    source = str(data) if isinstance(data, str | Path) else None
    form, budget = DataConfig(source, None, format, size, channels, val_fraction), Budget(epochs, steps, minutes)
    engine = EngineConfig(accelerator=accelerator, precision=precision)
    named = [network] if network else []
    preflight.check_training(task, data, named, settings or {}, test=test, format=format, size=size)
    preflight.check_weights(weights)
    from pixelry.choice import plan_run
    from pixelry.estimates import Request
    from pixelry.training.devices import check_engine

    check_engine(engine)
    request = Request(task, settings or {}, form, budget, engine, weights=weights)
    if network is not None:
        request.configure(network)
    console = make_console(progress)
    say = (lambda text: console.print(text, markup=False, highlight=False)) if console else (lambda text: None)
    return plan_run(request, read_dataset(data, test=test, format=format), network=network, announce=say)
