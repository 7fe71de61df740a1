"""The verbs for a shell. What a verb returns is printed: people's form on stderr and stdout, `--json` for programs.

Torch is imported only when a verb runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pixelry import api, api_compare, api_data, api_generate, api_plan, api_report, api_splits, cli_crash
from pixelry.errors import PixelryError
from pixelry.signatures import command, summary

INTERRUPTED = 130  # 128 and the number of SIGINT
JSON = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]

app = typer.Typer(
    name="pixelry",
    help="Learn from images and make images, with one set of verbs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Look at data sets, check, convert, split and clean them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
pixels_app = typer.Typer(help="Read and change image files: info, convert, resize, ...", no_args_is_help=True)
app.add_typer(pixels_app, name="pixels")


# Typer has click inside it or beside it, by its version: this is click's base of all complaints about a command line.
CommandError: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run the command line: a user's mistake is one or two sentences, never a traceback.

    The exit code is 2 for a wrong command line, 1 for anything else that failed, and 70 for a fault in Pixelry.
    """
    try:
        if _verb_of(sys.argv[1:]) == "pixels":
            from pixelry import cli_pixels

            cli_pixels.register(pixels_app)
        code = app(prog_name="pixelry", standalone_mode=False)
    except CommandError as error:
        _fail_usage(error)
    except PixelryError as error:
        _show_traceback()
        fail(str(error), error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`pixelry ... | head`); Python would complain at exit otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A disk that is full, a folder that may not be read: the machine's answer, and no fault in the code.
        _show_traceback()
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except Exception as error:
        _show_traceback()
        if cli_crash.is_out_of_memory(error):
            fail("out of memory; smaller images (--size), smaller batches (--set batch=8) or fewer at once help", 1)
        fail(cli_crash.crash_message(error), cli_crash.EXIT_CODE)
    if code == INTERRUPTED:  # what click makes of CTRL-C
        fail("interrupted", INTERRUPTED)
    if isinstance(code, int) and code:
        sys.exit(code)


def _verb_of(words: list[str]) -> str:
    """Return the first word that is no option."""
    return next((word for word in words if not word.startswith("-")), "")


def _show_traceback() -> None:
    if cli_crash.debugging():
        traceback.print_exc()


def _fail_usage(error: Any) -> NoReturn:
    """Say what is wrong with a command line, and what was probably meant."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(error.exit_code)
    from pixelry import cli_hints

    context, words = getattr(error, "ctx", None), sys.argv[1:]
    parameters = context.command.get_params(context) if context else []
    message = error.format_message().rstrip(".")
    if option := getattr(error, "option_name", None) if hasattr(error, "possibilities") else None:
        message = f"there is no option {option}{cli_hints.option_hint(option, words, parameters)}"
    elif extra := re.match(r"Got unexpected extra arguments? ?(?:\(s\) ?)?\((.*)\)$", message):
        message = f"'{extra[1]}' has no place here{cli_hints.word_hint(extra[1].split(), words, parameters)}"
    elif (parameter := getattr(error, "param", None)) and message.startswith("Invalid value"):
        flag = next(iter(parameter.opts), "")
        message = cli_hints.value_problem(flag, message, words) or message
    message = message.replace(". Did you mean", "; did you mean")
    if message.startswith("Missing ") and context:
        message += f"; {context.get_usage().replace('Usage', 'usage')}"
    if context:
        message += f"\n`{context.command_path} --help` lists what there is"
    fail(message, error.exit_code)


def fail(message: str, code: int) -> NoReturn:
    """Print an error and exit."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print the one JSON object of `--json`."""
    print(json.dumps(value, indent=2, default=str))


@contextlib.contextmanager
def _stdout_is_for_json(active: bool) -> Iterator[None]:
    """Send what others print to stdout (downloads, libraries) to stderr, so that stdout holds one object."""
    if not active:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _verb(name: str, function: Callable[..., Any], *, home: typer.Typer = app, **how: Any) -> Callable[..., Any]:
    """Register a verb: the decorated function turns its result into text or JSON."""

    def register(show: Callable[[Any, bool], None]) -> Callable[[Any, bool], None]:
        def act(as_json: bool = False, **given: Any) -> None:
            with _stdout_is_for_json(as_json):
                result = function(**given)
            show(result, as_json)

        run = command(function, act, extra={"as_json": JSON}, **how)
        home.command(name, help=run.__doc__, short_help=summary(function))(run)
        return show

    return register


@_verb("train", api.train, optional=("data",), options=("data",))
def _train(model: Any, as_json: bool) -> None:
    from pixelry.folders import is_first_process

    if as_json and is_first_process():
        card = model.card
        print_json(
            {
                "task": card.task,
                "network": card.network,
                "data": card.data["name"],
                "split": "val" if card.metrics else None,
                "metrics": card.metrics,
                "model": str(model.path) if model.path else None,
                "training": card.training,
            }
        )


