"""Two folders whose files belong together, such as images and masks: where they lie, and which goes with which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelry.data.findings import counted, listed
from pixelry.data.formats._shared import split_of, split_roots, subfolders
from pixelry.errors import DataError
from pixelry.pixels import SUFFIXES


@dataclass(frozen=True)
class Place:
    """A folder of images and the folder of what belongs to them, and their split."""

    split: str
    images: Path
    others: Path


def places(path: Path, images: Sequence[str], others: Sequence[str], ends: Sequence[str] = ()) -> list[Place]:
    """Return where both lie; the layouts are tried one after the other.

    Args:
        path: Of the data set.
        images: Names of folders of images, in any case.
        others: Names of folders of what belongs to them.
        ends: What the name of a split's other folder may have more than that of its images, which lies beside it.
    """
    if not path.is_dir():
        return []
    beside = [
        Place(split, folder, mate)
        for folder in subfolders(path)
        if (split := split_of(folder.name)) and (mate := _first(path, [folder.name + end for end in ends]))
    ]
    if beside:
        return beside
    around = [
        Place(split, one, other)
        for split, root in split_roots(path).items()
        if root != path and (one := _first(root, images)) and (other := _first(root, others))
    ]
    if around:
        return around
    one, other = _first(path, images), _first(path, others)
    if one is None or other is None:
        return []
    inside = [
        Place(split, folder, other / folder.name)
        for folder in subfolders(one)
        if (split := split_of(folder.name)) and (other / folder.name).is_dir()
    ]
    return inside or [Place("train", one, other)]


def _first(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first folder of some names, in any case."""
    folders = {folder.name.lower(): folder for folder in subfolders(root)}
    return next((folders[name.lower()] for name in names if name.lower() in folders), None)


def holds_pictures(folder: Path) -> bool:
    """Return whether there is a picture in a folder, at any depth."""
    return any(file.suffix.lower() in SUFFIXES for file in folder.rglob("*") if file.is_file())


def by_name(folder: Path, files: Iterable[Path], ends: Sequence[str] = ()) -> dict[str, Path]:
    """Return files by what they are called from a folder on, without suffix, and without one of some ends.

    Raises:
        DataError: Two are called the same.
    """
    found: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        name = next((name[: -len(end)] for end in ends if name.lower().endswith(end)), name)
        if name in found:
            raise DataError(f"{found[name]} and {file} have the same name: no telling which is meant; remove one")
        found[name] = file
    return found


def refuse_lone(lone: Sequence[Path], what: str, other: str, folder: Path) -> None:
    """Raise DataError where files have no partner.

    Args:
        lone: These files.
        what: What one of them is, such as "image".
        other: What its partner would be, such as "mask".
        folder: Where that is missing.
    """
    if lone:
        raise DataError(
            f"{counted(len(lone), what)} without {'an' if other[0] in 'aeiou' else 'a'} {other} of the same name in "
            f"{folder}: {listed([str(file) for file in lone])}; add or remove files until each has its partner"
        )
