"""Pascal VOC: an XML file for each image (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from natsort import natsorted

from pixelry.data.dataset import Dataset
from pixelry.data.findings import counted, listed
from pixelry.data.formats._boxes import (
    Box,
    Picture,
    by_stem,
    detection_dataset,
    peek,
    settle,
    turned_note,
)
from pixelry.data.formats._shared import read_text, split_lists, split_roots
from pixelry.data.formats._xml import Annotation, read_annotation
from pixelry.errors import DataError
from pixelry.pixels import image_files
from pixelry.pixels.collection import naturally_sorted

LOOKS_FOR = (
    "Pascal VOC: JPEGImages/, Annotations/*.xml and maybe ImageSets/Main/train.txt; or train/, val/, test/ with images "
    "and XML"
)
FOLDERS = ("", "Annotations", "annotations", "xml", "xmls", "labels")
# XML files that are looked into before a folder is called something else.
LOOKS = 4


@dataclass
class _Found:
    """An XML file and the image that it is about."""

    annotation: Annotation
    picture: Picture


def recognise(path: Path) -> bool:
    """Return whether a folder holds XML files of annotations, in the usual places."""
    if not path.is_dir():
        return False
    folders = [root / name for root in (path, *split_roots(path).values()) for name in FOLDERS]
    files = (file for folder in folders if folder.is_dir() for file in islice(folder.glob("*.xml"), LOOKS))
    return any(b"<annotation" in peek(file).replace(b"\0", b"") for file in files)


def read(path: Path) -> Dataset:
    """Read Pascal VOC; objects that are marked as difficult are `crowd`.

    Splits are those of ImageSets/Main (trainval only where train and val are missing) or the folders train, val and
    test; without either, all is train. VOC counts pixels from 1 and its boxes include both ends, so 1 is subtracted
    from left and top; where a coordinate of the data set is below 1 or has a fraction, counting begins at 0 and nothing
    is subtracted. The notes say which.

    Raises:
        DataError: An XML file is damaged, has a doctype or lacks a value, or its image is missing; file and line are
            named.
    """
    notes: list[str] = []
    splits = _listed(path, notes) if (path / "Annotations").is_dir() else _in_folders(path, notes)
    found = [one for members in splits.values() for one in members]
    if not found:
        raise DataError(f"{path} has no annotations; expected {LOOKS_FOR}")
    notes += _place_boxes(found)
    if (path / "SegmentationClass").is_dir():
        notes.append("boxes alone are read; --format voc_masks reads the masks in SegmentationClass")
    if unread := natsorted({name for one in found for name in one.annotation.unread}):
        notes.append(f"objects hold more that is not read: {listed(unread)}")
    turned = sum(settle(one.picture, one.annotation.size, str(one.annotation.path)) for one in found)
    pictures = {split: [one.picture for one in members] for split, members in splits.items()}
    return detection_dataset(path, pictures, format="voc", notes=[*notes, *turned_note(turned)])


def _listed(path: Path, notes: list[str]) -> dict[str, list[_Found]]:
    """Return the annotations of a folder as VOC lays it out, by the lists of its splits."""
    images = by_stem(image_files(path / "JPEGImages" if (path / "JPEGImages").is_dir() else path))
    files = {file.relative_to(path / "Annotations").with_suffix("").as_posix(): file for file in _xml_files(path)}
    lists = split_lists(path / "ImageSets" / "Main", notes)
    chosen = {split: _names(file, files) for split, file in lists.items()} or {"train": list(files.values())}
    empty = [lists[split].name for split, members in chosen.items() if not members and split in lists]
    notes += [f"ImageSets/Main/{name} is empty: no such split" for name in empty]
    unlisted = set(files.values()) - {file for members in chosen.values() for file in members}
    if unlisted:
        notes.append(f"{counted(len(unlisted), 'annotation')} in none of the lists of ImageSets/Main: left out")
    if not lists:
        notes += _without_annotation(images, list(files.values()))
    return {split: _read_all(members, images) for split, members in chosen.items() if members}


def _names(file: Path, files: dict[str, Path]) -> list[Path]:
    """Return the XML files that a list of ImageSets names, one a line, maybe with a second column."""
    found: dict[str, Path] = {}
    for line, text in enumerate(read_text(file).splitlines(), 1):
        name = text.strip()
        if name and name not in files:
            name = name.split()[0]
        if name and name not in files:
            raise DataError(f"{file}, line {line} names {name}, but there is no Annotations/{name}.xml")
        if name in found:
            raise DataError(f"{file}, line {line} names {name}, which stands further up already")
        if name:
            found[name] = files[name]
    return list(found.values())


def _in_folders(path: Path, notes: list[str]) -> dict[str, list[_Found]]:
    """Return the annotations below each folder with a split's name, or below the path."""
    splits = {}
    for split, root in split_roots(path).items():
        files, images = _xml_files(root), by_stem(image_files(root))
        notes += _without_annotation(images, files)
        if files:
            splits[split] = _read_all(files, images)
    return splits


