"""A run: its settings from what the user said, its folder, and the way from data to a model."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import torch
from rich.console import Console
from torch import nn

from pixelry import plugins
from pixelry.card import Card, versions
from pixelry.config import (
    DataConfig,
    Recipe,
    RunConfig,
    check_value,
    load_config,
    replace,
    save_config,
    unknown_setting,
)
from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import native_size
from pixelry.errors import UsageError
from pixelry.folders import fresh_folder, is_first_process
from pixelry.machine import limit_threads
from pixelry.model import Model
from pixelry.preflight import MODEL_FILE, RUN_FILE, check_run
from pixelry.tasks.base import Form, Task
from pixelry.training.callbacks import MetricsLog
from pixelry.training.fit import CHECKPOINT, METRICS, Fit, fast_path_for, fit, fit_input, step_seconds
from pixelry.training.weights import load_weights

CONFIG = RUN_FILE
MODEL = MODEL_FILE
REPORT = "index.html"
# Pictures of many sizes are brought to this one, unless told otherwise: enough for most objects, and quick.
DEFAULT_SIDE = 128
IMAGENET_SIDE = 224
LARGEST_NATIVE_SIDE = 128
STEPS_PER_EPOCH = 20
LEAST_BATCH = 16
# What build gets from the data, and a user does not set.
GIVEN = ("channels", "size")
# Tells the processes that Lightning starts which folder the first one made.
FOLDER_VARIABLE = "PIXELRY_RUN_FOLDER"


def recipe_of(network: str, task: str, weights: str | None = None) -> Recipe:
    """Return a network's default recipe for a task: from published weights another, where its file lists one.

    Raises:
        UsageError: There is no such network, or it does not do the task.
    """
    plugin = plugins.network_for(network, task)
    transfer = getattr(plugin, "TRANSFER_RECIPES", {}) if weights in getattr(plugin, "WEIGHTS", {}) else {}
    recipe: Recipe = transfer.get(task) or plugin.RECIPES[task]
    return recipe


def apply_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Set recipe, task and network options by name: `lr`, `label_smoothing`, `width`, ...

    Raises:
        UsageError: Nobody knows a key (the message has the nearest one), or a value has the wrong type.
    """
    recipe_keys = {f.name for f in dataclasses.fields(Recipe)} - {"options"}
    task_hints = plugins.task_for(config.task, config.network).settable()
    network_hints = _network_hints(config.network, config.task)
    network_defaults = inspect.signature(plugins.network_for(config.network, config.task).build).parameters
    recipe, options, network = {}, dict(config.recipe.options), dict(config.network_options)
    for key, value in settings.items():
        if key in recipe_keys:
            recipe[key] = value
        elif key in task_hints:
            options[key] = check_value(key, value, task_hints[key])
        elif key in network_hints:
            network[key] = check_value(key, value, network_hints[key])
            _check_count(key, network[key], network_defaults[key].default)
        else:
            raise unknown_setting(key, {*recipe_keys, *task_hints, *network_hints})
    new_recipe = replace(config.recipe, {**recipe, "options": options})
    if new_recipe.augment != "none" and plugins.task_for(config.task, config.network).placed:
        raise UsageError(
            f"augment={new_recipe.augment} moves pictures, and not what {config.task} learns to find in them; it has "
            "settings of its own for this, such as mirror=0.5 (augment=none)"
        )
    return dataclasses.replace(config, recipe=new_recipe, network_options=network)


def _check_count(name: str, value: Any, default: Any) -> None:
    """Raise UsageError for a number of channels, layers or the like that is below 1, or below 0 where 0 is usual."""
    least = 0 if default == 0 else 1
    if isinstance(value, int) and not isinstance(value, bool) and value < least:
        raise UsageError(f"{name} is {value}; expected {least} or more")


