"""What networks and tasks declare, read from their source text: names and options are known before torch is loaded.

Every answer is exact or None: what a file computes, and what lies in other packages, is for the import to find out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pixelry import plugins

HERE = Path(__file__).parent


@cache
def tasks_of(network: str) -> frozenset[str] | None:
    """Return the tasks that a network's file lists in `RECIPES`; None where they cannot be read.

    Args:
        network: A plug-in's full name, such as "cnn" or "denoise.unet".
    """
    if "." in network:
        return frozenset({network.split(".")[0]})
    value = _assigned(HERE.joinpath("networks", f"{network}.py"), "RECIPES")
    keys = value.keys if isinstance(value, ast.Dict) else ()
    names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return frozenset(names) if keys and len(names) == len(keys) else None


@cache
def options_of_network(network: str) -> frozenset[str] | None:
    """Return the keyword arguments of a network's `build`; None where they cannot be read.

    Args:
        network: A plug-in's full name.
    """
    file = HERE.joinpath("networks", *network.split(".")).with_suffix(".py")
    found = [_build(node) for node in _body(file)]
    if _assigned(file, "build") is not None:
        # Made by a function that the files of a folder share, such as one network in several sizes.
        shared = file.parent.glob("_*.py")
        found = [_build(node) for other in shared for top in _body(other) for node in ast.walk(top)]
    names = [options for options in found if options is not None]
    return frozenset().union(*names) if names else None


def _build(node: ast.AST) -> frozenset[str] | None:
    """Return the arguments of `build`, None of anything else."""
    if isinstance(node, ast.FunctionDef) and node.name == "build":
        return frozenset(argument.arg for argument in (*node.args.args, *node.args.kwonlyargs))
    return None


@cache
def options_of_task(task: str) -> frozenset[str] | None:
    """Return every name that may be an option of a task: of its files, and of those that tasks share.

    None where the task is no part of this package.
    """
    home = HERE / "tasks"
    files = [*(home / task).rglob("*.py")] if (home / task).is_dir() else [*home.glob(f"{task}.py")]
    if not files:
        return None
    shared = (home / "base.py", *home.glob("_*.py"))
    classes = [node for file in (*files, *shared) for node in _body(file) if isinstance(node, ast.ClassDef)]
    return frozenset(name for node in _derived(classes, "Task") for name in _fields(node))


def networks_for(task: str) -> dict[str, str]:
    """Return the networks that do a task for sure, short name to full name."""
    found = {}
    for full in sorted(plugins.networks.names(), key=lambda name: "." in name):
        if task in (tasks_of(full) or ()):
            found[full.removeprefix(f"{task}.")] = full
    return found


def _body(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []


def _assigned(file: Path, name: str) -> ast.expr | None:
    """Return the value that a module assigns to a name."""
    for node in _body(file):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            assert isinstance(node, ast.Assign)
            return node.value
    return None


def _derived(classes: list[ast.ClassDef], root: str) -> list[ast.ClassDef]:
    """Return a class and those that derive from it, by name."""
    names: set[str] = {root}
    while more := {node.name for node in classes if names & {ast.unparse(base) for base in node.bases}} - names:
        names |= more
    return [node for node in classes if node.name in names]


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield the annotated names of a class; class variables are none that a user sets."""
    for inner in node.body:
        own = isinstance(inner, ast.AnnAssign) and "ClassVar" not in ast.unparse(inner.annotation)
        name = ast.unparse(inner.target) if isinstance(inner, ast.AnnAssign) else ""
        if own and name != "classes":
            yield name
