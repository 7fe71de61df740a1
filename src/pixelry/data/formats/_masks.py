"""What the formats of masks share: images and masks that belong together, names and colours of classes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.findings import counted, listed
from pixelry.data.formats._shared import CLASS_FILES, read_text
from pixelry.data.masks import IGNORE, LOSSY, VOID_NAMES, Color, FileMasks, RawMask, ValueTable, number_table, read_raw
from pixelry.errors import DataError

# What tools append to the name of an image for its mask.
SUFFIXES = (
    "_mask", "_masks", "-mask", "_label", "_labels", "_labelIds", "_gt", "_seg", "_segmentation", "_annotation",
    "_L", "_P",
)  # fmt: skip
NAME_FILES = (*CLASS_FILES, "codes.txt")
COLOR_FILES = ("classes.csv", "class_dict.csv", "label_colors.txt")
# Masks that are looked at before anything is said of all of them.
LOOKS = 16
# Different values of masks without names: with more, they are shades, not classes.
MOST_UNNAMED = 64


@dataclass(frozen=True)
class Pair:
    """An image and its mask."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class Legend:
    """What is known of classes: their names by value, their colours, and where that stands."""

    file: Path
    names: tuple[str, ...]
    colors: tuple[Color, ...] = ()


def matched(images: Path, masks: Path, image_list: Sequence[Path], mask_list: Sequence[Path]) -> tuple[list[Pair], str]:
    """Return each image with its mask, and what the masks' names have more than the images'.

    Args:
        images: Folder of the images; names are compared from there on, without suffix.
        masks: Folder of the masks.
        image_list: The images.
        mask_list: The masks.

    Raises:
        DataError: Two files of one folder have the same name, or one has no partner; the files are named.
    """
    by_name = _by_name(images, image_list)
    found: dict[str, Path] = {}
    lone, used = [], dict[str, None]()
    for name, file in _by_name(masks, mask_list).items():
        suffix = next((end for end in ("", *SUFFIXES) if name.endswith(end) and name[: len(name) - len(end)] in by_name
                       and (end or name in by_name)), None)  # fmt: skip
        if suffix is None:
            lone.append(file)
            continue
        stem = name[: len(name) - len(suffix)]
        if stem in found:
            raise DataError(f"{by_name[stem]} has two masks: {found[stem]} and {file}; remove one of them")
        found[stem] = file
        used[suffix] = None
    without = [file for name, file in by_name.items() if name not in found]
    for files, what, folder in ((without, "image", masks), (lone, "mask", images)):
        if files:
            other = "mask" if what == "image" else "image"
            raise DataError(
                f"{counted(len(files), what)} without {'a' if other == 'mask' else 'an'} {other} of the same name in "
                f"{folder}: {listed([str(file) for file in files])}; add or remove files until each has its partner"
            )
    return [Pair(file, found[name]) for name, file in by_name.items()], ", ".join(filter(None, used))


