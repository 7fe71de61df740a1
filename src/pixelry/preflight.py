"""What a verb checks before it loads torch or reads data: names, paths, budgets and folders.

A typo is so refused within the time that Python takes to start. What only an import or the data can tell is checked
later, by the verbs themselves; nothing that passes here is promised to be right.
"""

from __future__ import annotations

import dataclasses
import glob
import math
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelry import declared, plugins
from pixelry.config import DataConfig, Recipe, parse_settings, replace, unknown_setting
from pixelry.data.known import BUILT_IN_NAMES, DOWNLOADS, find_data, nearest_path
from pixelry.errors import ExistsError, ImageError, ModelError, UsageError, unknown
from pixelry.folders import check_folder, is_first_process

MODEL_FILE, MODEL_SUFFIX = "model.safetensors", ".safetensors"
RUN_FILE = "config.yaml"
# Options of `train` that a rung of a comparison may have beside recipe, task and network settings.
RUNG_OPTIONS = ("weights", "freeze", "size")
# Left in a tour's folder, which a later tour may write anew.
TOUR_MARK = ".pixelry-tour"
# Files of weights of other programs, and pickles: nothing that Pixelry reads.
FOREIGN_MODELS = (".pt", ".pth", ".ckpt", ".bin", ".h5", ".keras", ".pkl", ".onnx", ".tflite", ".pb")


def check_task(task: str) -> None:
    """Raise UsageError unless there is a task of that name."""
    if task not in plugins.tasks.names():
        raise unknown("task", task, plugins.tasks.names())


def check_network(network: str, task: str) -> None:
    """Raise UsageError unless a network of that name does the task, as far as its source says."""
    names = plugins.networks.names()
    able = declared.networks_for(task)
    foreign = network in names and declared.tasks_of(network) is None
    if network in able or foreign:
        return
    if network in names or any(name.endswith(f".{network}") for name in names):
        raise UsageError(f"{network} is no network for {task}; those that are: {', '.join(sorted(able))}")
    raise unknown("network", network, able)


def check_settings(settings: Mapping[str, Any], task: str, networks: Sequence[str] = ()) -> None:
    """Raise UsageError for a setting that neither recipe, task nor network can have, or a recipe's wrong value.

    Args:
        settings: By name.
        task: A task that there is.
        networks: Those that take the settings; none if it is not known yet, which leaves any of the task's open.
    """
    recipe = {field.name for field in dataclasses.fields(Recipe)}
    replace(Recipe(), {name: value for name, value in settings.items() if name in recipe - {"options", "augment"}})
    able = declared.networks_for(task)
    options = [declared.options_of_network(able.get(name, name)) for name in networks or able]
    of_task = declared.options_of_task(task)
    if of_task is None or None in options:
        return
    known = recipe.union(of_task, *(found for found in options if found)) - {"options", "channels", "size", "classes"}
    for name in settings:
        if name not in known:
            raise unknown_setting(name, known)


def check_data(source: Any, format: str | None = None) -> None:
    """Raise unless data given by name or path exists, and its format has a reader."""
    if format is not None and format not in plugins.formats.names():
        raise unknown("data format", format, plugins.formats.names())
    if isinstance(source, str | Path) and (format is not None or source not in {*BUILT_IN_NAMES, *DOWNLOADS}):
        if looks_like_model(source) and not Path(source).is_dir():
            raise UsageError(f"{source} is a model file, and data was expected: a built-in name, a folder or a file")
        find_data(source)


def check_out(out: str | Path | None) -> None:
    """Raise unless the folder for a verb's results is new or empty; Lightning's further processes find it filled."""
    if out is not None and is_first_process():
        check_folder(out)


def check_out_file(out: str | Path | None) -> None:
    """Raise unless a file for one picture is new and has the suffix of an image format."""
    if out is None:
        return
    from pixelry.pixels.encode import format_of

    format_of(Path(out))
    if Path(out).exists():
        raise ExistsError(f"{out} exists; give another --out, or remove it first (nothing is overwritten)")


def check_training(
    task: str,
    data: Any,
    networks: Iterable[str],
    settings: Mapping[str, Any],
    *,
    test: Any = None,
    format: str | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    val_fraction: float = 0.1,
    out: str | Path | None = None,
) -> None:
    """Check what `train` and `compare` were given; a network may have settings of its own, as in cnn:width=32."""
    check_task(task)
    rungs = [rung.split(":") for rung in networks]
    for name, *_ in rungs:
        check_network(name, task)
    check_settings(settings, task, [name for name, *_ in rungs])
    DataConfig(size=size, channels=channels, val_fraction=val_fraction)
    for name, *own in rungs:
        given = parse_settings(own)
        check_settings({key: value for key, value in given.items() if key not in RUNG_OPTIONS}, task, [name])
    check_data(data, format)
    if test is not None:
        check_data(test, format)
    check_out(out)


