"""Measured objects of one image: a row for each, a summary of each class, and a picture with their numbers."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelry.errors import PixelryError, UsageError
from pixelry.pixels.measure import PixelSize, Row, columns_of, connected_parts, measure_labels, parse_pixel_size

if TYPE_CHECKING:
    from pixelry.instances import Instances
    from pixelry.segments import Segments

BACKGROUND = "background"
NOTHING = 255  # a pixel without a class
STRENGTH = 0.45
# Hues that follow each other by the golden ratio differ from all that came shortly before.
GOLDEN = 0.618034
SMALLEST_FONT, LARGEST_FONT = 9, 28


@dataclass(frozen=True, eq=False)
class Regions:
    """The measured objects of one image.

    Attributes:
        rows: A mapping for each object, with the columns of `columns`; `to_pandas` makes a table of them.
        labels: (H, W) int32, the number of each pixel's object (the column `label`), 0 for none. Of objects that
            overlap, the one with the highest score.
        classes: Names of the classes that were measured.
        name: What the image is called.
        left_out: Objects that are smaller than the least area.
        pixel_size: Side of a pixel, None where it is not known.

    Examples:
        >>> ids = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], np.uint8)
        >>> regions = measure_ids(ids, ("background", "cell"), None, "a.png", min_area=2)
        >>> [(row["class"], row["area_px"]) for row in regions.rows], regions.left_out
        ([('cell', 2)], 1)
    """

    rows: list[Row]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    name: str
    left_out: int = 0
    pixel_size: PixelSize | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the table, in their order."""
        return columns_of(self.pixel_size)

    def summary(self) -> list[Row]:
        """Return a row for each class: objects, their total and mean area, and their share of the image."""
        found = []
        for name in self.classes:
            areas = [row["area_px"] for row in self.rows if row["class"] == name]
            row: Row = {"image": self.name, "class": name, "count": len(areas), "area_px": sum(areas)}
            if self.pixel_size:
                row[f"area_{self.pixel_size.unit}2"] = sum(areas) * self.pixel_size.length**2
            row["share"] = sum(areas) / self.labels.size
            row["mean_area_px"] = sum(areas) / len(areas) if areas else None
            found.append(row)
        return found

    def to_pandas(self) -> Any:
        """Return `rows` as a pandas DataFrame with the columns of `columns`.

        Raises:
            PixelryError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise PixelryError("to_pandas needs pandas: pip install 'pixelry[pandas]'") from None
        return pandas.DataFrame(self.rows, columns=self.columns)

    def draw(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the image with each object in a color of its own, outlined, with its number, (h, w, 3) uint8.

        Args:
            image: (H, W) or (H, W, C); a small one is enlarged so that numbers can be read.
        """
        from skimage.segmentation import find_boundaries

        from pixelry.draw import legible_scale, magnified

        scale = legible_scale(self.labels.shape)
        page, labels = magnified(_visible(image), scale), magnified(self.labels, scale)
        colors = _colors(max((row["label"] for row in self.rows), default=0))
        inside, edge = labels > 0, find_boundaries(labels, mode="inner")
        blended = (1 - STRENGTH) * page[inside] + STRENGTH * colors[labels[inside]]
        page[inside] = blended.round().astype(np.uint8)
        page[edge] = colors[labels[edge]]
        return _numbered(page, self.rows, scale)

    def __str__(self) -> str:
        counts = ", ".join(f"{row['count']:,} {row['class']}" for row in self.summary() if row["count"])
        small = f"; {self.left_out:,} smaller ones left out" if self.left_out else ""
        return f"{self.name}: {counts or 'no objects'}{small}"


def measure_ids(
    ids: NDArray[np.integer],
    classes: Sequence[str],
    image: NDArray[Any] | None,
    name: str,
    *,
    pixel_size: str | PixelSize | None = None,
    min_area: int = 0,
    connectivity: int = 2,
    confidence: NDArray[np.float32] | None = None,
) -> Regions:
    """Measure the connected parts of each class of a map, but for a class 0 that is called "background".

    Args:
        ids: (H, W), the class of each pixel, index into `classes`; 255 for none.
        classes: Their names.
        image: (H, W) or (H, W, C) under the map, whose values are measured; None for none.
        name: What the image is called.
        pixel_size: Side of a pixel with its unit, such as "0.65um".
        min_area: Parts with fewer pixels are left out, and counted.
        connectivity: 2 connects through sides and corners of pixels, 1 through sides alone.
        confidence: (H, W) in [0, 1]; its mean over a part is the part's score.

    Raises:
        ImageError: The image does not fit the map.
        UsageError: An option is out of range.
    """
    if min_area < 0:
        raise UsageError(f"the least area is {min_area}; expected 0 or more pixels")
    has_background = bool(classes) and classes[0].lower() == BACKGROUND
    ids = np.where(ids == 0, NOTHING, ids) if has_background else ids
    parts = connected_parts(ids, nothing=NOTHING, connectivity=connectivity)
    areas = np.bincount(parts.ravel())
    kept = areas >= max(min_area, 1)
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    labels: NDArray[np.int32] = numbers[parts]
    size, rows = parse_pixel_size(pixel_size), []
    for row in measure_labels(labels, image, pixel_size=size):
        box = slice(row["top"], row["bottom"]), slice(row["left"], row["right"])
        inside = labels[box] == row["label"]
        score = None if confidence is None else float(confidence[box][inside].mean(dtype=np.float64))
        rows.append({"image": name, "class": classes[int(ids[box][inside][0])], "score": score, **row})
    named = tuple(classes[1:] if has_background else classes)
    return Regions(rows, labels, named, name, int((areas[1:] > 0).sum() - kept.sum()), size)


