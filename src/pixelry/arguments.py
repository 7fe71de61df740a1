"""The arguments of a verb, as people type them: brought to the declared type, or refused in one sentence.

A verb's own annotations decide: `size="64x64"`, `minutes="2"` and `networks="logistic,cnn"` mean what they say;
`progress="no"` and `epochs=2.5` are refused.
"""

from __future__ import annotations

import functools
import inspect
import numbers
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from pixelry.argument_hints import brief, misfit
from pixelry.config import parse_settings
from pixelry.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")

SIZE_FORMS = "expected one number or height and width, such as 64, (48, 64) or '48x64'"
SETTINGS_FORMS = "expected a mapping, such as {'lr': 0.1}, or text, such as 'lr=0.1'"


class ArgumentError(UsageError, TypeError):
    """A call does not fit the signature: an unknown name, a missing argument, or one too many."""


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Bring the arguments of a function to their declared types before it is called.

    The function that is returned raises UsageError for an argument that its annotation does not allow, and
    ArgumentError for an unknown name, a missing argument or too many of them.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(misfit(function.__name__, signature, args, kwargs) or str(error)) from None
        kinds = _annotations(function)
        for name, value in bound.arguments.items():
            if name in kinds and value is not signature.parameters[name].default:
                bound.arguments[name] = convert(name, value, kinds[name])
        return function(*bound.args, **bound.kwargs)

    return call


@functools.cache
def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's parameters, but for those that are imported for type checkers only."""
    kinds = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind = parameter.annotation
        try:
            kinds[name] = eval(kind, function.__globals__) if isinstance(kind, str) else kind
        except NameError:
            continue
    return kinds


def convert(name: str, value: Any, kind: Any) -> Any:
    """Return an argument as its declared type.

    Args:
        name: Of the argument; "size" and "settings" have forms of their own.
        value: What was given.
        kind: Its annotation; kinds that are not checked here, such as Any and callables, take every value.

    Raises:
        UsageError: It has another type, and no form that could mean this one.
    """
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return None
    if name == "size":
        return parse_size(value)
    if name == "settings":
        return read_settings(value)
    expected = []
    for one in kinds:
        if one is type(None) or (one is str and Path in kinds):
            continue
        read, text = _reader(one)
        if read is None:
            return value
        try:
            return read(value)
        except (TypeError, ValueError):
            expected.append(text)
    raise UsageError(f"{name} is {brief(value)}; expected {' or '.join(expected)}")


def _reader(kind: Any) -> tuple[Callable[[Any], Any] | None, str]:
    """Return what reads a value as a type, and raises TypeError or ValueError, and the words for what it takes."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return functools.partial(_choice, choices), f"one of {', '.join(map(str, choices))}"
    if get_origin(kind) is Sequence and get_args(kind) == (str,):
        return _names, "names, as a list or as text such as 'cnn,resnet18'"
    readers: dict[Any, tuple[Callable[[Any], Any], str]] = {
        bool: (_boolean, "True or False"),
        int: (_whole, "a whole number"),
        float: (_number, "a number"),
        str: (_text, "text"),
        Path: (_path, "a path, as text or a Path"),
    }
    return readers.get(kind, (None, ""))


def _boolean(value: Any) -> bool:
    # Text is refused: every text but the empty one is true, "no" and "false" among them.
    if isinstance(value, str) or value not in (0, 1):
        raise ValueError
    return bool(value)


def _whole(value: Any) -> int:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    number = _number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | numbers.Real):
        raise TypeError
    return float(value)


def _text(value: Any) -> str:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return str(int(value))  # devices=2, and the class "7" of digits
    return os.fspath(value)


def _path(value: Any) -> str | Path:
    return value if isinstance(value, str | Path) else Path(value)


def _choice(choices: tuple[Any, ...], value: Any) -> Any:
    if value not in choices:
        raise ValueError
    return value


def _names(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, Mapping) or not all(isinstance(part, str) for part in parts):
        raise TypeError
    return [name for part in parts if (name := part.strip())]


def parse_size(given: Any) -> tuple[int, int]:
    """Read a size in pixels: 64 and "64" are 64x64; (48, 64) and "48x64" are 48 high and 64 wide.

    Raises:
        UsageError: It is none of these.
    """
    if isinstance(given, str):
        match = re.fullmatch(r"\s*(\d+)\s*(?:[x×,*]\s*(\d+)\s*)?", given, re.IGNORECASE)
        if not match:
            raise UsageError(f"a size is one number or HEIGHTxWIDTH, such as 64 or 48x64; got '{given}'")
        return int(match[1]), int(match[2] or match[1])
    try:
        sides = [_whole(given)] * 2 if isinstance(given, numbers.Real) else [_whole(side) for side in given]
    except (TypeError, ValueError):
        sides = []
    if len(sides) != 2:
        raise UsageError(f"size is {brief(given)}; {SIZE_FORMS}")
    return sides[0], sides[1]


def read_settings(given: Any) -> dict[str, Any]:
    """Read settings: a mapping, "lr=0.1", "lr=0.1,width=64", or a list of such texts.

    Raises:
        UsageError: It is none of these.
    """
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        return {key.replace("-", "_"): value for key, value in given.items()}
    # A comma ends a setting only where the next begins: scales=0.75,1 is one.
    items = re.split(r"[,\s]\s*(?=[\w-]+\s*=)", given.strip()) if isinstance(given, str) else given
    if isinstance(items, list | tuple) and all(isinstance(item, str) and "=" in item for item in items):
        return parse_settings(list(items))
    raise UsageError(f"settings is {brief(given)}; {SETTINGS_FORMS}")
