"""COCO: a JSON file with images, annotations and categories (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from natsort import natsorted

from pixelry.data.dataset import Dataset, Origin
from pixelry.data.findings import counted, listed
from pixelry.data.formats._boxes import (
    Box,
    Picture,
    detection_dataset,
    number,
    peek,
    settle,
    stated_size,
    turned_note,
)
from pixelry.data.formats._shared import split_of, split_roots
from pixelry.data.outlines import NO_MASKS, Outlines, outline_fault
from pixelry.errors import DataError

LOOKS_FOR = (
    "COCO: annotations/instances_train2017.json with train2017/ beside it; train/_annotations.coco.json among its "
    "images; or a .json file with the images beside it or in images/"
)
KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
# What is read of an annotation, or said in another note.
READ = {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"}
Record = dict[str, Any]


@dataclass(frozen=True)
class _Part:
    """What one file says: its pictures, names of categories in the order of their ids, what a reader should know."""

    file: Path
    pictures: dict[int | str, Picture]
    names: dict[int | str, str]
    notes: list[str]
    masks: Outlines | None = None

    @property
    def classes(self) -> list[str]:
        return list(dict.fromkeys(self.names.values()))

    def origin(self, classes: list[str]) -> Origin:
        """Return the ids and areas, with labels that are places in a list of classes."""
        categories = {key: classes.index(name) for key, name in self.names.items()}
        return Origin(list(self.pictures), categories, [picture.areas for picture in self.pictures.values()])


def recognise(path: Path) -> bool:
    """Return whether the path is such a file, or a folder with some in the usual places."""
    return bool(_candidates(path))


def read(path: Path) -> Dataset:
    """Read COCO's boxes; classes are in the order of the categories' ids, objects with iscrowd are `crowd`.

    A single file is the training split. Images without annotations have no objects. Each split's `origin` keeps the
    file's ids of images and categories, and the areas of the objects. Where all objects of a split have an outline, it
    has their masks too, drawn on access; else a note says why not. A note counts outlines of no good form: their
    objects have boxes, and empty masks.

    Raises:
        DataError: A file is no JSON, or cut short; an id refers to nothing; a box is not four numbers; an image is
            missing or listed twice; the splits have different classes. File and id are named.
    """
    files: dict[str, Path] = {}
    for split, file in _candidates(path):
        if split is None:
            raise DataError(f"{file.name} is one of several, and its name has none of train, val, test; give one file")
        if split in files:
            raise DataError(f"{files[split]} and {file.name} are both of split '{split}'; give one of them, or move it")
        files[split] = file
    if not files:
        raise DataError(f"{path} holds no {LOOKS_FOR}")
    parts: dict[str, _Part] = {split: _read_file(files[split]) for split in ("train", "val", "test") if split in files}
    notes = dict.fromkeys(f"{split}: {note}" for split, part in parts.items() for note in part.notes)
    pictures = {split: list(part.pictures.values()) for split, part in parts.items()}
    classes = _classes(parts)
    origins = {split: part.origin(classes) for split, part in parts.items()}
    masks = {split: part.masks for split, part in parts.items() if part.masks is not None}
    return detection_dataset(path, pictures, format="coco", classes=classes, notes=notes, origins=origins, masks=masks)


def _candidates(path: Path) -> list[tuple[str | None, Path]]:
    """Return (split, file) of each file of annotations; a lone file is train."""
    if path.is_file():
        return [("train", path)] if _looks_right(path) else []
    for folder in (path / "annotations", path):
        if files := _json_files(folder):
            named = [(next(filter(None, map(split_of, re.split(r"[\W\d_]+", f.stem))), None), f) for f in files]
            return [("train", files[0])] if len(files) == 1 and named[0][0] is None else named
    roots = [(split, folder) for split, root in split_roots(path).items() for folder in (root, root / "annotations")]
    return [(split, file) for split, folder in roots if folder != path for file in _json_files(folder)]


def _json_files(folder: Path) -> list[Path]:
    """Return the files of annotations in a folder: of COCO's own, those of objects."""
    files = natsorted((file for file in folder.glob("*.json") if not file.name.startswith(".")), key=str)
    files = [file for file in files if file.name.startswith("instances_")] or files
    return [file for file in files if _looks_right(file)]


