"""A function's signature as a command: its parameters become arguments and flags, its docstring their help.

So a verb's options stand in one place. Parameters without a default are arguments, all others flags; the help of
each comes from the `Args` of the Google-style docstring.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from pixelry.arguments import parse_size
from pixelry.errors import UsageError

# Python's word where the shell's differs.
FLAGS = {"settings": "--set"}
INPUTS = "inputs"
# May be given twice, where the test split lies apart: the second is the verb's `test`.
TWICE = "data"


def parameter_help(function: Callable[..., Any]) -> dict[str, str]:
    """Return the help of each parameter from the `Args` section of a docstring."""
    match = re.search(r"\n +Args:\n(.*?)(?:\n\n|\Z)", function.__doc__ or "", re.S)
    entries = re.split(r"\n {8}(?=\w)", "\n" + match[1]) if match else []
    pairs = (entry.partition(":") for entry in entries if ":" in entry)
    return {name.strip(): " ".join(text.split()) for name, _, text in pairs}


def summary(function: Callable[..., Any]) -> str:
    """Return the first sentence of a docstring."""
    return (function.__doc__ or "").strip().splitlines()[0]


def command(
    function: Callable[..., Any],
    act: Callable[..., None],
    *,
    options: Sequence[str] = ("data",),
    skip: Sequence[str] = (),
    optional: Sequence[str] = (),
    either: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> Callable[..., None]:
    """Return a callable with the signature that typer needs, which calls `act` with what the user gave.

    Args:
        function: The verb, whose signature and docstring are read.
        act: Takes the verb's keyword arguments (and those of `extra`), runs it and prints.
        options: Parameters without a default that are flags on the command line, not arguments.
        skip: Parameters that the command line does not have.
        optional: Options without which the command line still is complete.
        either: Arguments that may also be given as a flag.
        extra: Further flags, name to annotated type; their default is False.
    """
    hints, texts = get_type_hints(function, localns=_light_names()), parameter_help(function)
    parameters = [
        _parameter(p, hints.get(p.name, Any), texts.get(p.name, ""), p.name in options, p.name in optional)
        for p in inspect.signature(function).parameters.values()
        if p.name not in skip
    ]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (extra or {}).items()
    ]

    for name in either:
        parameters = _with_flag(parameters, name)

    def run(**given: Any) -> None:
        for name in either:
            given[name] = _one_of(name, given.pop(name), given.pop(f"{name}_flag"))
        act(**_split_data({name: _convert(name, value, hints.get(name)) for name, value in given.items()}))

    # Arguments first: Python wants it, and the help reads so.
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = (function.__doc__ or "").split("\n\n    Args:")[0]
    return run


def _with_flag(parameters: list[inspect.Parameter], name: str) -> list[inspect.Parameter]:
    """Return parameters with a flag beside an argument, neither of them required."""
    changed = []
    for parameter in parameters:
        if parameter.name == name:
            kind, info = get_args(parameter.annotation)
            accepted: Any = kind | None
            option: Any = Annotated[accepted, typer.Option(f"--{name}", help="The same as the argument.")]
            parameter = parameter.replace(default=None, annotation=Annotated[accepted, info])
            changed.append(parameter.replace(name=f"{name}_flag", annotation=option))
        changed.append(parameter)
    return changed


def _one_of(name: str, argument: Any, flag: Any) -> Any:
    if (argument is None) == (flag is None):
        count = "nothing" if flag is None else f"'{argument}' and '{flag}'"
        raise UsageError(f"give {name} once, as an argument or as --{name}; got {count}")
    return flag if argument is None else argument


def _light_names() -> dict[str, Any]:
    """Names that signatures use for results, which need not be imported to read them."""
    heavy = (
        "Model",
        "Comparison",
        "Report",
        "Result",
        "Results",
        "Dataset",
        "Console",
        "CheckReport",
        "NDArray",
    )
    return dict.fromkeys(heavy, Any)


def _parameter(
    parameter: inspect.Parameter, hint: Any, text: str, is_option: bool, is_optional: bool
) -> inspect.Parameter:
    required = parameter.default is inspect.Parameter.empty or parameter.name == "task"
    flag = FLAGS.get(parameter.name, "--" + parameter.name.replace("_", "-"))
    kind = list[str] if parameter.name == TWICE and is_option else _shell_type(parameter.name, hint)
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    if kind is bool:
        info: Any = typer.Option(f"{flag}/--no-{flag[2:]}" if default else flag, help=text)
    elif required and not is_option:
        info = typer.Argument(help=text, show_default=False)
    else:
        info = typer.Option(flag, help=text, show_default=default not in (None, ""))
    has_none = parameter.default is inspect.Parameter.empty
    if required and ((is_option and not is_optional) or (not is_option and has_none)):
        default = ...
    accepted: Any = kind if default is not None else kind | None
    annotation = Annotated[accepted, info]
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is ... else default,
        annotation=annotation,
    )


def _shell_type(name: str, hint: Any) -> Any:
    """The type that typer parses for a Python type."""
    if name in ("settings", INPUTS) or name == "files":
        return list[str]
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) in (Union, types.UnionType):
        # The most general of the alternatives: a path is given as text, one number or several as text too.
        return kinds[0] if len(kinds) == 1 and kinds[0] in (int, float, bool) else str
    if get_origin(hint) is Literal:
        return str
    return hint if hint in (int, float, bool, Path) else str


def _split_data(given: dict[str, Any]) -> dict[str, Any]:
    sources = given.get(TWICE)
    if not isinstance(sources, list):
        return given
    if len(sources) > 2 or (len(sources) == 2 and given.get("test") is not None):
        raise UsageError("--data is given at most twice: the training data, and the data to test on")
    second = {"test": sources[1]} if len(sources) == 2 else {}
    return {**given, TWICE: sources[0] if sources else None, **second}


def _convert(name: str, value: Any, hint: Any) -> Any:
    if value is None:
        return None
    if name == "settings":
        from pixelry.config import parse_settings

        return parse_settings(value)
    if name == "networks":
        return [part.strip() for part in value.split(",") if part.strip()]
    if name == "size" and isinstance(value, str):
        return parse_size(value)
    return value