def fit_batch(config: RunConfig, count: int, settings: Mapping[str, Any]) -> tuple[RunConfig, str]:
    """Make the batches of a small training set smaller, so that an epoch still has steps enough to learn from.

    The learning rate follows: in proportion for SGD (Goyal et al. 2017), by the root for AdamW (Malladi et al. 2022).

    Args:
        config: Of the run.
        count: Training images.
        settings: What the user set; whoever sets `batch` or `lr` is left alone.

    Returns:
        The configuration, and a sentence that says what was changed, "" if nothing.
    """
    recipe = config.recipe
    batch = 2 ** int(math.log2(max(LEAST_BATCH, count / STEPS_PER_EPOCH)))
    if batch >= recipe.batch or {"batch", "lr"} & set(settings):
        return config, ""
    ratio = batch / recipe.batch
    lr = float(f"{recipe.lr * (ratio if recipe.optimizer == 'sgd' else math.sqrt(ratio)):.3g}")
    note = f"{count:,} training images: batches of {batch} with lr {lr:g}, not {recipe.batch} with {recipe.lr:g}"
    return dataclasses.replace(config, recipe=dataclasses.replace(recipe, batch=batch, lr=lr)), note


def with_network_defaults(config: RunConfig) -> RunConfig:
    """Return the configuration with the network's options that nobody set, by their defaults of today.

    So a file says by itself how its network is built, and a later version may have better defaults.
    """
    parameters = inspect.signature(plugins.network_for(config.network, config.task).build).parameters
    defaults = {name: parameters[name].default for name in _network_hints(config.network, config.task)}
    options = {name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}
    return dataclasses.replace(config, network_options={**options, **config.network_options})


def _network_hints(network: str, task: str) -> dict[str, Any]:
    build = plugins.network_for(network, task).build
    hints = get_type_hints(build)
    given = {*GIVEN, *plugins.task_for(task, network).tells}
    return {name: hints[name] for name in inspect.signature(build).parameters if name not in given}


@contextmanager
def new_folder(out: str | Path | None, config: RunConfig) -> Iterator[Path]:
    """Make the folder of a new run; without a name, the next free one under `runs`.

    A run that fails before its first checkpoint takes away what it wrote, so that the next try may have the folder.

    Raises:
        ExistsError: The folder exists and is not empty.
        PixelryError: It cannot be made.
    """
    if not is_first_process():
        yield Path(os.environ[FOLDER_VARIABLE])
        return
    with fresh_folder(out, f"{config.task}-{config.network}") as folder:
        os.environ[FOLDER_VARIABLE] = str(folder)
        try:
            yield folder
        except BaseException:
            _clear_unbegun(folder)
            raise


def config_of_first_process() -> RunConfig | None:
    """Return the settings that the first process of a run decided on, None in that process itself."""
    path = Path(os.environ.get(FOLDER_VARIABLE, "")) / CONFIG
    return None if is_first_process() or not path.is_file() else load_config(path)


def _clear_unbegun(folder: Path) -> None:
    """Remove what a run writes before its first step, where there is nothing else: no checkpoint, no figures."""
    written = {path for path in folder.rglob("*") if path.is_file()}
    if written <= {folder / CONFIG}:
        (folder / CONFIG).unlink(missing_ok=True)
        for empty in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            empty.rmdir()


def resumed(folder: str | Path) -> RunConfig:
    """Return the settings of a run that is to be continued.

    Raises:
        UsageError: The folder holds no run.
    """
    check_run(folder)
    return load_config(Path(folder) / CONFIG)


def input_form(data: DataConfig, dataset: Dataset, weights: str | None, task: Task) -> tuple[int, tuple[int, int]]:
    """Return channels and (height, width) at the network: as told, as the task wants them, or by the data."""
    form = task.input_form(dataset["train"], Form(data.channels, data.size))
    channels = form.channels or dataset.channels
    if form.size is not None:
        return channels, form.size
    native = native_size(dataset["train"])
    if weights == "imagenet" and (native is None or min(native) > LARGEST_NATIVE_SIDE):
        return channels, (IMAGENET_SIDE, IMAGENET_SIDE)
    if native is not None and max(native) <= LARGEST_NATIVE_SIDE:
        return channels, native
    return channels, (DEFAULT_SIDE, DEFAULT_SIDE)


