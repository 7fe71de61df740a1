"""What YOLO's files say: data.yaml or classes.txt, and the lines of labels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pixelry.data.formats._boxes import Box, Picture, number, peek
from pixelry.data.formats._shared import CLASS_FILES, read_text, split_of
from pixelry.errors import DataError, ImageError
from pixelry.pixels import read_header

YAML = (".yaml", ".yml")
USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
HAS_NAMES = re.compile(rb"^[\"']?names[\"']?\s*:", re.MULTILINE)
# Of a pixel: what is less comes from dividing by the size and multiplying again.
DECIMALS = 8


@dataclass(frozen=True)
class Config:
    """What data.yaml or classes.txt says.

    Attributes:
        root: Folder of the data set.
        names: Class names by number, in the order of the numbers.
        named_in: The file that names them.
        entries: By split the folders of images, or text files that list them; empty where the layout says it.
        pose: Key points follow the box on each line.
        notes: What a reader should know.
    """

    root: Path
    names: dict[int, str]
    named_in: Path
    entries: dict[str, list[Path]] = field(default_factory=dict)
    pose: bool = False
    notes: tuple[str, ...] = ()


def config_file(path: Path) -> Path | None:
    """Return the data.yaml that a path is or has: a YAML file with class names."""
    if path.is_dir():
        files = [path / name for name in USUAL]
        files += sorted(file for file in path.iterdir() if file.suffix.lower() in YAML and file.name not in USUAL)
    else:
        files = [path] if path.suffix.lower() in YAML else []
    return next((file for file in files if file.is_file() and HAS_NAMES.search(peek(file))), None)


def read_config(path: Path) -> Config:
    """Read data.yaml or, without one, classes.txt.

    Raises:
        DataError: There is neither; it is no YAML, or has no usable names; a folder that it gives is missing.
    """
    file = config_file(path)
    if file is None:
        return _from_class_file(path)
    text = read_text(file)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise DataError(f"{file} holds a {type(content).__name__}; expected names, train, val and test")
    names = _names(file, content.get("names"))
    if content.get("nc", len(names)) != len(names):
        raise DataError(f"{file} says nc: {content['nc']}, but names {len(names)} classes")
    given = content.get("path") or ""
    root = file.parent / str(given)
    bases = [root, file.parent] if root.is_dir() else [file.parent]
    notes: list[str] = []
    entries: dict[str, list[Path]] = {}
    for key, value in content.items():
        split = split_of(key) if isinstance(key, str) else None
        if split is not None and value:
            entries[split] = entries.get(split, []) + _resolved(file, key, value, bases, notes)
    entries = {split: found for split, found in entries.items() if found}
    pose = "kpt_shape" in content
    notes += ["key points of the objects are not read"] if pose else []
    return Config(bases[0], names, file, entries, pose, tuple(notes))


def _from_class_file(path: Path) -> Config:
    for file in (folder / name for folder in (path, path / "labels") for name in CLASS_FILES):
        if file.is_file():
            lines = [line.strip() for line in read_text(file).rstrip().splitlines()]
            if "" in lines:
                raise DataError(f"{file}, line {lines.index('') + 1} is empty: which number has the class below it?")
            return Config(path, _names(file, lines), file)
    raise DataError(f"{path} has files of labels, but nothing names the classes: add classes.txt, one name a line")


def _names(file: Path, given: Any) -> dict[int, str]:
    names = dict(enumerate(given)) if isinstance(given, list) else given
    if not isinstance(names, dict) or not names:
        raise DataError(f"{file} has the names {given!r:.80}; expected a list, or numbers with a name each")
    for key, name in names.items():
        if not isinstance(key, int) or isinstance(key, bool) or key < 0:
            raise DataError(f"{file} gives a name to class {key!r}; classes are numbers from 0")
        if not isinstance(name, str | int | float) or isinstance(name, bool) or not str(name).strip():
            raise DataError(
                f"{file}: the name of class {key} is {name!r}, which YAML takes for no text: put it in quotes"
            )
    found = {key: str(names[key]) for key in sorted(names)}
    twice = sorted({name for name in found.values() if list(found.values()).count(name) > 1})
    if twice:
        raise DataError(f"{file} has the name '{twice[0]}' twice; each class has its own")
    return found


def _resolved(file: Path, key: str, value: Any, bases: list[Path], notes: list[str]) -> list[Path]:
    """Return the folders or lists of a split; a test split that is announced and not there is a note."""
    found = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, str):
            raise DataError(f"{file}: {key} is {entry!r}; expected a folder of images, or a .txt file that lists them")
        # Roboflow writes ../train/images for the folder beside its data.yaml.
        tried = [base / name for name in (entry, entry.removeprefix("../")) for base in bases]
        path = next((place for place in tried if place.exists()), None)
        if path is not None:
            found.append(path)
        elif split_of(key) == "test":
            notes.append(f"{file.name} names {entry} as {key}, which is not there: no such images")
        else:
            raise DataError(f"{file}: {key} is {entry}, and there is no {tried[0]}")
    return found


def add_objects(picture: Picture, file: Path, config: Config) -> int:
    """Add the objects of a file of labels to its picture, and return how many of them were polygons.

    Raises:
        DataError: A line is no box, its class has no name, or the image's size cannot be read.
    """
    if not file.is_file():
        return 0
    lines = [(line, text.split()) for line, text in enumerate(read_text(file).splitlines(), 1) if text.strip()]
    if not lines:
        return 0
    try:
        header = read_header(picture.path)
    except ImageError as error:
        raise DataError(f"{error}; YOLO's boxes are parts of the image's size") from None
    polygons = 0
    for line, words in lines:
        where = f"{file}, line {line}"
        values = [value for value in map(number, words) if value is not None]
        if len(values) != len(words):
            raise DataError(f"{where} is '{' '.join(words):.60}'; expected finite numbers: class, x, y, width, height")
        name = config.names.get(int(values[0])) if values[0].is_integer() else None
        if name is None:
            raise DataError(f"{where} has class {words[0]}, which has no name in {config.named_in}")
        values = values[1:5] if config.pose else values[1:]
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise DataError(
                f"{where} has {len(words)} values; expected 5 (class, x, y, width, height), or the class and at least "
                "3 corners of a polygon"
            )
        polygons += len(values) > 4
        picture.add(_box(values, header.width, header.height), name)
    return polygons


def _box(values: list[float], width: int, height: int) -> Box:
    """Return the box in pixels of centre and size, or around the corners of a polygon, as parts of the image."""
    if len(values) == 4:
        x, y, w, h = values
        edges = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    else:
        edges = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    left, top, right, bottom = (round(e * s, DECIMALS) for e, s in zip(edges, (width, height) * 2, strict=True))
    return left, top, right, bottom