def _looks_right(file: Path) -> bool:
    head = peek(file).removeprefix(b"\xef\xbb\xbf").lstrip() if file.suffix.lower() == ".json" else b""
    return head.startswith(b"{") and KEYS.search(head) is not None


def _classes(parts: Mapping[str, _Part]) -> list[str]:
    first = next(iter(parts.values()))
    for part in parts.values():
        lone = [
            (one.file, natsorted(set(one.classes) - set(two.classes))) for one, two in ((first, part), (part, first))
        ]
        if differ := [f"{listed(names)} only in {file}" for file, names in lone if names]:
            raise DataError(
                f"classes that differ between splits: {', '.join(differ)}; all files of a data set list the same ones"
            )
    return first.classes


def _read_file(file: Path) -> _Part:
    content = _load(file)
    names: dict[int | str, str] = {}
    for category_id, where, record in _records(file, content, "categories", "category"):
        if not isinstance(name := record.get("name"), str) or not name:
            raise DataError(f"{where} has no name")
        names[category_id] = name
    pictures, sizes = _pictures(file, content)
    unread = set[str]()
    for where, record in _annotations(file, content):
        box, name, picture = _box(where, record), names.get(record["category_id"]), pictures.get(record["image_id"])
        if name is None:
            raise DataError(f"{where} has category_id {record['category_id']!r}, which is no category's id")
        if picture is None:
            raise DataError(f"{where} has image_id {record['image_id']!r}, which is no image's id")
        if (crowd := record.get("iscrowd", 0)) not in (0, 1):
            raise DataError(f"{where} has iscrowd {crowd!r}; expected 0 or 1")
        area = record.get("area")
        stated = area if isinstance(area, int | float) and number(area) is not None else None
        outline = record.get("segmentation"), record.get("id", "?")
        picture.add(box, name, crowd=bool(crowd), area=stated, outline=outline)
        unread |= {key for key, value in record.items() if key not in READ and value}
    turned = sum(settle(pictures[key], size, f"{file}, image id {key!r}") for key, size in sizes.items())
    names = {key: names[key] for key in natsorted(names)}
    ordered = list(names.values())
    notes = [
        f"categories of one name are one class: {name}" for name in dict.fromkeys(ordered) if ordered.count(name) > 1
    ]
    masks, said = _masks(file, pictures, sizes)
    notes += [f"annotations hold more that is not read: {listed(natsorted(unread))}"] if unread else []
    return _Part(file, pictures, names, notes + said + turned_note(turned), masks)


def _masks(
    file: Path, pictures: Mapping[int | str, Picture], sizes: Mapping[int | str, tuple[int, int] | None]
) -> tuple[Outlines | None, list[str]]:
    """Return the outlines of a file if all objects have one, and what to say where they are none, or not good."""
    given = [pair for picture in pictures.values() for pair in picture.outlines]
    without = [key for outline, key in given if not outline]
    if len(without) == len(given):
        return None, []
    objects = counted(len(given), "object")
    if without:
        share = f"{len(without):,} of {objects} without an outline (segmentation)"
        return None, [f"{NO_MASKS}: {share}, such as annotation id {without[0]!r}"]
    bad = [(key, fault) for outline, key in given if (fault := outline_fault(outline))]
    said = f"such as annotation id {bad[0][0]!r} with {bad[0][1]}" if bad else ""
    if len(bad) == len(given):
        return None, [f"{NO_MASKS}: {objects} with outlines of no good form, {said}"]
    notes = [f"masks of {len(bad):,} of {objects} left out, neither learnt nor judged, {said}"] if bad else []
    stated = [(size[1], size[0]) if (size := sizes[key]) else None for key in pictures]
    pairs = [picture.outlines for picture in pictures.values()]
    segments, ids = ([[pair[k] for pair in found] for found in pairs] for k in (0, 1))
    left_out = [[k for k, (outline, _) in enumerate(found) if outline_fault(outline)] for found in pairs] if bad else ()
    return Outlines(file, [picture.path for picture in pictures.values()], stated, segments, ids, left_out), notes