def _by_name(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{found[name]} and {file} have the same name: no telling which is meant; remove one")
        found[name] = file
    return found


def find_legend(folders: Iterable[Path]) -> Legend | None:
    """Return names, and maybe colours, from the first file of classes in some folders.

    Raises:
        DataError: A line of it cannot be read, or a name or colour stands twice; the line is named.
    """
    for folder in folders:
        for name in COLOR_FILES:
            if (folder / name).is_file():
                return _colored(folder / name)
        for name in NAME_FILES:
            if (folder / name).is_file():
                lines = [line.strip() for line in read_text(folder / name).splitlines() if line.strip()]
                if twice := [line for k, line in enumerate(lines) if line in lines[:k]]:
                    raise DataError(f"{folder / name} names the class '{twice[0]}' twice")
                return Legend(folder / name, tuple(lines)) if lines else None
    return None


def _colored(file: Path) -> Legend:
    names: list[str] = []
    colors: list[Color] = []
    for line, name, values in _lines(file):
        numbers = [int(text) for text in values if text.isdecimal() and int(text) < 256]
        if len(values) != 3 or len(numbers) != 3 or not name:
            expected = "name,r,g,b" if file.suffix == ".csv" else "r g b name"
            raise DataError(f"{file}, line {line}: expected {expected} with numbers from 0 to 255")
        color = (numbers[0], numbers[1], numbers[2])
        if name in names or color in colors:
            raise DataError(f"{file}, line {line}: '{name}' with the colour {color}: name or colour stands there twice")
        names.append(name)
        colors.append(color)
    if not names:
        raise DataError(f"{file} lists no classes")
    return Legend(file, tuple(names), tuple(colors))


def _lines(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield (line, name, red, green and blue as text) of a file of colours."""
    lines = read_text(file).splitlines()
    if file.suffix == ".txt":
        for line, text in enumerate(lines, 1):
            if (parts := text.split()) and not text.startswith("#"):
                yield line, " ".join(parts[3:]), parts[:3]
        return
    for line, row in enumerate(csv.reader(lines), 1):
        parts = [part.strip() for part in row]
        if any(parts) and not (line == 1 and not any(part.isdecimal() for part in parts[1:])):
            yield line, parts[0], parts[1:]


@dataclass(frozen=True)
class Meaning:
    """What the values of masks stand for: the table, the classes, and what to say of it."""

    table: ValueTable
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def understand(files: Sequence[Path], legend: Legend | None, *, void_after: bool = False) -> Meaning:
    """Find out what the values of masks stand for, from names where there are some, else from the masks.

    Args:
        files: All masks of a data set.
        legend: Names of classes, and maybe colours.
        void_after: The value after the last name stands for no class, as in SegNet's data, unless a name says
            which one does.

    Raises:
        DataError: Most of the first masks contradict the names; or there are no names, and the masks are in colour or
            hold shades.
    """
    first = _look(files)
    binary = _is_binary(files, first) if legend is None or (len(legend.names) == 2 and not legend.colors) else False
    if binary:
        classes = ("background", "foreground") if legend is None else (legend.names[0], legend.names[1])
        note = f"the masks hold 0 and 255 alone: 0 is '{classes[0]}', 255 is '{classes[1]}'"
        return Meaning(ValueTable({0: 0, 255: 1}, source="0 and 255"), classes, (note,))
    meaning = _unnamed(files, first) if legend is None else _named(legend, void_after)
    wrong = [error for file, raw in first.items() if (error := _fault(meaning.table, file, raw))]
    # A few faulty masks are named when they are read, and all of them by a check; many mean that the names are wrong.
    if 2 * len(wrong) > len(first):
        raise wrong[0]
    if any(raw.colored for raw in first.values()) and not meaning.table.colors:
        note = "masks in colour with red, green and blue alike: read as grey values"
        return Meaning(meaning.table, meaning.classes, (*meaning.notes, note))
    return meaning


def _look(files: Sequence[Path]) -> dict[Path, RawMask]:
    """Return some of the masks that can be read, from the first to the last."""
    found: dict[Path, RawMask] = {}
    failed = []
    for k in sorted({round(k) for k in np.linspace(0, len(files) - 1, min(LOOKS, len(files)))}):
        try:
            found[files[k]] = read_raw(files[k])
        except DataError as error:
            failed.append(error)
    if not found:
        raise failed[0]
    return found


def _fault(table: ValueTable, file: Path, raw: RawMask) -> DataError | None:
    try:
        table.ids(raw, str(file))
    except DataError as error:
        return error
    return None


def _named(legend: Legend, void_after: bool) -> Meaning:
    void = [k for k, name in enumerate(legend.names) if name.lower() in VOID_NAMES]
    notes = [f"'{legend.names[k]}' in {legend.file.name} is no class: its pixels are ignored" for k in void]
    count = len(legend.names)
    if void_after and not void:
        void.append(count)
        notes.append(f"value {count}, one past the names in {legend.file.name}, is no class: its pixels are ignored")
    table, kept = number_table(count, void=void, source=str(legend.file))
    if not kept:
        raise DataError(f"{legend.file} names no class but {listed(legend.names)}")
    colors = {color: table.values[k] for k, color in enumerate(legend.colors)}
    return Meaning(
        ValueTable(table.values, colors, str(legend.file)), tuple(legend.names[k] for k in kept), tuple(notes)
    )


def _is_binary(files: Sequence[Path], first: Mapping[Path, RawMask]) -> bool:
    """Return whether all masks hold nothing but 0 and 255, and some of them 255."""
    kinds = {value for raw in first.values() for value in _values(raw)}
    if not kinds <= {0, IGNORE} or IGNORE not in kinds:
        return False
    return _all_values(files) == kinds | {0}


def _unnamed(files: Sequence[Path], first: Mapping[Path, RawMask]) -> Meaning:
    """Return the meaning of masks without names: a class for each value that occurs."""
    for file, raw in first.items():
        if raw.colored and not raw.is_grey:
            ValueTable().ids(raw, str(file))
        if raw.format in LOSSY:
            raise DataError(f"{file} is a {raw.format}, which changes the values of pixels; save masks as PNG")
    values = sorted(_all_values(files) - {IGNORE})
    if len(values) > MOST_UNNAMED:
        raise DataError(
            f"the masks beside {files[0]} hold {len(values)} different values and no file names the classes: they look "
            "like shades, or interpolated; save class numbers, or name the classes in labels.txt, one a line"
        )
    if not values:
        raise DataError(f"the masks beside {files[0]} hold {IGNORE} alone, which is no class: nothing to learn from")
    note = f"no names of classes (labels.txt, classes.csv): {counted(len(values), 'value')} in the masks, each a class"
    table = ValueTable({IGNORE: IGNORE, **{value: k for k, value in enumerate(values)}}, source="the values found")
    return Meaning(table, tuple(f"class {value}" for value in values), (note,))


def _all_values(files: Sequence[Path]) -> set[int]:
    with ThreadPoolExecutor() as pool:
        return {value for values in pool.map(lambda file: _values(read_raw(file)), files) for value in values}


def _values(raw: RawMask) -> set[int]:
    values = raw.values & 255 if raw.colored and raw.is_grey else raw.values
    return set(np.unique(values).tolist())


def mask_dataset(
    path: Path, splits: Mapping[str, Sequence[Pair]], meaning: Meaning, *, format: str, notes: Iterable[str] = ()
) -> Dataset:
    """Make a data set for semantic segmentation.

    Args:
        path: Where it was read from.
        splits: Images and masks by split.
        meaning: Of the masks' values.
        format: Who read it.
        notes: What a reader should know beside what `meaning` says.
    """
    made = {split: mask_split(splits[split], meaning.table) for split in ("train", "val", "test") if split in splits}
    said = tuple(dict.fromkeys((*notes, *meaning.notes)))
    return Dataset(path.name, made, meaning.classes, format, str(path), said, meaning.classes)


def mask_split(pairs: Sequence[Pair], table: ValueTable) -> Split:
    """Return images with the target "mask"."""
    images = [pair.image for pair in pairs]
    return Split(FileImages(images), {"mask": FileMasks([pair.mask for pair in pairs], table, images)})