def _xml_files(root: Path) -> list[Path]:
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    files = (file for file in folder.rglob("*.xml") if file.is_file())
    # Editors and archives leave files behind that begin with a dot.
    return naturally_sorted(f for f in files if not any(part.startswith(".") for part in f.relative_to(folder).parts))


def _without_annotation(images: dict[str, list[Path]], files: Sequence[Path]) -> list[str]:
    missing = set(images) - {file.stem for file in files}
    return [f"{counted(len(missing), 'image')} without an XML file: left out"] if missing else []


def _read_all(files: Sequence[Path], images: dict[str, list[Path]]) -> list[_Found]:
    found, used = [], dict[Path, Path]()
    for file in files:
        annotation = read_annotation(file)
        image = _image(annotation, images)
        if image in used:
            raise DataError(f"{file} and {used[image]} are both about {image}; an image has one annotation")
        used[image] = file
        found.append(_Found(annotation, Picture(image)))
    return found


def _image(annotation: Annotation, images: dict[str, list[Path]]) -> Path:
    """Return the image of an XML file: of the same name, or the one that the file names; the nearest of several."""
    file, given = annotation.path, annotation.image
    found = images.get(file.stem) or [image for image in images.get(Path(given).stem, []) if image.name == given]
    for fits in (
        [image for image in found if image.parent == file.parent],
        [image for image in found if image.parent.name == file.parent.name],
        [image for image in found if image.name == given],
        found,
    ):
        if len(fits) == 1:
            return fits[0]
    if found:
        raise DataError(f"{file} fits several images: {', '.join(map(str, found[:3]))}; remove all but one")
    named = f" or {given}" if given else ""
    raise DataError(f"{file}: there is no image {file.stem}.*{named} (the image of an annotation has its name)")


def _place_boxes(found: Sequence[_Found]) -> list[str]:
    """Give the pictures their boxes in pixels that begin at 0, and return what to say of it."""
    boxes = [item.box for one in found for item in one.annotation.items]
    below = [box for box in boxes if min(box) < 1]
    fractions = [box for box in boxes if not all(edge.is_integer() for edge in box)]
    # A few fractions stand in files that count from 1; a program that writes them all over counts from 0.
    from_zero = below or (fractions if 2 * len(fractions) > len(boxes) else [])
    first = 0 if from_zero else 1
    for one in found:
        for item in one.annotation.items:
            one.picture.add(_moved(item.box, first), item.name, crowd=item.difficult)
    if from_zero:
        share = f"{len(from_zero):,} of {counted(len(boxes), 'box', 'boxes')}"
        return [f"pixels are counted from 0: coordinates below 1 or with a fraction in {share}; nothing is subtracted"]
    return ["pixels are counted from 1, both ends included: left and top are less by 1 here"] if boxes else []


def _moved(box: Box, first: int) -> Box:
    return box[0] - first, box[1] - first, box[2], box[3]
