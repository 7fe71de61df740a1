"""`pixelry pixels OPERATION FILES --out DIR`: the operations of `pixelry.pixels` over many files.

Apart from `cli`, because the operations' signatures live beside NumPy, and `pixelry --help` is to answer at once.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import typer
from rich.console import Console
from rich.progress import Progress

from pixelry.cli import JSON, fail, print_json
from pixelry.pixels import OPERATIONS, BatchResult, auto_orient, inspect_files, process, strip_metadata
from pixelry.region_files import measure_files
from pixelry.signatures import command, parameter_help, summary

OF_PROCESS = ("format", "quality", "to_srgb", "pages", "stack", "overwrite", "jobs")


def register(home: typer.Typer) -> None:
    """Add `info` and every operation to the group `pixelry pixels`."""
    run = command(inspect_files, _info, skip=("on_progress",), extra={"as_json": JSON})
    home.command("info", help=run.__doc__, short_help=summary(inspect_files))(run)
    run = command(measure_files, _measure, options=("out",), extra={"as_json": JSON})
    home.command("measure", help=run.__doc__, short_help=summary(measure_files))(run)
    for name, operation in OPERATIONS.items():
        verb = _over_files(name, operation)
        run = command(verb, _acting(name), options=_required(verb), extra={"as_json": JSON})
        home.command(name, help=run.__doc__, short_help=summary(operation))(run)
    for name, verb in (("auto-orient", auto_orient), ("strip-metadata", strip_metadata)):
        run = command(verb, _rewriting(name, verb), options=("out",), skip=("on_progress",), extra={"as_json": JSON})
        home.command(name, help=run.__doc__, short_help=summary(verb))(run)


def _measure(as_json: bool = False, **given: Any) -> None:
    tables = measure_files(**given)
    if as_json:
        print_json(tables.to_dict())
    else:
        print("\n".join([*tables.describe(), f"each object: {tables.folder / 'regions.csv'}"]))


def _over_files(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the signature of `process`, the operation's own options in their place."""

    def verb() -> None: ...

    of_process = inspect.signature(process).parameters
    own = [p for p in inspect.signature(operation).parameters.values() if p.name != "image"]
    parameters = [of_process["files"], of_process["out"], *own, *(of_process[key] for key in OF_PROCESS)]
    verb.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    verb.__annotations__ = {**get_type_hints(operation), **get_type_hints(process)}
    texts = {**parameter_help(process), **parameter_help(operation)}
    entries = "".join(f"\n        {p.name}: {texts.get(p.name, '')}" for p in parameters)
    verb.__doc__ = f"{summary(operation)}\n\n    Args:{entries}\n"
    verb.__name__ = name
    return verb


def _required(verb: Callable[..., Any]) -> Sequence[str]:
    """Return the options without a default; only the files are an argument."""
    parameters = inspect.signature(verb).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.name != "files"]


def _acting(name: str) -> Callable[..., None]:
    def act(files: list[str], out: str, as_json: bool = False, **given: Any) -> None:
        with _Bar(name) as on_progress:
            result = process(files, name, out, on_progress=on_progress, **given)
        _show(result, out, as_json)

    return act


def _rewriting(name: str, verb: Callable[..., BatchResult]) -> Callable[..., None]:
    def act(files: list[str], out: str, as_json: bool = False, **given: Any) -> None:
        with _Bar(name) as on_progress:
            result = verb(files, out, on_progress=on_progress, **given)
        _show(result, out, as_json)

    return act


def _show(result: BatchResult, out: str, as_json: bool) -> None:
    """Print what became of files: the result on stdout, notes and failures on stderr."""
    if as_json:
        failed = [{"file": str(path), "error": message} for path, message in result.failed]
        print_json({"written": [str(path) for path in result.written], "failed": failed, "notes": result.notes})
    else:
        print(f"{len(result.written):,} written to {out}")
    _end(result.notes, result.failed)


def _info(files: list[str], jobs: int | None = None, as_json: bool = False) -> None:
    with _Bar("info") as on_progress:
        result = inspect_files(files, jobs=jobs, on_progress=on_progress)
    if as_json:
        failed = [{"file": str(path), "error": message} for path, message in result.failed]
        images = [dataclasses.asdict(info) for info in result.found]
        print_json({"images": images, "failed": failed, "notes": result.notes})
    else:
        for info in result.found:
            print(info)
    _end(result.notes, result.failed)


def _end(notes: Sequence[str], failed: Sequence[tuple[Any, str]]) -> None:
    """Print notes and failures on stderr; failures end the command."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for _, message in failed:
        print(f"failed: {message}", file=sys.stderr)
    if failed:
        fail(f"{len(failed):,} file(s) failed", 1)


class _Bar:
    """Shows how many files are done, on a terminal only."""

    def __init__(self, title: str) -> None:
        console = Console(stderr=True)
        self.progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.title = title

    def __enter__(self) -> Callable[[int, int], None]:
        self.progress.start()
        task = self.progress.add_task(self.title)
        return lambda done, total: self.progress.update(task, completed=done, total=total)

    def __exit__(self, *error: object) -> None:
        self.progress.stop()
