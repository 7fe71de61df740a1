"""What the values of masks stand for: from a file of names and colours, else from the masks themselves."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pixelry.data.findings import counted, listed
from pixelry.data.formats._shared import CLASS_FILES, read_text
from pixelry.data.masks import (
    IGNORE,
    LOSSY,
    VOID_NAMES,
    Color,
    RawMask,
    ValueTable,
    is_colored,
    number_table,
    pack_color,
    read_raw,
)
from pixelry.errors import DataError

NAME_FILES = (*CLASS_FILES, "codes.txt")
COLOR_FILES = ("classes.csv", "class_dict.csv", "label_colors.txt")
# Masks that are looked at before anything is said of all of them.
LOOKS = 16
# Masks whose values are counted where there are names for three classes or more; else all are.
MOST_COUNTED = 1000
# Different values of masks without names: with more, they are shades, not classes.
MOST_UNNAMED = 64
# Beside 255 as most of what is not 0, other values are strays if they are fewer pixels than this part of the 255s.
FEW = 0.01
# By value, in the folders `trainannot` and so on that SegNet's authors published without names; 11 is void.
CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip


@dataclass(frozen=True)
class Legend:
    """What is known of classes: their names by value, their colours, and where that stands."""

    file: Path
    names: tuple[str, ...]
    colors: tuple[Color, ...] = ()


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


@dataclass(frozen=True)
class _Seen:
    """What one mask holds that is not in colour.

    Attributes:
        file: The mask.
        pixels: How many there are, by value.
        colors: The colour behind each value, as in `RawMask`; {} where none is.
        palette: Whether the values are indices into a palette.
    """

    file: Path
    pixels: Mapping[int, int]
    colors: Mapping[int, int]
    palette: bool


def understand(files: Sequence[Path], legend: Legend | None, *, annot: bool = False) -> Meaning:
    """Find out what the values of masks stand for, from names where there are some, else from the masks.

    Args:
        files: All masks of a data set.
        legend: Names of classes, and maybe colours.
        annot: They lie in folders called as SegNet's: the value after the last name stands for no class, unless a name
            says which one does, and without names they may be its CamVid.

    Raises:
        DataError: Most of the first masks contradict the names; or there are no names, and the masks are in colour or
            hold shades; or 255 is most of what is not 0, and few pixels hold other values.
    """
    first = _look(files)
    seen = _count(files, legend)
    meaning = _unnamed(files, first, seen, annot) if legend is None else _named(legend, seen, annot)
    wrong = [error for file, raw in first.items() if (error := _fault(meaning.table, file, raw))]
    # A few faulty masks are named when they are read, and all of them by a check; many mean that the names are wrong.
    if 2 * len(wrong) > len(first):
        raise wrong[0]
    notes = [*meaning.notes, *_ignored(meaning.table, seen, len(files))]
    if legend is None or len(legend.names) == 2:
        _refuse_strays(meaning.table, seen, named=legend is not None)
    if any(raw.colored for raw in first.values()) and not meaning.table.colors:
        notes.append("masks in colour with red, green and blue alike: read as grey values")
    return replace(meaning, notes=tuple(notes))


def _look(files: Sequence[Path]) -> dict[Path, RawMask]:
    """Return some of the masks that can be read, from the first to the last."""
    found: dict[Path, RawMask] = {}
    failed = []
    for file in _spread(files, LOOKS):
        try:
            found[file] = read_raw(file)
        except DataError as error:
            failed.append(error)
    if not found:
        raise failed[0]
    return found


def _spread(files: Sequence[Path], most: int) -> list[Path]:
    return [files[k] for k in sorted({round(k) for k in np.linspace(0, len(files) - 1, min(most, len(files)))})]


def _fault(table: ValueTable, file: Path, raw: RawMask) -> DataError | None:
    try:
        table.ids(raw, str(file))
    except DataError as error:
        return error
    return None


def _count(files: Sequence[Path], legend: Legend | None) -> list[_Seen]:
    """Count the values of the masks that are not in colour: of all, where it may be that they are 0 and 255 alone.

    Raises:
        DataError: One cannot be read, and there are no names. With names it is left for when the masks are read.
    """

    def look(file: Path) -> _Seen | None:
        if legend is not None and legend.colors and is_colored(file):
            return None
        try:
            raw = read_raw(file)
        except DataError:
            if legend is None:
                raise
            return None
        if raw.colored and not raw.is_grey:
            return None
        values, counts = np.unique(raw.values & 255 if raw.colored else raw.values, return_counts=True)
        pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
        colors = {} if raw.colors is None else {value: int(raw.colors[value]) for value in pixels}
        return _Seen(file, pixels, colors, raw.palette)

    chosen = _spread(files, MOST_COUNTED if legend is not None and len(legend.names) > 2 else len(files))
    with ThreadPoolExecutor() as pool:
        return [seen for seen in pool.map(look, chosen) if seen is not None]


def _total(seen: Iterable[_Seen]) -> Counter[int]:
    total: Counter[int] = Counter()
    for one in seen:
        total.update(one.pixels)
    return total


def _named(legend: Legend, seen: Sequence[_Seen], annot: bool) -> Meaning:
    void = [k for k, name in enumerate(legend.names) if name.lower() in VOID_NAMES]
    notes = [f"'{legend.names[k]}' in {legend.file.name} is no class: its pixels are ignored" for k in void]
    count, binary = len(legend.names), len(legend.names) == 2 and set(_total(seen)) == {0, IGNORE}
    if annot and not void and not binary:
        void.append(count)
        notes.append(f"value {count}, one past the names in {legend.file.name}, is no class: its pixels are ignored")
    table, kept = number_table(count, void=void, source=str(legend.file))
    if not kept:
        raise DataError(f"{legend.file} names no class but {listed(legend.names)}")
    colors = {color: table.values[k] for k, color in enumerate(legend.colors)}
    by_color, said = _by_color(legend, seen)
    table = ValueTable(table.values, colors, str(legend.file), by_color)
    if binary and not (by_color and (IGNORE, IGNORE, IGNORE) in colors):
        # Which of two names is the background is told by its colour, where one is black; else it is the first.
        zero = legend.colors.index((0, 0, 0)) if (0, 0, 0) in colors else 0
        ids = {0: table.values[zero], IGNORE: table.values[1 - zero]}
        table, said = ValueTable(ids, colors, "0 and 255"), [_of_two(legend.names[zero], legend.names[1 - zero])]
    return Meaning(table, tuple(legend.names[k] for k in kept), (*notes, *said))


def _of_two(zero: str, other: str) -> str:
    return f"the masks hold 0 and {IGNORE} alone: 0 is '{zero}', {IGNORE} is '{other}'"


def _by_color(legend: Legend, seen: Sequence[_Seen]) -> tuple[bool, list[str]]:
    """Return whether grey values and palettes count by the colours behind them, and what to say of it.

    They do where the colours are the table's: those of a mask of two colours or more, as black alone says little.
    """
    known = {pack_color(color) for color in legend.colors}
    used = [
        {color for value, color in one.colors.items() if value != IGNORE or color in known}
        for one in seen
        if one.colors
    ]
    telling = [colors for colors in used if len(colors) > 1] or used
    fitting = sum(colors <= known for colors in telling)
    by_color = bool(known) and 2 * fitting > len(telling)
    notes = []
    for palette in (True, False) if known else ():
        count = sum(one.palette == palette and bool(one.colors) for one in seen)
        of = f"{counted(count, 'mask')} {'with a palette' if palette else 'in grey'}"
        if count and by_color:
            instead = "the indices" if palette else "the values as numbers"
            notes.append(f"{of}, whose colours are in {legend.file.name}: these count, not {instead}")
        elif count:
            instead = "the indices count" if palette else "the values count as numbers of classes"
            notes.append(f"{of}, whose colours are not those of {legend.file.name}: {instead}")
    return by_color, notes


def _unnamed(files: Sequence[Path], first: Mapping[Path, RawMask], seen: Sequence[_Seen], annot: bool) -> Meaning:
    """Return the meaning of masks without names: background and foreground, or a class for each value that occurs."""
    for file, raw in first.items():
        if raw.colored and not raw.is_grey:
            ValueTable().ids(raw, str(file))
    total = _total(seen)
    if set(total) == {0, IGNORE}:
        classes = ("background", "foreground")
        return Meaning(ValueTable({0: 0, IGNORE: 1}, source="0 and 255"), classes, (_of_two(*classes),))
    for file, raw in first.items():
        if raw.format in LOSSY:
            raise DataError(f"{file} is a {raw.format}, which changes the values of pixels; save masks as PNG")
    values = sorted(set(total) - {IGNORE})
    if len(values) > MOST_UNNAMED:
        raise DataError(
            f"the masks beside {files[0]} hold {len(values)} different values and no file names the classes: they look "
            "like shades, or interpolated; save class numbers, or name the classes in labels.txt, one a line"
        )
    if not values:
        raise DataError(f"the masks beside {files[0]} hold {IGNORE} alone, which is no class: nothing to learn from")
    void = len(CAMVID)
    # Not all of its classes need be in a part of it; but most are.
    if annot and values[-1] == void and 2 * len(values) > void:
        note = (
            f"no names of classes, values up to {void} and folders called ...annot: taken for SegNet's CamVid, whose "
            f"names they get, and its void, {void}, is ignored; labels.txt, one name a line, says otherwise"
        )
        return Meaning(number_table(void, void=[void], source="SegNet's CamVid")[0], CAMVID, (note,))
    note = f"no names of classes (labels.txt, classes.csv): {counted(len(values), 'value')} in the masks, each a class"
    table = ValueTable({IGNORE: IGNORE, **{value: k for k, value in enumerate(values)}}, source="the values found")
    return Meaning(table, tuple(f"class {value}" for value in values), (note,))


def _refuse_strays(table: ValueTable, seen: Sequence[_Seen], *, named: bool) -> None:
    """Raise DataError where 255 is ignored, though it is probably the foreground of masks with some stray values."""
    total = _total(seen)
    others = {value: count for value, count in total.items() if value not in (0, IGNORE)}
    if table.by_color or table.values.get(IGNORE) != IGNORE or not others or total[IGNORE] <= sum(others.values()):
        return
    few = sum(others.values()) < FEW * total[IGNORE]
    # Names make other values classes. Then 255 may be much that nobody labelled, beside a good part of them.
    if named and not few and all(value in table.values for value in others):
        return
    value = min(others, key=lambda other: (others[other], other))
    one = next(one for one in seen if value in one.pixels)
    instead = "name the classes in labels.txt, one a line, from value 0 on"
    if named:
        instead = "give those pixels a number of their own, and name it 'void' after the other names"
    raise DataError(
        f"{one.file} has the value {value} ({one.pixels[value]:,} such pixels), and most of what is not 0 in the masks "
        f"is {IGNORE}: masks of 0 and {IGNORE} alone show background and foreground, but beside other values {IGNORE} "
        f"is no class. If it is one, correct the masks to 0 and {IGNORE}; if not, {instead}"
    )


def _ignored(table: ValueTable, seen: Sequence[_Seen], count: int) -> list[str]:
    """Say how much is 255 and ignored, nothing where nothing is."""
    known = {pack_color(color) for color in table.colors}

    def is_ignored(one: _Seen) -> bool:
        by_color = table.by_color and bool(one.colors)
        return one.colors[IGNORE] not in known if by_color else table.values.get(IGNORE) == IGNORE

    having = [one for one in seen if IGNORE in one.pixels and is_ignored(one)]
    if not having:
        return []
    total = _total(seen)
    share = sum(one.pixels[IGNORE] for one in having) / total.total()
    said = f"{share:.2%}" if share >= 0.0001 else "less than 0.01%"
    looked = f" of {len(seen):,} that were counted" if len(seen) < count else ""
    note = f"{IGNORE} is no class: in {counted(len(having), 'mask')}{looked} it is {said} of all pixels, ignored"
    alone = set(total) <= {0, IGNORE} and total[0]
    return [f"{note}, and all others are 0: if it is a class, save it as that class's number" if alone else note]