def build_network(config: RunConfig, task: Task, channels: int, size: tuple[int, int]) -> nn.Module:
    """Build the network of a run for its data."""
    plugin = plugins.network_for(config.network, config.task)
    network: nn.Module = plugin.build(channels=channels, size=size, **task.outputs(), **config.network_options)
    return network


def execute(
    config: RunConfig,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    console: Console | None = None,
    begun: float | None = None,
) -> tuple[Model, Fit, Split]:
    """Run a configuration: data to the input form, network, training, model file.

    Args:
        config: The run's settings.
        dataset: Its data, as read.
        folder: Of the run.
        resume: Continue from the folder's checkpoint where there is one.
        console: Shows progress; None shows nothing.
        begun: When the run began, by `time.perf_counter`: a budget in minutes counts from there. None counts from now.

    Returns:
        The model, how its training went, and the prepared split that its metrics are of (val, or train without one).
    """
    begun = time.perf_counter() if begun is None else begun
    limit_threads()
    config = with_network_defaults(config)
    say = console.print if console else lambda *args, **kwargs: None
    digests = {name: split.digest() for name, split in dataset.splits.items()}
    dataset = dataset.with_val(config.data.val_fraction)
    kind = plugins.task_for(config.task, config.network)
    for note in (*dataset.notes, *kind.notes(dataset)):
        say(f"data: {note}", highlight=False)
    task: Task = kind.from_dataset(dataset, **config.recipe.options)
    channels, size = input_form(config.data, dataset, config.weights, task)
    train = task.fit_split(dataset["train"], size=size, channels=channels, training=True)
    val = task.fit_split(dataset["val"], size=size, channels=channels) if "val" in dataset.splits else None
    torch.manual_seed(config.seed)
    network = build_network(config, task, channels, size)
    fit_input(network, task, train, seed=config.seed)
    if config.weights and not resume:
        for line in load_weights(network, config.weights, plugins.network_for(config.network, config.task)):
            say(f"weights: {line}: trained from scratch", highlight=False)
    path = fast_path_for(network, task, train, config, announce=partial(say, highlight=False))
    say(f"engine: {path.precision}, {path.memory_format} ({path.reason})", highlight=False)
    engine = replace(config.engine, {"precision": path.precision, "memory_format": path.memory_format})
    config = dataclasses.replace(config, engine=engine)
    if is_first_process():
        (folder / CHECKPOINT).parent.mkdir(exist_ok=True)
        save_config(config, folder / CONFIG)
    result = fit(
        network, task, config, train=train, val=val, folder=folder, resume=resume, console=console, begun=begun,
        image_seconds=step_seconds(network, task, train, config, path) if config.budget.minutes is not None else 0.0,
    )  # fmt: skip
    card = _card(config, dataset, digests, result, channels, size)
    model = Model(result.network, result.task, card, folder / MODEL)
    if result.is_main:
        model.save(folder / MODEL, overwrite=resume)
    return model, result, val if val is not None else train


def history(folder: Path, monitor: str) -> list[tuple[float, float]]:
    """Return (seconds, score) of every validation of a run."""
    return MetricsLog(folder / METRICS, step=sys.maxsize).series(f"val_{monitor}")


def _card(
    config: RunConfig, dataset: Dataset, digests: dict[str, str], result: Fit, channels: int, size: tuple[int, int]
) -> Card:
    return Card(
        task=config.task,
        network=config.network,
        channels=channels,
        size=size,
        task_options=result.task.options(),
        network_options=dict(config.network_options),
        classes=result.task.classes,
        metrics=result.evaluator.compute() if result.evaluator else {},
        data={
            "name": dataset.name,
            "source": config.data.source,
            "fingerprint": config.data.fingerprint,
            "digests": digests,
            "val_fraction": config.data.val_fraction,
        },
        training={
            "recipe": dataclasses.asdict(config.recipe),
            "budget": str(config.budget),
            "steps": result.steps,
            "kept_step": result.kept_step,
            "epochs": round(result.epochs, 3),
            "seconds": round(result.seconds, 2),
            "seed": config.seed,
            "precision": config.engine.precision,
            "memory_format": config.engine.memory_format,
            "warnings": list(result.warnings),
        },
        versions=versions(),
    )
