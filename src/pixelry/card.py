"""The card of a model file: what it says of itself beside its weights, as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pixelry.errors import ModelError
from pixelry.reports.metrics import find_metric, format_metric

CARD_VERSION = 1
# Classes that a line names.
MAX_NAMES = 12


@dataclass(frozen=True)
class Card:
    """What a model file says of itself, beside its weights.

    Attributes:
        task: Name of the task, and its options.
        network: Name of the network.
        network_options: Keyword arguments of its `build`, beside channels, size and classes.
        classes: Class names, in the order of the outputs.
        channels: Of the input: 1 or 3.
        size: (height, width) of the input in pixels.
        metrics: Reached on the validation split.
        data: Name, source, fingerprint, validation fraction of the data it was trained on.
        training: Recipe, budget, steps, seconds, seed, precision.
        versions: Of Pixelry, torch and Python.
    """

    task: str
    network: str
    channels: int
    size: tuple[int, int]
    task_options: Mapping[str, Any] = field(default_factory=dict)
    network_options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    version: int = CARD_VERSION

    def __post_init__(self) -> None:
        sizes_ok = len(self.size) == 2 and all(isinstance(side, int) and 0 < side < 2**16 for side in self.size)
        if not sizes_ok or self.channels not in (1, 3):
            raise ModelError(
                f"the input is {self.channels} channels of {self.size}; expected 1 or 3 of (height, width)"
            )
        if not all(isinstance(name, str) for name in self.classes):
            raise ModelError("class names must be strings")

    def facts(self) -> dict[str, str]:
        """Return what people want to know first, name and text, for a notebook."""
        more = len(self.classes) - MAX_NAMES
        names = ", ".join(self.classes[:MAX_NAMES]) + (f", and {more:,} more" if more > 0 else "")
        done = self.training
        trained = f"{done['epochs']:g} epochs, {done['steps']:,} steps, {done['seconds']:,.0f} s" if done else ""
        scores = {find_metric(key, self.task): value for key, value in self.metrics.items()}
        validation = (
            f"{info.title} {format_metric(info.key, value)}"
            for info, value in scores.items()
            if info and not info.key.endswith(("_low", "_high"))
        )
        return {
            "trained on": str(self.data.get("name", "")),
            "classes": f"{len(self.classes)}: {names}" if self.classes else "",
            "input": f"{self.size[1]}x{self.size[0]} pixels, {'grey' if self.channels == 1 else 'color'}",
            "validation": ", ".join(validation),
            "training": trained,
        }


def versions() -> dict[str, str]:
    """Return the versions that a card records."""
    from importlib.metadata import version

    return {"pixelry": version("pixelry"), "torch": torch.__version__, "python": platform.python_version()}


def read_card(path: Path, text: str) -> Card:
    """Return the card of a model file from its JSON.

    Raises:
        ModelError: It cannot be understood, or was written by a newer version.
    """
    try:
        raw = json.loads(text)
        version = raw["version"]
        if version > CARD_VERSION:
            raise ModelError(f"{path} was written by a newer Pixelry (card {version}); upgrade: pip install -U pixelry")
        raw["size"], raw["classes"] = tuple(raw["size"]), tuple(raw["classes"])
        return Card(**raw)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: the card cannot be understood: {error}") from None