def measure_segments(found: Segments, *, image: NDArray[Any] | None = None, **options: Any) -> Regions:
    """Measure the connected parts of each class of a segmenter's map; the options are those of `measure_ids`."""
    pixels = _original(found) if image is None else image
    return measure_ids(found.ids, found.classes, pixels, found.name, confidence=found.confidence, **options)


def measure_instances(
    found: Instances,
    *,
    image: NDArray[Any] | None = None,
    pixel_size: str | PixelSize | None = None,
    min_area: int = 0,
) -> Regions:
    """Measure objects that have a mask each; an object is one region, also where it has several parts.

    Args:
        found: The objects.
        image: What is measured under them; by default the image that they were found in.
        pixel_size: As in `measure_ids`.
        min_area: Objects with fewer pixels are left out, and counted.
    """
    pixels = _original(found) if image is None else image
    size, rows, left_out = parse_pixel_size(pixel_size), list[Row](), 0
    labels = np.zeros(pixels.shape[:2], np.int32)
    for index in range(len(found)):
        mask = found[index].masks[0]
        if mask.sum() < max(min_area, 1):
            left_out += 1
            continue
        (row,) = measure_labels(mask.astype(np.uint8), pixels, pixel_size=size)
        row["label"] = len(rows) + 1
        rows.append({"image": found.name, "class": found.names[index], "score": float(found.scores[index]), **row})
        labels[mask & (labels == 0)] = row["label"]
    return Regions(rows, labels, found.classes, found.name, left_out, size)


def _original(found: Any) -> NDArray[Any]:
    """Return the image with the values that it has in its file, (H, W) or (H, W, C)."""
    from pathlib import Path

    from pixelry.pixels import read_image

    image: NDArray[Any] = read_image(found.source) if isinstance(found.source, Path) else found.source
    return image


def _visible(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an image as uint8 (H, W, 3); of more than 8 bits the range of its values is spread over all greys."""
    from pixelry.pixels import to_color, to_uint8

    if image.dtype not in (np.uint8, np.bool_):
        low, high = float(image.min()), float(image.max())
        image = ((image.astype(np.float64) - low) / ((high - low) or 1) * 255).round().astype(np.uint8)
    return np.array(to_color(to_uint8(image)))


def _colors(count: int) -> NDArray[np.uint8]:
    """Return (count + 1, 3) uint8, a bright color for each number from 1 on."""
    hues = (np.arange(count + 1) * GOLDEN) % 1
    values = [colorsys.hsv_to_rgb(hue, 0.85 if k % 2 else 0.6, 1.0) for k, hue in enumerate(hues)]
    return (np.array(values) * 255).round().astype(np.uint8)


def _numbered(page: NDArray[np.uint8], rows: Sequence[Row], scale: int) -> NDArray[np.uint8]:
    """Write the number of each object at its centroid, as large as most objects allow."""
    from PIL import Image as PILImage
    from PIL import ImageDraw, ImageFont

    if not rows:
        return page
    usual = scale * float(np.median([row["equivalent_diameter_px"] for row in rows]))
    size = int(np.clip(usual / 2.5, SMALLEST_FONT, LARGEST_FONT))
    picture = PILImage.fromarray(page)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for row in rows:
        text = str(row["label"])
        # Numbers of objects at the edge stay within the picture.
        half = font.getlength(text) / 2 + 1, size / 2 + 1
        x, y = (scale * (row[f"centroid_{axis}"] + 0.5) for axis in ("column", "row"))
        x, y = max(half[0], min(x, picture.width - half[0])), max(half[1], min(y, picture.height - half[1]))
        pen.text((x, y), text, fill="white", font=font, anchor="mm", stroke_width=1, stroke_fill="black")
    return np.array(picture)
