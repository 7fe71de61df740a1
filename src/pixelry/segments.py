"""What a segmenter says of one image: the class of each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelry.display import MAX_SIDE, Shown, downscaled
from pixelry.errors import ExistsError, UsageError
from pixelry.instances import encode

if TYPE_CHECKING:
    from pixelry.pixels.measure import PixelSize
    from pixelry.regions import Regions

UNLABELLED = 255  # of pixels without a class, such as those of a mask that nobody has labelled
NAMED = 5  # classes in a line of text


@dataclass(frozen=True, eq=False)
class Segments(Shown):
    """A class for each pixel of one image. NumPy takes it for its `ids`.

    Attributes:
        ids: (H, W) uint8, index into `classes`; 255 where a pixel has no class.
        classes: K class names.
        name: What the image is called: its path, or "#3" for the fourth of a batch.
        source: The image as it was given, (H, W) or (H, W, C) of any dtype, or the path to read it from again.
        confidence: (H, W) float32 in [0, 1], the probability of each pixel's class; None where it is not known.

    Examples:
        >>> ids = np.array([[0, 0, 0], [0, 1, 1]], dtype=np.uint8)
        >>> found = Segments(ids, ("road", "sky"), "street.jpg", np.zeros((2, 3), np.uint8))
        >>> found.areas, str(found)
        ({'road': 4, 'sky': 2}, 'street.jpg: road 67%, sky 33%')
    """

    ids: NDArray[np.uint8]
    classes: tuple[str, ...]
    name: str
    source: NDArray[Any] | Path
    confidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.dtype != np.uint8 or not self.ids.size:
            raise UsageError(f"class ids are {self.ids.dtype} of shape {self.ids.shape}; expected uint8 (H, W)")
        beyond = self.ids[(self.ids >= len(self.classes)) & (self.ids != UNLABELLED)]
        if beyond.size:
            raise UsageError(
                f"class ids go up to {beyond.max()}; there are {len(self.classes)} classes ({UNLABELLED} means none)"
            )
        others = {"confidence": self.confidence, "image": None if isinstance(self.source, Path) else self.source}
        for what, other in others.items():
            if other is not None and other.shape[:2] != self.ids.shape:
                raise UsageError(f"{what} has shape {other.shape}, class ids {self.ids.shape}; sizes must be the same")

    @property
    def image(self) -> NDArray[np.uint8]:
        """The image, (H, W) or (H, W, C) uint8; one that came from a file is read again."""
        from pixelry.pixels import read_image, to_uint8

        return to_uint8(read_image(self.source) if isinstance(self.source, Path) else self.source)

    @property
    def areas(self) -> dict[str, int]:
        """Pixels of each class that was found, the largest first."""
        return {self.classes[k]: pixels for k, pixels in self._counts()}

    def _counts(self) -> list[tuple[int, int]]:
        """Return index and pixels of each class that was found, the largest first."""
        pixels = np.bincount(self.ids.ravel(), minlength=256)[: len(self.classes)]
        return [(int(k), int(pixels[k])) for k in np.argsort(-pixels, kind="stable") if pixels[k]]

    def color(self) -> NDArray[np.uint8]:
        """Return the class ids in the colours of their classes, (H, W, 3) uint8."""
        return self._palette()[self.ids]

    def _palette(self) -> NDArray[np.uint8]:
        """Return (256, 3) uint8: the classes' colours, white for what has none."""
        from pixelry.draw import class_colors

        palette = np.full((256, 3), 255, dtype=np.uint8)
        palette[: len(self.classes)] = class_colors(len(self.classes))
        return palette

    def draw(self, *, scale: int | None = 1) -> NDArray[np.uint8]:
        """Return the image under the colours of its classes, with their names, (scale H, scale W, 3) uint8.

        Args:
            scale: Each pixel is drawn so many times as high and wide; None for as many times as it takes to read names
                on a small image.
        """
        from pixelry.draw import draw_mask, legible_scale, magnified, name_regions

        scale = legible_scale(self.ids.shape) if scale is None else scale
        page = magnified(draw_mask(self.image, self.ids, self.classes), scale)
        return name_regions(page, magnified(self.ids, scale), self.classes)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row of a table for each class that was found: name, label, pixels, share, and its confidence."""
        return [{"name": self.name, **row} for row in self.to_dict()["classes"]]

    def cells(self) -> dict[str, str]:
        """Return what a notebook's table has of it, by column."""
        return {"classes": str(self).removeprefix(f"{self.name}: ")}

    def preview(self) -> NDArray[np.uint8]:
        """Return the image under the colors of its classes, with its longer side at most 512 pixels."""
        return downscaled(self.draw(scale=None), MAX_SIDE)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: name, size, and pixels and share of each class, the largest first.

        With `confidence`, each class has its mean. Pixels without a class are counted as "unlabelled", if there are.
        """
        height, width = self.ids.shape
        rows: list[dict[str, Any]] = []
        for k, pixels in self._counts():
            rows.append({"label": self.classes[k], "pixels": pixels, "share": round(pixels / self.ids.size, 6)})
            if self.confidence is not None:
                rows[-1]["confidence"] = round(float(self.confidence[self.ids == k].mean(dtype=np.float64)), 5)
        without = self.ids.size - sum(row["pixels"] for row in rows)
        return {
            "name": self.name,
            "height": height,
            "width": width,
            "classes": rows,
            **({"unlabelled": without} if without else {}),
        }

    def to_coco(
        self,
        image_id: int | str | None = None,
        categories: Mapping[str, int] | None = None,
        *,
        polygons: bool = False,
    ) -> list[dict[str, Any]]:
        """Return the region of each class as an entry of COCO, the largest first.

        An entry has "image_id", "category_id", "category_name", "segmentation", "area" in pixels, "bbox" (left, top,
        width, height), "iscrowd" 0, and with `confidence` its mean as "score". Both forms of "segmentation" give the
        same pixels again when pycocotools decodes them.

        Args:
            image_id: By default the number that the image's file is named by, as COCO's are, else the file's name.
            categories: Id of each class name; by default 1 for the first class, 2 for the second.
            polygons: Outlines along the borders of pixels instead of a compressed run-length code. A hole is part of
                the outline around it, joined to it by a line that is gone there and back.
        """
        ids = categories or {name: number for number, name in enumerate(self.classes, 1)}
        stem = Path(self.name).stem
        if image_id is None:
            image_id = int(stem) if stem.isdecimal() else Path(self.name).name
        entries: list[dict[str, Any]] = []
        for k, pixels in self._counts():
            region = self.ids == k
            rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
            top, left = int(rows[0]), int(columns[0])
            entry: dict[str, Any] = {
                "image_id": image_id,
                "category_id": ids[self.classes[k]],
                "category_name": self.classes[k],
                "segmentation": outlines(region) if polygons else encode(region[None])[0],
                "area": pixels,
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                "iscrowd": 0,
            }
            if self.confidence is not None:
                entry["score"] = round(float(self.confidence[region].mean(dtype=np.float64)), 5)
            entries.append(entry)
        return entries

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the result: `.png` the class ids, `.json` the numbers, any other image suffix the drawn picture.

        The PNG has a palette: a pixel's value is its class id, and a viewer shows it in the colour of the class. In the
        drawn picture a small image is enlarged, see `draw`.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        from pixelry.types import save_result

        path = Path(path)
        if path.suffix.lower() != ".png":
            save_result(path, lambda: self.draw(scale=None), self.to_dict(), overwrite)
            return
        if path.exists() and not overwrite:
            raise ExistsError(f"{path} exists; give another name, or overwrite=True")
        from PIL import Image as PILImage

        page = PILImage.fromarray(self.ids)
        page.putpalette(self._palette().tobytes())
        path.parent.mkdir(parents=True, exist_ok=True)
        page.save(path, format="PNG")

    def measure(
        self, *, pixel_size: str | PixelSize | None = None, min_area: int = 0, connectivity: int = 2, image: Any = None
    ) -> Regions:
        """Measure the objects of the map: the connected parts of each class but the background.

        Args:
            pixel_size: Side of a pixel with its unit, such as "0.65um"; areas and lengths are given in units too.
            min_area: Parts with fewer pixels are left out, and counted.
            connectivity: 2 connects pixels through sides and corners, 1 through sides alone.
            image: (H, W) or (H, W, C), what is measured under the objects; by default the image itself.
        """
        from pixelry.regions import measure_segments

        return measure_segments(self, image=image, pixel_size=pixel_size, min_area=min_area, connectivity=connectivity)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.ids, dtype=dtype) if copy else np.asarray(self.ids, dtype=dtype)

    def __str__(self) -> str:
        shares = [(name, pixels / self.ids.size) for name, pixels in self.areas.items()]
        shown = [f"{name} {share:.0%}" if share >= 0.005 else f"{name} <1%" for name, share in shares[:NAMED]]
        if len(shares) > NAMED:
            shown.append(f"{len(shares) - NAMED} more")
        return f"{self.name}: {', '.join(shown) or 'no pixel has a class'}"

    def __repr__(self) -> str:
        return f"Segments({self})"


def outlines(region: NDArray[np.bool_]) -> list[list[float]]:
    """Return the outlines of a mask (H, W) as COCO's polygons: x and y in turn, one polygon for each connected part.

    They run along the borders of pixels; pixel (0, 0) reaches from 0 to 1. Parts are connected through the sides of
    pixels, not through corners.
    """
    from scipy.ndimage import find_objects, label

    parts, _ = label(region)
    polygons = []
    for number, place in enumerate(find_objects(parts), 1):
        corner = np.array([place[1].start, place[0].start])
        rings = [ring + corner for ring in _rings(parts[place] == number)]
        outer = rings[0]
        # Each hole is gone around from the end of the outline, to which the way leads back.
        path = np.concatenate([outer, outer[:1], *(p for hole in rings[1:] for p in (hole, hole[:1], outer[:1]))])
        path = path if len(rings) > 1 else outer
        polygons.append([float(value) for value in path.ravel()])
    return polygons


def _rings(part: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the borders of one part as rings of corners of pixels, (n, 2) x and y: the outer one, then holes."""
    from skimage.measure import find_contours

    rings = []
    for contour in find_contours(np.pad(part, 1).astype(np.float64), 0.5):
        # A point lies between the middles of two pixels: half way on one axis, whole on the other. From one point to
        # the next the border turns about a corner of pixels, or goes straight on through one.
        here, there = contour[:-1], contour[1:]
        half = here % 1 != 0, there % 1 != 0
        corners = np.where(half[0], here, np.where(half[1], there, (here + there) / 2)) - 0.5
        ahead, behind = np.roll(corners, -1, 0) - corners, corners - np.roll(corners, 1, 0)
        rings.append(corners[(ahead != behind).any(1)][:, ::-1])
    return sorted(rings, key=lambda ring: -float(np.ptp(ring[:, 0]) * np.ptp(ring[:, 1])))