@_verb("plan", api_plan.plan)
def _plan(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    size = "x".join(map(str, facts["size"]))
    print(f"{facts['reason']}")
    print(f"  network: {facts['network']} at {size}, {facts['parameters']:,} parameters")
    print(f"  data: {facts['images']:,} training images in batches of {facts['batch']}, lr {facts['lr']:g}")
    if facts["seconds_per_pass"] is not None:
        steps = facts["steps_per_pass"]
        print(f"  a pass: {steps:,} step{'s' * (steps > 1)}, about {facts['seconds_per_pass']:.3g} s on this machine")
        print(f"  a sensible budget: --minutes {facts['sensible_minutes']:.2g} or more")
    for row in facts["candidates"][:-1]:
        print(
            f"  {row['network']} at {row['size'][0]}x{row['size'][1]}: --minutes {row['sensible_minutes']:.2g} or more"
        )


@_verb("compare", api_compare.compare)
def _compare(comparison: Any, as_json: bool) -> None:
    if as_json:
        print_json(comparison.to_dict())
    else:
        print(comparison)


@_verb("evaluate", api.evaluate)
def _evaluate(report: Any, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
    else:
        print(report)


@_verb("report", api_report.report, optional=("data",))
def _report(page: Path, as_json: bool) -> None:
    if as_json:
        print_json({"page": str(page)})
    else:
        print(page)


@_verb("predict", api.predict)
def _predict(found: Any, as_json: bool) -> None:
    if as_json:
        failed = [{"name": name, "error": message} for name, message in found.failed]
        videos = [video.to_dict() for video in found.videos]
        predictions = [result.to_dict() for result in found]
        if found.total:  # memory holds the first of them
            lines = (found.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
            predictions = [json.loads(line) for line in lines]
        regions = {"regions": found.regions.to_dict()} if found.regions else {}
        print_json({"predictions": predictions, "failed": failed, **({"videos": videos} if videos else {}), **regions})
    else:
        for result in found:
            print(result)
        if found.total:
            print(f"{found.total - len(found):,} more in {found.folder / 'predictions.jsonl'}")
        for video in found.videos:
            print(video)
        if found.regions:
            print("\n".join([*found.regions.describe(), f"each object: {found.folder / 'regions.csv'}"]))
        if found.folder is None and any(getattr(result, "evidence", None) is not None for result in found):
            print("the evidence is in no file: give --out FOLDER to --explain", file=sys.stderr)
    for name, message in found.failed:
        print(f"skipped: {message if name in message else f'{name}: {message}'}", file=sys.stderr)
    if found.failed:
        sys.exit(1)


@_verb("generate", api_generate.generate)
def _generate(made: Any, as_json: bool) -> None:
    if as_json:
        images = [result.to_dict() for result in made]
        print_json({"count": made.total, "images": images, "folder": str(made.folder)})
    else:
        print(f"{made.total:,} pictures in {made.folder}; a sheet of the first ones: {made.folder / 'sheet.png'}")


@_verb("inpaint", api_generate.inpaint, options=("mask",))
def _inpaint(made: Any, as_json: bool) -> None:
    _generate(made, as_json)


@_verb("networks", api.list_networks)
def _networks(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        recommended = {task: row["name"] for row in rows for task in row["recommended_for"]}
        only = next(iter(recommended.values())) if len(recommended) == 1 else recommended
        print_json({"networks": rows, "recommended": only})
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        marks = "".join(f"  [recommended for {task}]" for task in row["recommended_for"])
        weights = f"  (weights: {', '.join(row['weights'])})" if row["weights"] else ""
        print(f"{row['name']:{width}}  {', '.join(row['tasks'])}: {row['summary']}{weights}{marks}")
        print(f"{'':{width}}  {row['source']}")


@_verb("list", api_data.list_data, home=data_app)
def _list_data(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"datasets": rows})
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        print(f"{row['name']:{width}}  {row['description']}")


@_verb("show", api_data.show_data, home=data_app, options=())
def _show_data(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    print(facts["description"])
    for name, counts in facts["splits"].items():
        parts = [f"{counts[what]:,} {what}" for what in ("images", "boxes", "masks") if what in counts]
        print(f"  {name}: {', '.join([*parts, *([str(counts['per_class'])] if counts['per_class'] else [])])}")
    if "mask_classes" in facts:
        print(f"  masks show: {', '.join(facts['mask_classes'])}")
    for note in facts["notes"]:
        print(f"  {note}")
    if facts["sheet"]:
        print(f"  sheet: {facts['sheet']}")


@_verb("check", api_data.check_data, home=data_app, options=())
def _check_data(report: Any, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
    else:
        print(report.summary())
    if report.errors:
        sys.exit(1)


@_verb("convert", api_data.convert_data, home=data_app, options=("to",))
def _convert_data(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    print(f"{facts['description']}, in {facts['folder']}")
    for note in facts["notes"]:
        print(f"  {note}")


def _print_list(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    print(facts["description"])
    for note in facts["notes"]:
        print(f"  {note}")
    print(f"  the list: --data {facts['folder']}")


for _name, _function in (("split", api_splits.split_data), ("clean", api_splits.clean_data)):
    _verb(_name, _function, home=data_app, options=("out",), either=("data",))(_print_list)


@_verb("tour", api.take_tour)
def _tour(page: Path, as_json: bool) -> None:
    if as_json:
        print_json({"page": str(page)})
    else:
        print(f"the page: {page.resolve()}")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        os.environ[cli_crash.DEBUG_VARIABLE] = "1"
    if version:
        from pixelry import __version__

        print(__version__)
        raise typer.Exit
