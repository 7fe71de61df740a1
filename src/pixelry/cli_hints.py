"""What was probably meant: hints for options that a verb does not have, and for words that have no place.

People bring the flags of other programs along. Where a verb has the same thing under another name, as an option, an
argument or a setting, the message says how it is written here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pixelry import declared, plugins
from pixelry.config import Recipe

# What ultralytics, timm, Keras, fastai, torchvision's scripts and diffusers call it: their words to ours, in the order
# in which they are looked for among the parameters of a verb and its settings.
WORDS: Mapping[str, tuple[str, ...]] = {
    "lr": ("learning-rate", "lr0", "base-lr", "init-lr", "lr-max", "max-lr"),
    "batch": ("batch-size", "bs", "b", "batchsize", "train-batch-size", "per-device-train-batch-size"),
    "size": ("img-size", "imgsz", "image-size", "img", "input-size", "resolution", "train-crop-size", "crop-size"),
    "shape": ("size", "img-size", "imgsz", "image-size", "resolution"),
    "network": ("model", "arch", "architecture", "net", "m", "a", "backbone", "name"),
    "networks": ("network", "models", "model", "archs"),
    "model": ("weights", "checkpoint", "ckpt", "network", "m", "resume"),
    "inputs": ("input", "source", "image", "images", "data", "i", "path", "file", "files", "folder"),
    "files": ("input", "inputs", "source", "image", "images", "i", "path", "file", "folder"),
    "image": ("input", "source", "i", "inputs"),
    "out": ("output", "output-dir", "out-dir", "outdir", "save-dir", "save", "project", "logdir", "dest", "o", "to"),
    "epochs": ("num-epochs", "n-epochs", "nepochs", "max-epochs", "num-train-epochs", "e", "epoch"),
    "steps": ("num-steps", "max-steps", "iterations", "iters", "max-iter", "num-inference-steps", "step"),
    "minutes": ("time", "max-time", "minute", "hours", "seconds", "budget"),
    "data": ("dataset", "data-dir", "data-path", "train-dir", "train", "input", "source", "d", "data-root", "path"),
    "test": ("test-dir", "test-data", "val", "val-dir", "val-data", "validation-data", "valid"),
    "val_fraction": ("val-split", "validation-split", "valid-pct", "val-pct", "split-ratio"),
    "optimizer": ("opt", "optim", "optimiser"),
    "weight_decay": ("wd",),
    "augment": ("augmentation", "aug", "aa", "transforms"),
    "schedule": ("sched", "scheduler", "lr-scheduler"),
    "label_smoothing": ("smoothing",),
    "weights": ("pretrained", "checkpoint", "init", "finetune", "load", "initial-checkpoint", "backbone-weights"),
    "early_stop": ("patience", "early-stopping"),
    "accelerator": ("gpu", "device", "cuda", "use-gpu", "cpu", "mps"),
    "devices": ("gpus", "num-gpus", "nproc-per-node"),
    "precision": ("amp", "fp16", "half", "bf16", "dtype", "mixed-precision"),
    "memory_format": ("channels-last",),
    "seed": ("random-seed", "random-state"),
    "confidence": ("conf", "conf-thres", "threshold", "score-threshold", "min-score", "score"),
    "overlap": ("iou", "iou-thres", "nms", "nms-threshold"),
    "only": ("classes", "class"),
    "count": ("n", "num", "num-samples", "num-images", "samples", "number"),
    "label": ("class", "class-label", "c"),
    "guidance": ("cfg", "cfg-scale", "guidance-scale"),
    "to": ("format", "output-format", "type"),
    "progress": ("quiet", "q", "silent", "verbose", "v"),
    "skip_errors": ("ignore-errors", "continue", "skip-broken", "skip"),
}
# Flags that no verb needs.
NEEDLESS = {
    "workers": "data is loaded by as many processes as this machine has use for",
    "num-workers": "data is loaded by as many processes as this machine has use for",
    "overwrite": "nothing that is there is overwritten; give another --out, or remove the old one first",
    "force": "nothing that is there is overwritten; give another --out, or remove the old one first",
    "y": "nothing is asked for",
    "debug": "it stands before the verb: pixelry --debug VERB ...",
}
SIZES = ("--size", "--shape")


def option_hint(option: str, words: Sequence[str], parameters: Sequence[Any]) -> str:
    """Return what stands after `there is no option --x`: how what was meant is written, or "".

    Args:
        option: As it was typed, such as "--lr".
        words: Of the command line, without the program's name.
        parameters: Of the verb, as click has them.
    """
    key = option.lstrip("-").lower().replace("_", "-")
    value = _value_of(option, words)
    names = [ours for ours, theirs in WORDS.items() if key in theirs]
    own = key.replace("-", "_")
    for name in (own, *names):
        if hint := _as_parameter(name, key, value, parameters):
            return hint
    settable = any(parameter.name == "settings" for parameter in parameters)
    known = known_settings(words) if settable else set()
    for name in (own, *names):
        if name in known:
            return f"; it is a setting: --set {name}={value or 'VALUE'}"
    if key in NEEDLESS:
        return f": {NEEDLESS[key]}"
    flags = [flag for parameter in parameters for flag in _flags(parameter)]
    near = get_close_matches(f"--{key}", [*flags, *(f"--{name.replace('_', '-')}" for name in known)], n=1)
    if not near:
        return ""
    if near[0] in flags:
        return f"; did you mean {near[0]}?"
    return f"; did you mean the setting --set {near[0][2:].replace('-', '_')}={value or 'VALUE'}?"


def word_hint(extra: Sequence[str], words: Sequence[str], parameters: Sequence[Any]) -> str:
    """Return what to do about words that have no place, such as the second 64 of `--size 64 64`; "" if unknown.

    Args:
        extra: The words.
        words: Of the command line, all of them.
        parameters: Of the verb, as click has them.
    """
    first = extra[0]
    place = len(words) - 1 - words[::-1].index(first) if first in words else 0  # the 64 of --size 64 64 is there twice
    flag, value = (words[place - 2], words[place - 1]) if place > 1 else ("", "")
    if flag in SIZES and first.isdigit():
        return f"; a size is one word: {flag} {value}x{first}"
    if flag == "--set" and "=" in first:
        return f"; each setting has a --set of its own: --set {value} --set {first}"
    if flag in ("--networks", "--only"):
        return f"; names are separated by commas, without spaces: {flag} {value.rstrip(',')},{','.join(extra)}"
    flags = {found for parameter in parameters for found in _flags(parameter)}
    if "--data" in flags and first in plugins.tasks.names() and place > 1:
        return f"; the task comes first: pixelry {words[0]} {first} --data {value}"
    if "--data" in flags and "--data" not in words:
        return f"; data goes with a flag: --data {first}"
    return ""


def value_problem(flag: str, problem: str, words: Sequence[str]) -> str:
    """Return what is wrong with the value of an option, in our words where click's are long."""
    expected = "a whole number" if "integer" in problem else "a number" if "number" in problem else ""
    value = _value_of(flag, words)
    return f"{flag} is '{value}'; expected {expected}" if expected and value else ""


