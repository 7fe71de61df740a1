"""Measured objects as files: regions.csv, region-summary.csv, and NAME-regions.png for each image."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.data.findings import counted
from pixelry.errors import ImageError, UsageError
from pixelry.pixels import image_files, read_image, write_image
from pixelry.pixels.measure import PixelSize, Row, columns_of, measure_labels, parse_pixel_size
from pixelry.pixels.pages import count_pages
from pixelry.regions import Regions, measure_ids

TABLE, SUMMARY = "regions.csv", "region-summary.csv"
# What a mask is called beyond the name of its image.
ENDS = ("_mask", "-mask", "_masks", "_label", "_labels", "_cp_masks", "_seg")


@dataclass
class RegionTables:
    """The tables of a folder, written image by image.

    Attributes:
        folder: Where to.
        pixel_size: Side of a pixel, None where it is not known.
        counts: Objects of each class so far.
        areas: Pixels of each class so far.
        left_out: Objects below the least area so far.
        pixels: Of all images so far.
    """

    folder: Path
    pixel_size: PixelSize | None
    counts: Counter[str] = field(default_factory=Counter)
    areas: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    pixels: int = 0

    def __enter__(self) -> RegionTables:
        self._files = ExitStack()
        columns = columns_of(self.pixel_size)
        self._table = self._open(TABLE, columns)
        unit = [f"area_{self.pixel_size.unit}2"] if self.pixel_size else []
        self._summary = self._open(SUMMARY, ["image", "class", "count", "area_px", *unit, "share", "mean_area_px"])
        return self

    def _open(self, name: str, columns: Sequence[str]) -> csv.DictWriter[str]:
        file = self._files.enter_context((self.folder / name).open("w", newline="", encoding="utf-8"))
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        return writer

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def add(self, regions: Regions) -> None:
        """Write the rows of an image."""
        self._table.writerows(_rounded(row) for row in regions.rows)
        for row in regions.summary():
            self._summary.writerow(_rounded(row))
            self.counts[row["class"]] += row["count"]
            self.areas[row["class"]] += row["area_px"]
        self.left_out += regions.left_out
        self.pixels += regions.labels.size

    def describe(self) -> list[str]:
        """Return one line a class, and how many objects were left out."""
        lines = []
        for name, count in self.counts.items():
            area, size = self.areas[name], self.pixel_size
            said = f" ({area * size.length**2:,.6g} {size.unit}²)" if size else ""
            share = area / self.pixels if self.pixels else 0
            lines.append(f"{name}: {counted(count, 'object')}, {area:,} pixels{said}, {share:.1%} of all")
        if self.left_out:
            lines.append(f"{counted(self.left_out, 'object')} below the least area left out")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return objects and area by class, ready for JSON."""
        classes = {name: {"count": count, "area_px": self.areas[name]} for name, count in self.counts.items()}
        return {"classes": classes, "left_out": self.left_out, "table": str(self.folder / TABLE)}


