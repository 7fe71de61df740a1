"""What is meant by a call that does not fit a verb's signature: a name of another library, or a setting."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pixelry.config import Recipe
from pixelry.errors import did_you_mean

# Names that other libraries use, and what they are called here; a verb's own name of that kind is never replaced.
SYNONYMS = {
    "batch_size": "batch",
    "learning_rate": "lr",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "max_epochs": "epochs",
    "max_steps": "steps",
    "model": "network",
    "dataset": "data",
    "img_size": "size",
    "image_size": "size",
    "imgsz": "size",
    "conf": "confidence",
    "threshold": "confidence",
    "iou": "overlap",
    "output": "out",
    "verbose": "progress",
    "device": "accelerator",
}


def misfit(called: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return what is wrong with a call, "" where it is none of the usual mistakes."""
    parameters = signature.parameters
    by_position = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    shown = [name for name in by_position if name != "self"]
    for name, value in kwargs.items():
        if name not in parameters:
            return (
                f"{called}() has no argument '{name}'{_hint(name, value, list(parameters), by_position[: len(args)])}"
            )
    if len(args) > len(by_position):
        by_name = next((p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY), None)
        extra = args[len(by_position)]
        example = f", such as {by_name}={brief(extra)}" if isinstance(extra, str | numbers.Number) else ""
        others = f"give the others by name{example}" if by_name else "no more"
        return f"{called}() takes {' and '.join(shown)} by position; {others}"
    missing = [name for name in by_position[len(args) :] if parameters[name].default is inspect.Parameter.empty]
    missing += [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    missing = [name for name in missing if name not in kwargs]
    return f"{called}() needs {' and '.join(missing)}" if missing else ""


def _hint(name: str, value: Any, known: Sequence[str], given: Sequence[str]) -> str:
    """Return what is meant by an argument that a function does not have."""
    recipe = {field.name for field in fields(Recipe)} - {"options"}
    meant = SYNONYMS.get(name, name)
    if meant in known and meant not in given:
        return f"; did you mean {meant}={brief(value)}?"
    if "settings" not in known:
        return did_you_mean(name, [each for each in known if each != "self"])
    trains = bool({"network", "networks"} & set(known))
    if meant in recipe and trains:
        return f": it is a setting: settings={{'{meant}': {brief(value)}}}"
    near = did_you_mean(name, [*known, *(recipe if trains else ())])
    if near.startswith("; did you mean"):
        return near
    return f"; options of the task and the network go into settings={{'{name}': {brief(value)}}}"


def brief(value: Any) -> str:
    """Return a value as a short text for a message."""
    if value is None or isinstance(value, str | numbers.Number):
        text = repr(getattr(value, "item", lambda: value)())
    elif isinstance(value, list | tuple) and len(value) <= 4 and all(isinstance(v, str | int | float) for v in value):
        text = repr(value)
    else:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"
