"""The exceptions of Pixelry: one small tree, with messages in the user's words.

A message says what was given, what was expected and what to do. The command line prints it without a
traceback and exits with `PixelryError.exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PixelryError(Exception):
    """Base of every error that Pixelry raises on purpose."""

    exit_code = 1


class UsageError(PixelryError, ValueError):
    """The call itself is wrong: an unknown name, an option out of range, options that exclude each other."""

    exit_code = 2


class ImageError(PixelryError, ValueError):
    """An image cannot be read, or its values, shape or dtype are not what an operation takes."""


class DataError(PixelryError, ValueError):
    """A data set cannot be recognised or read, or its content contradicts itself."""


class ModelError(PixelryError, ValueError):
    """A model file or its weights cannot be used."""


class ExistsError(PixelryError, FileExistsError):
    """The output exists, and nothing that a user has is overwritten without a word."""


class TrainingError(PixelryError, RuntimeError):
    """Training cannot go on, for example because the loss is no longer a number."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'resnet18'?"` for the nearest known name, or all names where none is near.

    Examples:
        >>> did_you_mean("resnt18", ["cnn", "resnet18"])
        "; did you mean 'resnet18'?"
    """
    names = sorted(known)
    near = get_close_matches(given, names, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(names)}"


def unknown(kind: str, given: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is not known, with the nearest one that is.

    Examples:
        >>> str(unknown("network", "resnt18", ["cnn", "resnet18"]))
        "unknown network 'resnt18'; did you mean 'resnet18'?"
    """
    return UsageError(f"unknown {kind} '{given}'{did_you_mean(given, known)}")
