"""Write Pascal VOC: JPEGImages/, Annotations/, ImageSets/Main/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from pixelry.data.findings import counted
from pixelry.data.formats._boxes import Box
from pixelry.data.writers.base import Ids, Item, Splits, classes_lost, origin_lost, plain


def image_folder(split: str) -> str:
    """Return where the images of all splits lie."""
    return "JPEGImages"


def losses(splits: Splits, classes: Sequence[str], ids: Ids) -> list[str]:
    """Return what VOC does not hold, and how pixels are counted if not from 1 as usual."""
    notes = [*classes_lost(splits, classes, "VOC"), *origin_lost(splits, ids, "VOC")]
    boxes = [box for items in splits.values() for item in items for box in item.boxes]
    odd = counted(sum(_fraction(box) or _outside(box) for box in boxes), "box", "boxes")
    what = f"{odd} with a fraction of a pixel, or outside the image"
    if not _first(boxes):
        notes.append(
            f"{what}: all coordinates are written with pixels counted from 0, while other programs may expect VOC's "
            "whole numbers from 1"
        )
    elif any(map(_fraction, boxes)):
        notes.append(f"{what}: other programs may expect VOC's whole numbers")
    return notes


def write(folder: Path, splits: Splits, classes: Sequence[str], ids: Ids) -> None:
    """Write an XML file for each image and a list for each split; crowds are marked as difficult."""
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (folder / "Annotations").mkdir()
    first = _first([box for items in splits.values() for item in items for box in item.boxes])
    for split, items in splits.items():
        stems = [Path(item.file).stem for item in items]
        (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems), "utf-8")
        for stem, item in zip(stems, items, strict=True):
            tree = ElementTree.ElementTree(_annotation(item, classes, first))
            ElementTree.indent(tree)
            tree.write(folder / "Annotations" / f"{stem}.xml", encoding="utf-8")


def _first(boxes: Sequence[Box]) -> int:
    """Return the number of the first pixel, so that a reader can tell it from the coordinates alone."""
    fractions = sum(map(_fraction, boxes))
    return int(not any(map(_outside, boxes)) and 2 * fractions <= len(boxes))


def _fraction(box: Box) -> bool:
    return not all(edge.is_integer() for edge in box)


def _outside(box: Box) -> bool:
    """Return whether a coordinate is less than 1 when pixels count from 1."""
    left, top, right, bottom = box
    return min(left + 1, top + 1, right, bottom) < 1


def _annotation(item: Item, classes: Sequence[str], first: int) -> Element:
    root = Element("annotation")
    _add(root, folder="JPEGImages", filename=Path(item.file).name)
    _add(SubElement(root, "size"), width=item.width, height=item.height, depth=item.channels)
    _add(root, segmented=0)
    for (left, top, right, bottom), label, crowd in zip(item.boxes, item.labels, item.crowd, strict=True):
        element = SubElement(root, "object")
        _add(element, name=classes[label], pose="Unspecified", truncated=0, difficult=int(crowd))
        edges = {"xmin": left + first, "ymin": top + first, "xmax": right, "ymax": bottom}
        _add(SubElement(element, "bndbox"), **{name: plain(edge) for name, edge in edges.items()})
    return root


def _add(element: Element, **values: object) -> None:
    for name, value in values.items():
        SubElement(element, name).text = str(value)
