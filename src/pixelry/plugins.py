"""Plug-ins: a file's name is the plug-in's name, and other packages add theirs by entry points.

A folder of this package (networks, data/formats, tasks) is a registry: `networks/cnn.py` is the network `cnn`.
A file whose name starts with `_`, `base.py` and `blocks.py`, is shared code and no plug-in. A network whose
architecture is another for each task has a file in a folder of the task's name: `networks/denoise/logistic.py` is the
plug-in `denoise.logistic`, and what `logistic` means for the task denoise. A folder of tasks is one task, such as
`tasks/generate/`. Another package registers a module with an entry point in the group `pixelry.networks`,
`pixelry.formats` or `pixelry.tasks`:

    [project.entry-points."pixelry.networks"]
    my_net = "my_package.my_net"
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pixelry.errors import UsageError, unknown

SHARED = {"base", "blocks"}


@dataclass(frozen=True)
class Registry:
    """The plug-ins of one kind, found without importing them.

    Attributes:
        kind: What one of them is called in messages, such as "network".
        package: The package whose files are the plug-ins, such as "pixelry.networks".
        group: The entry-point group in which other packages register theirs.
        nested: Whether a folder in the package holds plug-ins, as those of networks do, or is one.
    """

    kind: str
    package: str
    group: str
    nested: bool = False

    @cached_property
    def _files(self) -> tuple[str, ...]:
        folder = Path(__file__).parent.joinpath(*self.package.split(".")[1:])
        return tuple(name for name in _modules(folder, nested=self.nested) if name.split(".")[-1] not in SHARED)

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        found = {point.name: point for point in entry_points(group=self.group)}
        twice = sorted(set(found) & set(self._files))
        if twice:
            raise UsageError(
                f"the installed package of entry point '{twice[0]}' in '{self.group}' takes the name of a "
                f"{self.kind} that Pixelry has; rename it there"
            )
        return found

    def names(self) -> tuple[str, ...]:
        """Return the names of all plug-ins, sorted."""
        return tuple(sorted({*self._files, *self._entry_points}))

    def load(self, name: str) -> ModuleType:
        """Import and return the module of a plug-in.

        Raises:
            UsageError: No plug-in has that name; the message has the nearest one.
        """
        if name in self._files:
            return importlib.import_module(f"{self.package}.{name}")
        if name in self._entry_points:
            module = self._entry_points[name].load()
            assert isinstance(module, ModuleType), f"entry point {name} is not a module"
            return module
        raise unknown(self.kind, name, self.names())


def _modules(folder: Path, prefix: str = "", *, nested: bool) -> Iterator[str]:
    """Yield the names of the modules in a folder and, if `nested`, in the packages in it: "cnn", "denoise.logistic"."""
    for module in pkgutil.iter_modules([str(folder)]):
        if module.name.startswith("_"):
            continue
        if module.ispkg and nested:
            yield from _modules(folder / module.name, f"{prefix}{module.name}.", nested=True)
        else:
            yield prefix + module.name


def network_for(name: str, task: str) -> ModuleType:
    """Import and return the network that a name means for a task: the task's own file, else the one for all.

    Raises:
        UsageError: There is no such task, or no network of that name does it; the message has those that do.
    """
    tasks.load(task)
    known = networks.names()
    full = f"{task}.{name}" if f"{task}.{name}" in known else name
    if full in known and task in (plugin := networks.load(full)).RECIPES:
        return plugin
    if name in known or any(other.endswith(f".{name}") for other in known):
        raise UsageError(f"{name} is no network for {task}; those that are: {', '.join(network_names(task))}")
    raise unknown("network", name, network_names(task))


def task_for(task: str, network: str) -> Any:
    """Return the class of a task for a network: networks of one task may learn in different ways.

    Raises:
        UsageError: There is no such task, or no network of that name does it.
    """
    return tasks.load(task).TASK.for_network(network_for(network, task))


def network_names(task: str) -> tuple[str, ...]:
    """Return the names of the networks that do a task, sorted."""
    able = (name for name in networks.names() if task in networks.load(name).RECIPES)
    return tuple(sorted({name.removeprefix(f"{task}.") for name in able}))


networks = Registry("network", "pixelry.networks", "pixelry.networks", nested=True)
formats = Registry("data format", "pixelry.data.formats", "pixelry.formats")
tasks = Registry("task", "pixelry.tasks", "pixelry.tasks")