def _load(file: Path) -> Record:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} is no JSON, or cut short: {error}") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or key not in content:
            held = ", ".join(content) if isinstance(content, dict) else type(content).__name__
            raise DataError(
                f"{file} has no '{key}' (it has: {held or 'nothing'}); expected images, annotations and categories"
            )
        if not isinstance(content[key], list):
            raise DataError(f"{file}: '{key}' is a {type(content[key]).__name__}; expected a list")
    return content


def _records(file: Path, content: Record, key: str, kind: str) -> Iterator[tuple[int | str, str, Record]]:
    """Yield (id, what to call it in messages, record) of each entry of a list; ids are there, and differ."""
    seen = set()
    for position, record in enumerate(content[key]):
        found = record.get("id") if isinstance(record, dict) else None
        if not isinstance(found, int | str):
            raise DataError(f"{file}: entry {position} of '{key}' has no id that is a number or text: {record!r:.80}")
        if found in seen:
            raise DataError(f"{file}: two entries of '{key}' have the id {found!r}")
        seen.add(found)
        yield found, f"{file}, {kind} id {found!r}", record


def _pictures(file: Path, content: Record) -> tuple[dict[int | str, Picture], dict[int | str, tuple[int, int] | None]]:
    """Return pictures and stated sizes by the images' ids."""
    pictures: dict[int | str, Picture] = {}
    sizes: dict[int | str, tuple[int, int] | None] = {}
    ids: dict[Path, int | str] = {}
    folders = _folders(file)
    for key, where, record in _records(file, content, "images", "image"):
        path = _image(where, record, folders)
        if path in ids:
            raise DataError(f"{where} has the file_name {record['file_name']}, and so has image id {ids[path]!r}")
        ids[path] = key
        pictures[key] = Picture(path)
        sizes[key] = stated_size(record.get("width"), record.get("height"), where)
    return pictures, sizes


def _folders(file: Path) -> list[Path]:
    """Return where the images of a file may lie: in a folder of its split's name, in images/, beside it."""
    root = file.parent.parent if file.parent.name.lower() == "annotations" else file.parent
    name = file.stem.removeprefix("instances_")
    return list(dict.fromkeys([root / name, root / "images" / name, root / "images", root, file.parent]))


def _image(where: str, record: Record, folders: list[Path]) -> Path:
    name = record.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(f"{where} has no file_name")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{where}: there is no file {name} in {', '.join(map(str, folders))}")


def _annotations(file: Path, content: Record) -> Iterator[tuple[str, Record]]:
    for position, record in enumerate(content["annotations"]):
        if not isinstance(record, dict):
            raise DataError(f"{file}: entry {position} of 'annotations' is no object: {record!r:.80}")
        where = f"{file}, annotation id {record['id']!r}" if "id" in record else f"{file}, annotation #{position}"
        for key in ("image_id", "category_id"):
            if not isinstance(record.get(key), int | str):
                raise DataError(f"{where} has no {key} that is a number or text")
        yield where, record


def _box(where: str, record: Record) -> Box:
    given = record.get("bbox")
    values = [number(v) for v in given if not isinstance(v, str)] if isinstance(given, list) else []
    if not isinstance(given, list) or len(given) != 4 or len(values) != 4 or None in values:
        raise DataError(f"{where} has the bbox {given!r:.80}; expected four finite numbers: left, top, width, height")
    left, top, width, height = (float(v) for v in given)
    return left, top, left + width, top + height
