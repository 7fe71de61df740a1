"""One XML file of Pascal VOC, read without trusting it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from pixelry.data.formats._boxes import Box, number, stated_size
from pixelry.errors import DataError

EDGES = ("xmin", "ymin", "xmax", "ymax")
READ = ("name", "bndbox", "difficult")
NOTHING = ("", "0", "Unspecified")
# Under this name an element keeps the line on which it begins.
LINE = "pixelry-line"


@dataclass(frozen=True)
class Item:
    """An object: its box as the file gives it, its class, and whether it is marked as difficult."""

    box: Box
    name: str
    difficult: bool


@dataclass(frozen=True)
class Annotation:
    """What an XML file says.

    Attributes:
        path: The file.
        image: Name of its image without folders, "" if it gives none.
        size: (width, height) in pixels, None if it gives none.
        items: The objects.
        unread: Names of what else is said of objects, such as "pose" and "truncated".
    """

    path: Path
    image: str
    size: tuple[int, int] | None
    items: tuple[Item, ...]
    unread: frozenset[str] = frozenset()


def read_annotation(path: Path) -> Annotation:
    """Read an XML file of Pascal VOC.

    Raises:
        DataError: It is damaged, has a doctype or entities, or a value is missing or no number; the line is named.
    """
    root = parse(path)
    if root.tag != "annotation":
        raise DataError(f"{path} holds <{root.tag}>; expected <annotation>, as in Pascal VOC")
    # Files that were made on Windows name their image with backslashes, which PureWindowsPath reads like slashes.
    image = PureWindowsPath(_text(root, "filename")).name
    size = stated_size(_text(root, "size/width") or None, _text(root, "size/height") or None, str(path))
    elements = root.findall("object")
    unread = frozenset(part.tag for element in elements for part in element if part.tag not in READ and _says(part))
    return Annotation(path, image, size, tuple(_item(path, element) for element in elements), unread)


def parse(path: Path) -> Element:
    """Return the root of an XML file; each element's attribute `LINE` is its line.

    Without a doctype there are no entities but XML's own five, so nothing can be expanded or fetched.

    Raises:
        DataError: It cannot be read, is damaged, or has a doctype.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise DataError(
            f"{path}, line {parser.CurrentLineNumber} has a doctype, through which XML can read other files or fill "
            "the memory; annotations need none: remove it"
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, {**attributes, LINE: str(parser.CurrentLineNumber)})

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise DataError(f"{path}, line {error.lineno} is no XML: {expat.errors.messages[error.code]}") from None
    except DataError:
        raise
    except (OSError, ValueError, LookupError) as error:  # a file that may not be read, an encoding that nobody knows
        raise DataError(f"{path} cannot be read: {error}") from None
    return builder.close()


def _item(path: Path, element: Element) -> Item:
    where = f"{path}, line {element.get(LINE)}"
    name = _text(element, "name")
    if not name:
        raise DataError(f"{where}: an object without a name")
    if element.find("bndbox") is None:
        raise DataError(f"{where}: object '{name}' has no bndbox; expected {', '.join(EDGES)} in it")
    given = [_text(element, f"bndbox/{edge}") for edge in EDGES]
    left, top, right, bottom = (number(text) for text in given)
    if left is None or top is None or right is None or bottom is None:
        raise DataError(f"{where}: object '{name}' has the box {given} ({', '.join(EDGES)}); expected finite numbers")
    difficult = _text(element, "difficult") or "0"
    if difficult not in ("0", "1"):
        raise DataError(f"{where}: object '{name}' has difficult '{difficult}'; expected 0 or 1")
    return Item((left, top, right, bottom), name, difficult == "1")


def _says(element: Element) -> bool:
    """Return whether an element holds anything but the values that stand for nothing."""
    return len(element) > 0 or (element.text or "").strip() not in NOTHING


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
