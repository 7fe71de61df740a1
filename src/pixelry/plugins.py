"""Plug-ins: a file's name is the plug-in's name, and other packages add theirs by entry points.

A folder of this package (networks, data/formats, tasks) is a registry: `networks/cnn.py` is the network `cnn`.
A file whose name starts with `_`, `base.py` and `blocks.py`, is shared code and no plug-in. Another package registers
a module with an entry point in the group `pixelry.networks`, `pixelry.formats` or `pixelry.tasks`:

    [project.entry-points."pixelry.networks"]
    my_net = "my_package.my_net"
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from pixelry.errors import UsageError, unknown

SHARED = {"base", "blocks"}


@dataclass(frozen=True)
class Registry:
    """The plug-ins of one kind, found without importing them.

    Attributes:
        kind: What one of them is called in messages, such as "network".
        package: The package whose files are the plug-ins, such as "pixelry.networks".
        group: The entry-point group in which other packages register theirs.
    """

    kind: str
    package: str
    group: str

    @cached_property
    def _files(self) -> tuple[str, ...]:
        folder = Path(__file__).parent.joinpath(*self.package.split(".")[1:])
        names = (module.name for module in pkgutil.iter_modules([str(folder)]))
        return tuple(name for name in names if not name.startswith("_") and name not in SHARED)

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


networks = Registry("network", "pixelry.networks", "pixelry.networks")
formats = Registry("data format", "pixelry.data.formats", "pixelry.formats")
tasks = Registry("task", "pixelry.tasks", "pixelry.tasks")
