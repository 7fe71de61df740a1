"""Predictions as files: tables for people and programs, pictures one by one, a sheet to look at."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from pixelry.boxes import Boxes
from pixelry.draw import draw_samples
from pixelry.errors import ImageError, PixelryError
from pixelry.inputs import GENERATED, PREDICTED, SHEET, SKIPPING
from pixelry.instances import Instances
from pixelry.pixels import contact_sheet, write_image
from pixelry.pixels.encode import FORMATS, holds
from pixelry.pixels.measure import parse_pixel_size
from pixelry.region_files import RegionTables
from pixelry.segments import Segments
from pixelry.types import Generated, Labels, Restored, Result, Results
from pixelry.way import Way, way_strip

SHEET_IMAGES = 64
SHEET_PAIRS = 12
SHEET_SAMPLES = 100
PAIR_CELL = 640
AREA_COLUMNS = ("name", "label", "pixels", "share")
BOX_COLUMNS = ("name", "label", "score", "left", "top", "right", "bottom")
KEPT = 1000
KEPT_PICTURES, KEPT_BYTES = 100, 2**30
FRAME, STAY = 100, 1500  # milliseconds of a film's frames and of its last


def save_predictions(
    found: Iterable[Result],
    folder: Path,
    failed: Sequence[tuple[str, str]] = (),
    *,
    strip: bool = False,
    measure: Mapping[str, Any] | None = None,
    count: int | None = None,
) -> Results:
    """Write what a model says of images, as it comes.

    `predictions.jsonl` has a line for each; `predictions.csv` the labels, or a line for each box or each class's area,
    which `coco.json` has as COCO results; what is a picture, boxes drawn over one, or a map of classes, is a file of
    its own, named after the one that was given, beside a map also NAME-color.png and NAME-overlay.jpg; `sheet.png`
    shows the first; labels with evidence have NAME-why.png; and `failed.csv` names the images that could not be read.
    A picture that cannot be written to its end is not there.

    Args:
        found: Results are asked for one after the other.
        folder: Where to.
        failed: (name, message) of images that could not be read, by the time that all results have come.
        strip: Also write NAME-strip.png of each restored picture: before and after, side by side.
        measure: Also measure the objects of maps and masks, with these options of `Segments.measure`: regions.csv,
            region-summary.csv, and NAME-regions.png with the number of each object.
        count: How many images there are, where that is known: for the message when one of them cannot be read.

    Returns:
        The results; of those that are as large as pictures the first, at most 100 and at most 1 GiB (but always one),
        whose `total` says how many there are in the folder.

    Raises:
        ImageError: An image cannot be read; what was predicted before it is there, sheet and tables included.
        PixelryError: A file cannot be written; it is named.
    """
    broken = list[ImageError]()
    kept, total, shown, held = Results(), 0, list[NDArray[np.uint8]](), 0
    taken, titles = {SHEET}, list[str]()
    try:
        with ExitStack() as stack:
            lines = stack.enter_context((folder / PREDICTED).open("w", encoding="utf-8"))
            tables = stack.enter_context(_Tables(folder))
            if measure is not None:
                size = parse_pixel_size(measure.get("pixel_size"))
                kept.regions = stack.enter_context(RegionTables(folder, size))
            for result in _until_broken(found, broken):
                if isinstance(result, Labels):
                    file = _save_evidence(result, folder, taken)
                else:
                    file = _save_picture(result, folder, taken, strip=strip)
                lines.write(json.dumps({**result.to_dict(), **({"file": file} if file else {})}) + "\n")
                tables.add(result)
                if measure is not None and isinstance(result, Segments | Instances):
                    _save_regions(result, kept.regions, folder, taken, measure)
                total += 1
                if len(shown) < (SHEET_IMAGES if isinstance(result, Labels) else SHEET_PAIRS):
                    shown.append(_for_sheet(result))
                    titles.append(_title(result))
                held += _bytes(result)
                if not kept or not _bytes(result) or (total <= KEPT_PICTURES and held <= KEPT_BYTES):
                    kept.append(result)
        kept.failed = list(failed)
        if kept.failed:
            _write_csv(folder / "failed.csv", ("name", "error"), kept.failed)
    except OSError as error:
        raise PixelryError(f"the predictions cannot be written to {folder}: {error.strerror}") from None
    finally:
        if not total:  # nothing came: the folder is free for another try
            (folder / PREDICTED).unlink(missing_ok=True)
    kept.folder = folder
    kept.total = total if total > len(kept) else None
    if shown:
        pairs = {} if isinstance(kept[0], Labels) else {"columns": min(2, len(shown)), "cell": PAIR_CELL}
        write_image(folder / SHEET, contact_sheet(shown, labels=titles, **pairs))
    if broken and count == 1:
        raise broken[0]
    if broken:
        done = f"{total:,} of {count:,} images are" if count else f"{total:,} images before it are"
        raise ImageError(f"{broken[0]}; {f'{done} done and kept in {folder}; ' if total else ''}{SKIPPING}") from None
    return kept


def _save_regions(
    result: Segments | Instances, tables: RegionTables, folder: Path, taken: set[str], options: Mapping[str, Any]
) -> None:
    """Measure the objects of a result, and write their rows and their numbers over the image."""
    regions = result.measure(**options)
    tables.add(regions)
    stem = f"{_stem(result.name)}-regions"
    file = next(name for name in _names(stem, ".png") if name not in taken)
    taken.add(file)
    write_image(folder / file, regions.draw(result.image))


def _until_broken(found: Iterable[Result], broken: list[ImageError]) -> Iterator[Result]:
    """Yield results until an image cannot be read, which is told to `broken`: what came before it is still written."""
    try:
        yield from found
    except ImageError as error:
        broken.append(error)


class _Tables:
    """`predictions.csv` and `coco.json` of a folder, where results have something for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open = ExitStack()
        self.csv: Any = None
        self.coco: Any = None
        self.written = 0

    def __enter__(self) -> _Tables:
        return self

    def __exit__(self, *error: object) -> None:
        if self.coco is not None:
            self.coco.write("]")
        self.open.close()

    def add(self, result: Result) -> None:
        """Write the rows and entries of a result."""
        if isinstance(result, Labels):
            self._rows(("name", "label", "score"), [(result.name, result.label, f"{result.score:.6f}")])
        elif isinstance(result, Boxes):
            self._rows(BOX_COLUMNS, _box_rows(result))
            self._entries(result.to_coco())
        elif isinstance(result, Segments):
            self._rows(AREA_COLUMNS, _area_rows(result))
            self._entries(result.to_coco(polygons=True))

    def _rows(self, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        if self.csv is None:
            file = (self.folder / "predictions.csv").open("w", newline="", encoding="utf-8")
            self.csv = csv.writer(self.open.enter_context(file))
            self.csv.writerow(columns)
        self.csv.writerows(rows)

    def _entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        if self.coco is None:
            self.coco = self.open.enter_context((self.folder / "coco.json").open("w", encoding="utf-8"))
            self.coco.write("[")
        for entry in entries:
            self.coco.write((",\n" if self.written else "") + json.dumps(entry))
            self.written += 1


def _for_sheet(result: Result) -> NDArray[np.uint8]:
    if isinstance(result, Labels):
        return result.image
    if isinstance(result, Restored):
        # Those of large pictures would be in memory until the sheet is made.
        return result.draw(longest=PAIR_CELL)
    return result.draw() if isinstance(result, Generated) else result.draw(scale=None)


def _bytes(result: Result) -> int:
    """Return how much memory a result takes that is as large as a picture; 0 for others."""
    if isinstance(result, Restored):
        return int(result.image.nbytes)
    if isinstance(result, Segments):
        return int(result.ids.nbytes + (0 if result.confidence is None else result.confidence.nbytes))
    return 0


def _title(result: Result) -> str:
    """Return what stands under a result on the sheet."""
    return f"{result.label} {result.score:.0%}" if isinstance(result, Labels) else Path(result.name).name


def save_generated(pictures: Iterable[Any], folder: Path, settings: Mapping[str, Any]) -> Results:
    """Write pictures as a model makes them: a file each, a JSON line each in `images.jsonl`, and `sheet.png`.

    Args:
        pictures: Are asked for one after the other, so that memory stays the same for any number.
        folder: Where to.
        settings: How they were drawn; stands in each line.

    Returns:
        The first of them, at most 1,000, and the folder.
    """
    first, total = Results(), 0
    try:
        with (folder / GENERATED).open("w", encoding="utf-8") as lines:
            for picture in pictures:
                # Seed and number make a name that no other picture has, so that none need be remembered.
                file = _save_picture(picture, folder, {SHEET})
                total += 1
                lines.write(json.dumps({**picture.to_dict(), **settings, "file": file}) + "\n")
                if len(first) < KEPT:
                    first.append(picture)
    except OSError as error:
        raise PixelryError(f"the pictures cannot be written to {folder}: {error.strerror}") from None
    first.folder = folder
    first.total = total
    write_image(folder / SHEET, draw_samples([result.draw() for result in first[:SHEET_SAMPLES]]))
    return first


def save_way(way: Way, folder: Path, name: str = "way") -> None:
    """Write a way: `way.gif` as a film, `way.png` as a strip of some of its frames, or under another name."""
    frames = [contact_sheet([row[i] for row in way], columns=len(way)) for i in range(len(way[0]))]
    films = [PILImage.fromarray(frame) for frame in frames]
    # The last frame stays, so that the pictures can be looked at.
    films[0].save(
        folder / f"{name}.gif",
        save_all=True,
        append_images=films[1:],
        loop=0,
        duration=[FRAME] * (len(films) - 1) + [STAY],
    )
    write_image(folder / f"{name}.png", way_strip(way))


def _box_rows(boxes: Boxes) -> list[tuple[str, ...]]:
    return [
        (boxes.name, label, f"{score:.6f}", *(f"{value:.2f}" for value in box))
        for label, score, box in zip(boxes.names, boxes.scores, boxes.xyxy, strict=True)
    ]


def _area_rows(segments: Segments) -> list[tuple[str, ...]]:
    total = segments.ids.size
    return [(segments.name, label, str(area), f"{area / total:.6f}") for label, area in segments.areas.items()]


def _save_picture(
    result: Boxes | Segments | Restored | Generated, folder: Path, taken: set[str], *, strip: bool = False
) -> str:
    """Write a picture under a name that no other has, which is added to those that are taken; return the name."""
    stem = _stem(result.name, whole=isinstance(result, Generated))
    # Boxes over a photograph are to be looked at: no pixel of theirs is worth the size of a PNG.
    suffix = ".jpg" if isinstance(result, Boxes) else ".png" if isinstance(result, Segments) else _suffix(result)
    file = next(name for name in _names(stem, suffix) if name not in taken)
    taken.add(file)
    result.save(folder / file)
    beside: dict[str, Callable[[], NDArray[np.uint8]]] = {}
    if isinstance(result, Segments):
        beside = {"-color.png": result.color, "-overlay.jpg": partial(result.draw, scale=None)}
    elif isinstance(result, Restored) and strip:
        beside = {"-strip.png": result.draw}
    for ending, picture in beside.items():
        named = Path(f"{Path(file).stem}{ending}")
        other = next(name for name in _names(named.stem, named.suffix) if name not in taken)
        taken.add(other)
        write_image(folder / other, picture())
    return file


def _stem(name: str, *, whole: bool = False) -> str:
    """Return the name of a result as a file's name without suffix."""
    # What is between the arguments of a program and a name of a class may hold anything, such as slashes.
    return re.sub(r"[^\w.+ -]+", "-", re.sub(r"^#(?=\d+$)", "image", name if whole else Path(name).stem))


def _save_evidence(labels: Labels, folder: Path, taken: set[str]) -> str | None:
    """Write NAME-why.png of labels whose evidence was asked for; return the name."""
    if labels.evidence is None:
        return None
    file = next(name for name in _names(f"{_stem(labels.name)}-why", ".png") if name not in taken)
    taken.add(file)
    write_image(folder / file, labels.draw())
    return file


def _names(stem: str, suffix: str) -> Iterable[str]:
    yield f"{stem}{suffix}"
    yield from (f"{stem}-{number}{suffix}" for number in range(2, 10**9))


def _suffix(picture: Restored | Generated) -> str:
    """Return the ending of a picture's file: that of the file it came from, if there is one that holds its pixels."""
    if isinstance(picture, Restored) and isinstance(picture.source, Path):
        ending = picture.source.suffix.lower()
        if ending in FORMATS and holds(FORMATS[ending], picture.image):
            return ending
    # PNG holds integers without loss, TIFF also floats.
    return ".tif" if picture.image.dtype.kind == "f" else ".png"


def _write_csv(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
