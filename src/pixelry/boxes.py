"""What a detector says of one image: boxes, their classes and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.display import MAX_SIDE, Shown, downscaled
from pixelry.errors import UsageError


@dataclass(frozen=True, eq=False)
class Boxes(Shown):
    """N boxes in one image, the surest first.

    Attributes:
        xyxy: (N, 4) float32: left, top, right, bottom in pixels of the image; pixel (0, 0) reaches from 0 to 1.
        scores: (N,) float32 in [0, 1].
        labels: (N,) int64, index into `classes`.
        classes: K class names.
        name: What the image is called: its path, or "#3" for the fourth of a batch.
        source: The image as it was given, (H, W) or (H, W, C) of any dtype, or the path to read it from again.

    Examples:
        >>> found = Boxes(np.array([[1, 2, 5, 9.0]]), np.array([0.9]), np.array([1]), ("cat", "dog"), "a", Path("a"))
        >>> len(found), found.names, found[found.scores > 0.95].names
        (1, ['dog'], [])
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str
    source: NDArray[Any] | Path

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if self.xyxy.shape != (count, 4) or self.scores.shape != (count,) or self.labels.shape != (count,):
            raise UsageError(
                f"boxes have shape {self.xyxy.shape}, scores {self.scores.shape}, labels {self.labels.shape}; expected "
                "(N, 4), (N,) and (N,)"
            )
        if count and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise UsageError(
                f"labels go from {self.labels.min()} to {self.labels.max()}; there are {len(self.classes)} classes"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, chosen: Any) -> Boxes:
        """Return some of the boxes: by a mask (N,) bool, a slice, or indices."""
        index = np.atleast_1d(np.arange(len(self))[chosen])
        picked = (self.xyxy[index], self.scores[index], self.labels[index])
        return Boxes(*picked, self.classes, self.name, self.source)

    @property
    def names(self) -> list[str]:
        """The class of each box."""
        return [self.classes[label] for label in self.labels]

    @property
    def areas(self) -> NDArray[np.float32]:
        """(N,) in pixels squared."""
        width, height = self.xyxy[:, 2] - self.xyxy[:, 0], self.xyxy[:, 3] - self.xyxy[:, 1]
        areas: NDArray[np.float32] = width * height
        return areas

    @property
    def counts(self) -> dict[str, int]:
        """How many boxes there are of each class that was found."""
        found = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, found, strict=True) if n}

    @property
    def image(self) -> NDArray[np.uint8]:
        """The image, (H, W) or (H, W, C) uint8; one that came from a file is read again."""
        from pixelry.pixels import read_image, to_uint8

        return to_uint8(read_image(self.source) if isinstance(self.source, Path) else self.source)

    def to_coco(
        self, image_id: int | str | None = None, categories: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """Return the boxes as COCO results: "image_id", "category_id", "bbox" (left, top, width, height), "score".

        Each also has its "category_name", since ids mean nothing without their list: a model does not know those of
        the data that it was trained on.

        Args:
            image_id: By default the number that the image's file is named by, as COCO's are, else the file's name.
            categories: Id of each class name, such as those of a COCO file that the boxes are to be judged by
                elsewhere; by default 1 for the first class, 2 for the second.
        """
        ids = categories or {name: number for number, name in enumerate(self.classes, 1)}
        stem = Path(self.name).stem
        if image_id is None:
            image_id = int(stem) if stem.isdecimal() else Path(self.name).name
        return [
            {
                "image_id": image_id,
                "category_id": ids[name],
                "category_name": name,
                "bbox": [round(float(v), 3) for v in (left, top, right - left, bottom - top)],
                "score": round(float(score), 5),
            }
            for (left, top, right, bottom), score, name in zip(self.xyxy, self.scores, self.names, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: name, and each box with its class and score."""
        found = [
            {"label": name, "score": round(float(score), 5), "xyxy": [round(float(v), 2) for v in box]}
            for box, score, name in zip(self.xyxy, self.scores, self.names, strict=True)
        ]
        return {"name": self.name, "boxes": found}

    def rows(self) -> list[dict[str, Any]]:
        """Return a row of a table for each box: name, label, score, left, top, right, bottom."""
        names = ("left", "top", "right", "bottom")
        return [
            {"name": self.name, "label": label, "score": float(score), **dict(zip(names, map(float, box), strict=True))}
            for label, score, box in zip(self.names, self.scores, self.xyxy, strict=True)
        ]

    def cells(self) -> dict[str, Any]:
        """Return what a notebook's table has of it, by column."""
        return {"objects": len(self), "found": ", ".join(f"{n} {name}" for name, n in self.counts.items())}

    def preview(self) -> NDArray[np.uint8]:
        """Return the image with its boxes, with its longer side at most 512 pixels."""
        return downscaled(self.draw(scale=None), MAX_SIDE)

    def draw(self, *, scale: int | None = 1) -> NDArray[np.uint8]:
        """Return the image with its boxes, (scale H, scale W, 3) uint8.

        Args:
            scale: Each pixel is drawn so many times as high and wide; None for as many times as it takes to read names
                on a small image.
        """
        from pixelry.draw import draw_boxes, legible_scale, magnified

        image = self.image
        scale = legible_scale(image.shape) if scale is None else scale
        return draw_boxes(magnified(image, scale), scale * self.xyxy, self.labels, self._texts())

    def _texts(self) -> list[str]:
        return [f"{name} {score:.0%}" for name, score in zip(self.names, self.scores, strict=True)]

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the result: `.json` the boxes, an image suffix the picture; a small one is enlarged, see `draw`.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        from pixelry.types import save_result

        save_result(path, lambda: self.draw(scale=None), self.to_dict(), overwrite)

    def __str__(self) -> str:
        found = ", ".join(f"{n} {name}" for name, n in self.counts.items())
        return f"{self.name}: {found or 'nothing found'}"

    def __repr__(self) -> str:
        return f"Boxes({self})"
