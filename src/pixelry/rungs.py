"""The rungs of a comparison: a network and its own settings, as text such as "resnet18:weights=imagenet:lr=0.001"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pixelry import plugins
from pixelry.arguments import parse_size
from pixelry.config import Budget, DataConfig, EngineConfig, RunConfig, parse_settings
from pixelry.errors import UsageError
from pixelry.preflight import RUNG_OPTIONS
from pixelry.runs import apply_settings, recipe_of


def parse_rung(text: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the network of a rung, its settings, and its options of `train`.

    Raises:
        UsageError: A part is not KEY=VALUE, or a size is none.

    Examples:
        >>> parse_rung("resnet18:weights=imagenet:size=64x96:lr=0.001")
        ('resnet18', {'lr': 0.001}, {'weights': 'imagenet', 'size': (64, 96)})
    """
    network, *parts = text.split(":")
    given = parse_settings(parts)
    options = {name: given.pop(name) for name in RUNG_OPTIONS if name in given}
    if "size" in options:
        options["size"] = parse_size(options["size"])
    if "weights" in options:
        options["weights"] = str(options["weights"])
    return network, given, options


def check_rung(text: str, task: str, settings: Mapping[str, Any]) -> None:
    """Raise UsageError unless a rung can be trained: its network does the task and has its settings and its weights.

    Args:
        text: The rung.
        task: Name of the task.
        settings: Those of all rungs; the rung's own come before them.
    """
    network, own, options = parse_rung(text)
    weights = options.get("weights")
    recipe = recipe_of(network, task, weights)
    freeze = options.get("freeze", 0.0)
    if freeze != "backbone" and (isinstance(freeze, bool) or not isinstance(freeze, int | float)):
        raise UsageError(f"{text}: freeze is '{freeze}'; expected 'backbone', or the part of the run, from 0 to 1")
    config = RunConfig(
        task,
        network,
        DataConfig(None, size=options.get("size")),
        recipe,
        Budget(),
        EngineConfig(),
        weights=weights,
        freeze=1.0 if freeze == "backbone" else float(freeze),
    )
    apply_settings(config, {**settings, **own})
    if weights is not None:
        _check_weights(text, weights, plugins.network_for(network, task))


def _check_weights(text: str, weights: str, plugin: ModuleType) -> None:
    """Raise UsageError for weights that are not there, before the rungs ahead of this one have been trained."""
    known = [*getattr(plugin, "WEIGHTS", {})]
    if weights not in known and not Path(weights).is_file():
        raise UsageError(
            f"{text}: weights '{weights}' are no file, and {plugin.__name__.rpartition('.')[2]} has "
            f"{', '.join(known) if known else 'none by name'}"
        )


def folder_name(rung: str) -> str:
    """Return a rung's name as a folder's: "cnn:width=32" is "cnn-width-32"."""
    return re.sub(r"[^\w.]+", "-", rung)