def _rounded(row: Row) -> dict[str, Any]:
    """Return a row as a table shows it: numbers with 7 digits, truth as 0 or 1, nothing for None."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, bool):
            shown[name] = int(value)
        else:
            shown[name] = f"{value:.7g}" if isinstance(value, float) else value
    return shown


def measure_files(
    files: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    images: str | Path | None = None,
    pixel_size: str | None = None,
    min_area: int = 0,
    connectivity: int = 2,
    objects: bool = False,
) -> RegionTables:
    """Measure the objects of masks: area, perimeter, shape, and the image's values under them, as CSV.

    Args:
        files: Masks, folders of masks or patterns: 0 is the background, every other value a class, whose connected
            parts are the objects.
        out: A new or empty folder for regions.csv, region-summary.csv and NAME-regions.png, a numbered picture of each.
        images: Folder of the images that the masks belong to, by name; without it there are no intensities.
        pixel_size: Side of a pixel with its unit, such as 0.65um: areas and lengths are given in units too.
        min_area: Objects with fewer pixels are left out, and counted.
        connectivity: 2 connects pixels through sides and corners, 1 through sides alone.
        objects: Each value of a mask is one object already, as in label images of Cellpose, StarDist or CellProfiler.

    Raises:
        ImageError: A mask or image cannot be read, or they do not fit each other.
        UsageError: There are no masks, a mask has no image, or an option is out of range.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry.folders import make_folder

    size = parse_pixel_size(pixel_size)
    masks = image_files(files)
    if not masks:
        raise UsageError(f"no masks in {files}")
    for mask in masks:
        if (pages := count_pages(mask)) > 1:
            raise UsageError(
                f"{mask} has {pages:,} pages, and a mask is measured with its image: write each page as a file first, "
                "of the images too (pixelry pixels convert FOLDER --pages all --format png --out NEW)"
            )
    partners = {} if images is None else _partners(masks, Path(images))
    folder = make_folder(out)
    taken: Counter[str] = Counter()
    with RegionTables(folder, size) as tables:
        for mask in masks:
            image = read_image(partners[mask]) if partners else None
            values = _mask_values(mask)
            if image is not None and image.shape[:2] != values.shape:
                raise ImageError(
                    f"{mask} has {values.shape[0]}x{values.shape[1]} pixels, its image {partners[mask]} "
                    f"{image.shape[0]}x{image.shape[1]}; they must lie over each other"
                )
            options: dict[str, Any] = {"pixel_size": size, "min_area": min_area}
            if objects:
                regions = _labelled(values, image, mask.name, **options)
            else:
                regions = _classes(values, image, mask.name, connectivity=connectivity, **options)
            tables.add(regions)
            taken[mask.stem] += 1
            number = f"-{taken[mask.stem]}" if taken[mask.stem] > 1 else ""
            page = np.zeros(values.shape, np.uint8) if image is None else image
            write_image(folder / f"{mask.stem}{number}-regions.png", regions.draw(page))
    return tables


def _partners(masks: Sequence[Path], images: Path) -> dict[Path, Path]:
    """Return the image of each mask: that of its name, maybe without an end such as _mask."""
    by_stem = {file.stem: file for file in image_files(images)}
    found: dict[Path, Path] = {}
    for mask in masks:
        stems = [mask.stem, *(mask.stem.removesuffix(end) for end in ENDS if mask.stem.endswith(end))]
        stem = next((stem for stem in stems if stem in by_stem), None)
        if stem is None:
            raise UsageError(f"{images} has no image for the mask {mask}; expected one called {mask.stem}")
        found[mask] = by_stem[stem]
    return found


def _mask_values(mask: Path) -> NDArray[np.integer]:
    """Return the values of a mask, (H, W): grey values, or indices of a palette."""
    from PIL import Image as PILImage

    with PILImage.open(mask) as page:
        if page.mode == "P":
            return np.asarray(page)
    values = read_image(mask)
    if values.ndim == 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "uib":
        raise ImageError(
            f"{mask} is {values.dtype} of shape {values.shape}; a mask has one whole number for each pixel"
        )
    return values.astype(np.int64)


def _classes(values: NDArray[np.integer], image: NDArray[Any] | None, name: str, **options: Any) -> Regions:
    """Measure the connected parts of each value."""
    found = np.unique(values[values != 0])
    if len(found) > 254:
        raise UsageError(f"{name} has {len(found):,} values: --objects takes each value for one object")
    ids = np.searchsorted(np.concatenate([[0], found]), values).astype(np.uint8)
    names = ["foreground"] if len(found) == 1 else [str(value) for value in found.tolist()]
    return measure_ids(ids, ("background", *names), image, name, **options)


def _labelled(
    values: NDArray[np.integer],
    image: NDArray[Any] | None,
    name: str,
    *,
    pixel_size: PixelSize | None,
    min_area: int,
) -> Regions:
    """Measure each value as one object, under the number that it has."""
    numbers, inverse, areas = np.unique(values, return_inverse=True, return_counts=True)
    small = (areas < min_area) & (numbers != 0)
    kept = np.where(small, 0, numbers)[inverse].reshape(values.shape).astype(np.int32)
    rows = [
        {"image": name, "class": "object", "score": None, **row}
        for row in measure_labels(kept, image, pixel_size=pixel_size)
    ]
    return Regions(rows, kept, ("object",), name, int(small.sum()), pixel_size)
