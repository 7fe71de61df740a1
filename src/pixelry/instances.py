"""What a segmenter of objects says of one image: boxes, and the pixels of each object."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelry.boxes import Boxes
from pixelry.errors import UsageError

if TYPE_CHECKING:
    from pixelry.pixels.measure import PixelSize
    from pixelry.regions import Regions

STRENGTH = 0.5  # of an object's colour over its pixels


@dataclass(frozen=True, eq=False)
class Instances(Boxes):
    """N objects in one image, the surest first: boxes with masks.

    Attributes:
        runs: The pixels of each object as COCO's compressed run lengths: {"size": [H, W], "counts": text}.

    Examples:
        >>> box, pixels = np.array([[0, 0, 2, 1.0]]), np.array([[[True, True, False], [False] * 3]])
        >>> found = Instances(box, np.ones(1), np.zeros(1, int), ("cat",), "a", np.zeros((2, 3)), encode(pixels))
        >>> found.masks.shape, found.pixels.tolist()
        ((1, 2, 3), [2])
    """

    runs: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.runs) != len(self.xyxy):
            raise UsageError(f"{len(self.xyxy)} boxes but {len(self.runs)} masks")

    def __getitem__(self, chosen: Any) -> Instances:
        """Return some of the objects: by a mask (N,) bool, a slice, or indices."""
        index = np.atleast_1d(np.arange(len(self))[chosen])
        picked = (self.xyxy[index], self.scores[index], self.labels[index])
        return Instances(*picked, self.classes, self.name, self.source, tuple(self.runs[i] for i in index))

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) bool."""
        if not self.runs:
            return np.zeros((0, *self.image.shape[:2]), dtype=np.bool_)
        return decode(self.runs)

    @property
    def pixels(self) -> NDArray[np.int64]:
        """(N,) pixels of each object."""
        from pycocotools import mask

        return np.array([int(mask.area(run)) for run in self.runs], dtype=np.int64)

    def to_coco(
        self, image_id: int | str | None = None, categories: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """Return COCO results as `Boxes.to_coco`, each with its "segmentation"."""
        entries = super().to_coco(image_id, categories)
        return [{**entry, "segmentation": dict(run)} for entry, run in zip(entries, self.runs, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: name, and each object with class, score, box and number of pixels."""
        facts = super().to_dict()
        found = [{**box, "pixels": int(n)} for box, n in zip(facts["boxes"], self.pixels, strict=True)]
        return {**facts, "boxes": found}

    def rows(self) -> list[dict[str, Any]]:
        """Return a row of a table for each object, as `Boxes.rows` does, and its pixels."""
        return [{**row, "pixels": int(n)} for row, n in zip(super().rows(), self.pixels, strict=True)]

    def measure(
        self, *, pixel_size: str | PixelSize | None = None, min_area: int = 0, image: NDArray[Any] | None = None
    ) -> Regions:
        """Measure the objects: area, perimeter, shape, and the image's values under them.

        Args:
            pixel_size: Side of a pixel with its unit, such as "0.65um"; areas and lengths are given in units too.
            min_area: Objects with fewer pixels are left out, and counted.
            image: (H, W) or (H, W, C), what is measured under the objects; by default the image itself.
        """
        from pixelry.regions import measure_instances

        return measure_instances(self, image=image, pixel_size=pixel_size, min_area=min_area)

    def draw(self, *, scale: int | None = 1) -> NDArray[np.uint8]:
        """Return the image with the objects' pixels in their colours, and their boxes, (scale H, scale W, 3) uint8.

        Args:
            scale: Each pixel is drawn so many times as high and wide; None for as many times as it takes to read names
                on a small image.
        """
        from pixelry.draw import draw_boxes, draw_objects, legible_scale, magnified

        page = draw_objects(self.image, _Decoded(self.runs), strength=STRENGTH)
        scale = legible_scale(page.shape) if scale is None else scale
        return draw_boxes(magnified(page, scale), scale * self.xyxy, self.labels, self._texts())

    def __repr__(self) -> str:
        return f"Instances({self})"


@dataclass(frozen=True)
class _Decoded:
    """Masks (H, W) of run lengths, each made when it is asked for: a hundred of a photograph take a gigabyte."""

    runs: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = decode((self.runs[index],))[0]
        return mask


def encode(masks: NDArray[np.bool_]) -> tuple[dict[str, Any], ...]:
    """Return masks (N, H, W) as COCO's compressed run lengths."""
    from pycocotools import mask

    # One after the other: pycocotools wants a copy, its columns one below the other.
    runs = (mask.encode(one.astype(np.uint8, order="F")) for one in masks)
    return tuple({"size": list(run["size"]), "counts": run["counts"].decode()} for run in runs)


def decode(runs: tuple[Mapping[str, Any], ...]) -> NDArray[np.bool_]:
    """Return the masks (N, H, W) of COCO's compressed run lengths."""
    from pycocotools import mask

    with warnings.catch_warnings():
        # pycocotools offers its memory to NumPy in a way that NumPy 2 calls old.
        warnings.simplefilter("ignore", DeprecationWarning)
        masks: NDArray[np.bool_] = mask.decode([dict(run) for run in runs]).transpose(2, 0, 1).astype(np.bool_)
    return masks
