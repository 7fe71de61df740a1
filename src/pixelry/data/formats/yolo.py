"""YOLO: a text file for each image, one line an object (https://docs.ultralytics.com/datasets/detect/)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.findings import counted
from pixelry.data.formats._boxes import Picture, detection_dataset
from pixelry.data.formats._shared import CLASS_FILES, read_text, split_of, split_roots, subfolders
from pixelry.data.formats._yolo import Config, add_objects, config_file, read_config
from pixelry.errors import DataError
from pixelry.pixels import SUFFIXES, image_files

LOOKS_FOR = (
    "YOLO: data.yaml, or images/train and labels/train (or train/images and train/labels) with classes.txt; a .txt "
    "file for each image"
)


@dataclass
class _Part:
    """The images of a split, and where they and their labels lie.

    Attributes:
        images: In order.
        roots: (folder of images, folder of their labels), each with what is below.
        lists: Text files that list images, and so are no labels.
    """

    images: list[Path] = field(default_factory=list)
    roots: set[tuple[Path, Path]] = field(default_factory=set)
    lists: set[Path] = field(default_factory=set)


def recognise(path: Path) -> bool:
    """Return whether the path is a data.yaml, a folder with one, or has folders of images and labels."""
    return config_file(path) is not None or bool(_layout(path))


def read(path: Path) -> Dataset:
    """Read YOLO's text files; boxes are parts of the image's size, which is read from its header.

    Classes are in the order of their numbers. A polygon counts as the box around it. An image without a text file has
    no objects.

    Raises:
        DataError: A line is no box, or its class has no name; a text file has no image; an image is missing, cannot be
            read, or listed twice; there are no names. File and line are named.
    """
    config = read_config(path)
    parts = _configured(config)
    if not parts:
        parts = {split: _folder_part(folder) for split, folder in _layout(config.root).items()}
    if not any(part.images for part in parts.values()):
        raise DataError(f"{path} has no images in its splits; expected {LOOKS_FOR}")
    notes = list(config.notes)
    labels = {split: _label_files(part) for split, part in parts.items()}
    _refuse_orphans(parts.values(), {file for files in labels.values() for file in files.values()})
    if not any(file.is_file() for files in labels.values() for file in files.values()):
        image, file = next(pair for files in labels.values() for pair in files.items())
        raise DataError(f"{path}: no image has a file of labels; that of {image} would be {file}")
    splits: dict[str, list[Picture]] = {}
    polygons = 0
    for split, files in labels.items():
        splits[split] = [Picture(image) for image in files]
        polygons += sum(add_objects(p, file, config) for p, file in zip(splits[split], files.values(), strict=True))
        if missing := sum(not file.is_file() for file in files.values()):
            notes.append(f"{split}: {counted(missing, 'image')} without a file of labels: taken as without objects")
    if polygons:
        notes.append(f"{counted(polygons, 'object')} with a polygon: the box around it is taken")
    return detection_dataset(path, splits, format="yolo", classes=tuple(config.names.values()), notes=notes)


def _layout(path: Path) -> dict[str, Path]:
    """Return the folder of images of each split, where a folder of labels goes with it."""
    pairs = {split: (root / "images", root / "labels") for split, root in split_roots(path).items()}
    for folder in subfolders(path / "images"):
        if split := split_of(folder.name):
            pairs[split] = (folder, path / "labels" / folder.name)
    return {
        split: images
        for split, (images, labels) in pairs.items()
        if images.is_dir() and next(labels.rglob("*.txt"), None) is not None
    }


def _configured(config: Config) -> dict[str, _Part]:
    """Return what data.yaml says of each split: folders, or text files that list images."""
    parts: dict[str, _Part] = {}
    for split, entries in config.entries.items():
        parts[split] = _Part()
        for entry in entries:
            found = _listed_part(entry, config.root) if entry.is_file() else _folder_part(entry)
            parts[split].images += found.images
            parts[split].roots |= found.roots
            parts[split].lists |= found.lists
    return parts


def _folder_part(folder: Path) -> _Part:
    return _Part(image_files(folder), {(folder, _label_folder(folder))})


def _listed_part(file: Path, root: Path) -> _Part:
    """Return the images that a text file lists, one a line, relative to it or to the data set's folder."""
    images = []
    for line, text in enumerate(read_text(file).splitlines(), 1):
        if name := text.strip():
            found = next((base / name for base in (file.parent, root) if (base / name).is_file()), None)
            if found is None:
                raise DataError(f"{file}, line {line}: there is no file {name} in {file.parent} or {root}")
            images.append(found)
    return _Part(images, {(folder, _label_folder(folder)) for folder in {i.parent for i in images}}, {file})


def _label_folder(folder: Path) -> Path:
    """Return where the labels of a folder of images lie: in labels/ for images/, else among the images."""
    for place in reversed(range(len(folder.parts))):
        labels = Path(*folder.parts[:place], "labels")
        if folder.parts[place] == "images" and labels.is_dir():
            return labels.joinpath(*folder.parts[place + 1 :])
    return folder


def _label_files(part: _Part) -> dict[Path, Path]:
    """Return the file of labels of each image, whether there is one or not."""
    folder_of = functools.cache(_label_folder)
    labels: dict[Path, Path] = {}
    owners: dict[Path, Path] = {}
    for image in part.images:
        file = folder_of(image.parent) / f"{image.stem}.txt"
        if image in labels:
            raise DataError(f"{image} is in a split twice")
        if file in owners:
            raise DataError(f"{image} and {owners[file]} have one file of labels, {file}; rename one of them")
        labels[image], owners[file] = file, image
    return labels


def _refuse_orphans(parts: Iterable[_Part], used: set[Path]) -> None:
    """Raise DataError for a file of labels whose image is missing; one whose image is only not listed is fine."""
    parts = list(parts)
    known = used.union(*(part.lists for part in parts))
    for images, labels in {root for part in parts for root in part.roots}:
        for file in labels.rglob("*.txt"):
            beside = images / file.parent.relative_to(labels)
            if file in known or file.name in CLASS_FILES or _has_image(beside, file.stem):
                continue
            raise DataError(f"{file} has no image: expected {beside / file.stem} with one of {', '.join(SUFFIXES)}")


def _has_image(folder: Path, stem: str) -> bool:
    return any((folder / f"{stem}{suffix}").is_file() for suffix in SUFFIXES)
