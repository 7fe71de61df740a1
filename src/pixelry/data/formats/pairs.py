"""Noisy and clean pictures in two folders, matched by name: what restoration learns from where noise is real."""

from __future__ import annotations

from pathlib import Path

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.findings import counted
from pixelry.data.formats._shared import split_of
from pixelry.data.formats._two_folders import Place, by_name, holds_pictures, places, refuse_lone
from pixelry.errors import DataError
from pixelry.pixels import image_files, read_header

LOOKS_FOR = (
    "noisy and clean pictures: noisy/ and clean/ (or input/ and target/, or gt/), with train/, val/ and test/ in them "
    "or around them; a pair has one name, maybe with _noisy and _clean at its end"
)
NOISY = ("noisy", "noise", "input", "inputs", "lq")
CLEAN = ("clean", "gt", "target", "targets", "ground_truth", "groundtruth", "hq")
NOISY_ENDS = tuple(sign + name for name in NOISY for sign in "_-")
CLEAN_ENDS = tuple(sign + name for name in CLEAN for sign in "_-")
LISTED = 3


def recognise(path: Path) -> bool:
    """Return whether there are two such folders with a pair of pictures in them.

    Without one they may as well be the folders of two classes.
    """
    return any(
        holds_pictures(place.images)
        and holds_pictures(place.others)
        and not _named(place.images, NOISY_ENDS).keys().isdisjoint(_named(place.others, CLEAN_ENDS))
        for place in places(path, NOISY, CLEAN)
    )


def read(path: Path) -> Dataset:
    """Read pairs: the images are the noisy pictures, and the target "clean" are the clean ones.

    Raises:
        DataError: A picture has no partner, or one of another size; two have one name; a header cannot be read. The
            file is named.
    """
    found = places(path, NOISY, CLEAN)
    if not found:
        raise DataError(f"{path} has no folders of noisy and clean pictures; expected {LOOKS_FOR}")
    splits: dict[str, Split] = {}
    for place in found:
        if place.split in splits:
            raise DataError(
                f"{place.images} is a second folder of split '{place.split}'; put them together, or move it"
            )
        splits[place.split] = _read(place)
    ordered: dict[str, Split] = {name: splits[name] for name in ("train", "val", "test") if name in splits}
    first = found[0]
    notes = (f"pictures of {_relative(first.images, path)} are noisy, those of the same names in "
             f"{_relative(first.others, path)} are clean",)  # fmt: skip
    return Dataset(path.name, ordered, (), "pairs", str(path), notes)


def _read(place: Place) -> Split:
    noisy, clean = (
        by_name(place.images, image_files(place.images), NOISY_ENDS),
        by_name(place.others, image_files(place.others), CLEAN_ENDS),
    )
    refuse_lone([file for name, file in noisy.items() if name not in clean], "noisy picture", "clean one", place.others)
    refuse_lone([file for name, file in clean.items() if name not in noisy], "clean picture", "noisy one", place.images)
    partners = [clean[name] for name in noisy]
    _check_sizes(list(noisy.values()), partners)
    return Split(FileImages(list(noisy.values())), {"clean": FileImages(partners)})


def _check_sizes(noisy: list[Path], clean: list[Path]) -> None:
    """Raise DataError, which names the first, where two of a pair differ in size."""
    wrong = []
    for one, other in zip(noisy, clean, strict=True):
        sizes = [(header.height, header.width) for header in (read_header(one), read_header(other))]
        if sizes[0] != sizes[1]:
            wrong.append(f"{one} has {sizes[0][0]}x{sizes[0][1]} pixels, {other} {sizes[1][0]}x{sizes[1][1]}")
    if wrong:
        more = f", and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
        raise DataError(
            f"{counted(len(wrong), 'pair')} of different sizes: {'; '.join(wrong[:LISTED])}{more}; the pixels of a "
            "pair must lie over each other: crop or scale one of them, or remove the pair"
        )


def _named(folder: Path, ends: tuple[str, ...]) -> dict[str, Path]:
    try:
        return by_name(folder, image_files(folder), ends)
    except DataError:
        return {}


def _relative(folder: Path, path: Path) -> str:
    parts = folder.relative_to(path).parts
    return "/".join("*" if split_of(part) else part for part in parts)