def known_settings(words: Sequence[str]) -> set[str]:
    """Return the settings that a command line may have: those of its verb and task, of every task if it names none."""
    tasks = [name for name in plugins.tasks.names() if name in words] or plugins.tasks.names()
    found = {option for task in tasks for option in declared.options_of_task(task) or ()}
    if {"train", "compare", "plan"} & set(words[:2]):
        found |= {field.name for field in dataclasses.fields(Recipe)}
        networks = {full for task in tasks for full in declared.networks_for(task).values()}
        found |= {option for full in networks for option in declared.options_of_network(full) or ()}
    return found - {"options", "channels", "size", "classes"}


def _as_parameter(name: str, key: str, value: str, parameters: Sequence[Any]) -> str:
    """Return the hint for a parameter of the verb, "" where it has none of that name."""
    found = next((parameter for parameter in parameters if parameter.name == name), None)
    if found is None:
        return ""
    if found.param_type_name == "argument":
        return f"; the {name} is given without a flag{f': ... {value} ...' if value else ''}"
    flag = _flags(found)[-1] if name == "progress" else _flags(found)[0]
    if name == "accelerator":
        value = value if value in ("cpu", "cuda", "mps") else key if key in ("cpu", "mps") else "gpu"
    elif name == "memory_format":
        value = "channels_last"
    elif name == "precision":
        value = "bf16-mixed" if "bf" in f"{key}{value}" else "16-mixed"
    elif found.is_flag or key in ("hours", "seconds"):
        value = ""
    return f"; did you mean {flag}{f' {value}' if value else ''}?"


def _flags(parameter: Any) -> list[str]:
    """Return the flags of an option, none of an argument."""
    if parameter.param_type_name == "argument":
        return []
    return [*parameter.opts, *parameter.secondary_opts]


def _value_of(option: str, words: Sequence[str]) -> str:
    """Return the value that was typed after an option, "" if there is none."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option:
            return "" if re.match(r"--?[a-zA-Z]", following) else following
    return ""
