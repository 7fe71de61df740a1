"""Predictions as files: tables for people and programs, pictures one by one, a sheet to look at."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from pixelry.boxes import Boxes
from pixelry.draw import draw_samples
from pixelry.errors import PixelryError
from pixelry.pixels import contact_sheet, write_image
from pixelry.segments import Segments
from pixelry.types import Generated, Labels, Restored, Results
from pixelry.way import Way, way_strip

SHEET = "sheet.png"
SHEET_IMAGES = 64
SHEET_PAIRS = 12
SHEET_SAMPLES = 100
PAIR_CELL = 640
AREA_COLUMNS = ("name", "label", "pixels", "share")
BOX_COLUMNS = ("name", "label", "score", "left", "top", "right", "bottom")
KEPT = 1000
FRAME, STAY = 100, 1500  # milliseconds of a film's frames and of its last


def save_predictions(results: Results, folder: Path) -> None:
    """Write what a model said of images.

    `predictions.jsonl` has a line for each; `predictions.csv` the labels, or a line for each box or each class's area,
    which `coco.json` has as COCO results; what is a picture, boxes drawn over one, or a map of classes, is a file of
    its own, named after the one that was given, beside a map also NAME-overlay.jpg; `sheet.png` shows the first, and
    `failed.csv` names the images that could not be read.
    """
    try:
        files = _save_pictures(results, folder)
        _write_lines(folder / "predictions.jsonl", results, files)
        labels = [(r.name, r.label, f"{r.score:.6f}") for r in results if isinstance(r, Labels)]
        if labels:
            _write_csv(folder / "predictions.csv", ("name", "label", "score"), labels)
        found = [r for r in results if isinstance(r, Boxes)]
        if found:
            _write_csv(folder / "predictions.csv", BOX_COLUMNS, [row for boxes in found for row in _box_rows(boxes)])
            entries = [entry for boxes in found for entry in boxes.to_coco()]
            (folder / "coco.json").write_text(json.dumps(entries), encoding="utf-8")
        maps = [r for r in results if isinstance(r, Segments)]
        if maps:
            _write_csv(folder / "predictions.csv", AREA_COLUMNS, [row for one in maps for row in _area_rows(one)])
            outlines = [entry for one in maps for entry in one.to_coco(polygons=True)]
            (folder / "coco.json").write_text(json.dumps(outlines), encoding="utf-8")
        if results.failed:
            _write_csv(folder / "failed.csv", ("name", "error"), results.failed)
    except OSError as error:
        raise PixelryError(f"the predictions cannot be written to {folder}: {error.strerror}") from None
    results.folder = folder
    if results:
        write_image(folder / SHEET, _sheet(results))


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
        with (folder / "images.jsonl").open("w", encoding="utf-8") as lines:
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


def _save_pictures(results: Results, folder: Path) -> list[str | None]:
    """Write the results that are pictures; return each result's file, None for those that are not."""
    taken = {SHEET}
    return [None if isinstance(result, Labels) else _save_picture(result, folder, taken) for result in results]


def _box_rows(boxes: Boxes) -> list[tuple[str, ...]]:
    return [
        (boxes.name, label, f"{score:.6f}", *(f"{value:.2f}" for value in box))
        for label, score, box in zip(boxes.names, boxes.scores, boxes.xyxy, strict=True)
    ]


def _area_rows(segments: Segments) -> list[tuple[str, ...]]:
    total = segments.ids.size
    return [(segments.name, label, str(area), f"{area / total:.6f}") for label, area in segments.areas.items()]


def _save_picture(result: Boxes | Segments | Restored | Generated, folder: Path, taken: set[str]) -> str:
    """Write a picture under a name that no other has, which is added to those that are taken; return the name."""
    # What is between the arguments of a program and a name of a class may hold anything, such as slashes.
    name = result.name if isinstance(result, Generated) else Path(result.name).stem
    stem = re.sub(r"[^\w.+ -]+", "-", re.sub(r"^#(?=\d+$)", "image", name))
    # Boxes over a photograph are to be looked at: no pixel of theirs is worth the size of a PNG.
    suffix = ".jpg" if isinstance(result, Boxes) else ".png" if isinstance(result, Segments) else _suffix(result.image)
    file = next(name for name in _names(stem, suffix) if name not in taken)
    taken.add(file)
    result.save(folder / file)
    if isinstance(result, Segments):
        overlay = next(name for name in _names(f"{Path(file).stem}-overlay", ".jpg") if name not in taken)
        taken.add(overlay)
        result.save(folder / overlay)
    return file


def _names(stem: str, suffix: str) -> Iterable[str]:
    yield f"{stem}{suffix}"
    yield from (f"{stem}-{number}{suffix}" for number in range(2, 10**9))


def _suffix(image: NDArray[Any]) -> str:
    # PNG holds integers without loss, TIFF also floats.
    return ".tif" if image.dtype.kind == "f" else ".png"


def _sheet(results: Results) -> NDArray[np.uint8]:
    labelled = [result for result in results[:SHEET_IMAGES] if isinstance(result, Labels)]
    if labelled:
        labels = [f"{result.label} {result.score:.0%}" for result in labelled]
        return contact_sheet([result.image for result in labelled], labels=labels)
    pairs = [result for result in results[:SHEET_PAIRS] if isinstance(result, Boxes | Segments | Restored | Generated)]
    names = [Path(pair.name).name for pair in pairs]
    return contact_sheet([pair.draw() for pair in pairs], labels=names, columns=min(2, len(pairs)), cell=PAIR_CELL)


def _write_lines(path: Path, results: Results, files: Sequence[str | None]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for result, file in zip(results, files, strict=True):
            lines.write(json.dumps({**result.to_dict(), **({"file": file} if file else {})}) + "\n")


def _write_csv(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