def check_weights(weights: str | None) -> None:
    """Raise UsageError where weights are given by a path at which there is nothing."""
    if weights and ("/" in weights or Path(weights).suffix) and not Path(weights).exists():
        near = nearest_path(Path(weights))
        raise UsageError(f"there are no weights in {weights}{f'; did you mean {near!r}?' if near else ''}")


def check_run(folder: str | Path) -> None:
    """Raise UsageError unless a folder holds a run that can be resumed."""
    if not (Path(folder) / RUN_FILE).is_file():
        raise UsageError(f"{folder} holds no run to resume: there is no {RUN_FILE} in it")


def looks_like_model(source: Any) -> bool:
    """Return whether something is named as a model file, or is a run's folder with one."""
    if not isinstance(source, str | Path):
        return False
    return Path(source).suffix == MODEL_SUFFIX or (Path(source) / MODEL_FILE).is_file()


def check_model(model: Any, other: Any = None, *, usage: str = "", results: bool = False) -> None:
    """Raise unless a model given by its path exists.

    Args:
        model: As the verb was given it.
        other: What the verb was given beside it: where that is the model, the two were swapped.
        usage: The right order, for that message, with {model} and {other} in it.
        results: Whether a .json file of results will do.

    Raises:
        UsageError: Model and other are swapped.
        ModelError: There is no such file, or it is none of Pixelry's.
    """
    if not isinstance(model, str | Path):
        return
    path = Path(model)
    others = list(other) if isinstance(other, list | tuple) else [other]
    swapped = [item for item in others if looks_like_model(item)]
    if swapped and not looks_like_model(model):
        right = usage.format(model=swapped[0], other=model)
        raise UsageError(f"the model comes first, and {model} is none: {right}")
    if path.suffix.lower() in FOREIGN_MODELS:
        raise ModelError(f"{path} is no model file of Pixelry's, which end in {MODEL_SUFFIX}; no other kind is read")
    if results and path.suffix == ".json" and path.is_file():
        return
    file = path / MODEL_FILE if path.is_dir() else path
    if file.is_file() and file.suffix == MODEL_SUFFIX:
        return
    if path.is_file():
        raise ModelError(f"{path} is no model file: the first argument is a run's folder or a {MODEL_SUFFIX} file")
    if (path / RUN_FILE).is_file():
        raise ModelError(
            f"the run in {path} left no {MODEL_FILE}; `pixelry train --resume {path}` goes on from its last checkpoint"
        )
    near = nearest_path(path)
    hint = f"; did you mean '{near}'?" if looks_like_model(near) else ""
    raise ModelError(
        f"there is no model file {file}{hint or '; `pixelry train ... --out DIR` leaves DIR/model.safetensors'}"
    )


def check_inputs(inputs: Any) -> None:
    """Raise unless each image or folder that was given by its path exists, and each pattern matches.

    Videos are left to `pixelry.video`, which knows cameras and streams too.
    """
    for item in inputs if isinstance(inputs, list | tuple) else [inputs]:
        text = str(item)
        if not isinstance(item, str | Path) or "://" in text or text.isdigit() or Path(item).exists():
            continue
        if (mimetypes.guess_type(text)[0] or "").startswith("video/"):
            continue
        if glob.has_magic(text):
            if next(glob.iglob(text, recursive=True), None) is None:  # noqa: PTH207 (absolute patterns)
                raise UsageError(f"no image files in '{item}': nothing matches the pattern")
            continue
        near = nearest_path(Path(item))
        raise ImageError(f"there is no file {item}{f'; did you mean {near!r}?' if near else ''}")


def check_numbers(**numbers: float | None) -> None:
    """Raise UsageError for a number that is given and not above 0."""
    for name, value in numbers.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{name} is {value}; it must be above 0")


def check_writer(to: str) -> None:
    """Raise UsageError unless there is a writer of that format."""
    files = (declared.HERE / "data" / "writers").glob("[!_]*.py")
    names = sorted(file.stem for file in files if file.stem != "base")
    if to not in names:
        raise unknown("format to write", to, names)


def check_tour(out: str | Path, seconds: float) -> None:
    """Raise unless the tour's folder is new, empty, or that of an earlier tour."""
    check_numbers(seconds=seconds)
    folder = Path(out)
    if (folder / TOUR_MARK).is_file():
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ExistsError(
            f"{folder} is not empty, and holds something that is no tour; give another --out (nothing is overwritten)"
        )
    check_folder(out)
