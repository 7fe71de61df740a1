"""Masks of objects from COCO's outlines, drawn on access: polygons, and run lengths plain or compressed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from pixelry.data.dataset import Split
from pixelry.data.masks import as_image
from pixelry.errors import DataError, ImageError
from pixelry.pixels import read_header

# Numbers of a polygon: three corners.
SHORTEST = 6
# How a note begins that says why a split has no masks.
NO_MASKS = "no masks are read"


@dataclass(frozen=True)
class Outlines:
    """The outlines of objects as a COCO file has them; masks bool (n, H, W) on access.

    Attributes:
        file: That they are from, for messages.
        images: The images.
        sizes: (height, width) that the file states of each image; None takes the image's own.
        segments: By image, the outline of each object: a list of polygons [x, y, x, y, ...] in pixels, or
            {"size": [height, width], "counts": run lengths down the columns, or the same compressed as text}.
        ids: By image, the id of each annotation, for messages.
        left_out: By image, which objects have an outline of no good form: their masks are empty. () for none at all.
    """

    file: Path
    images: Sequence[Path]
    sizes: Sequence[tuple[int, int] | None]
    segments: Sequence[Sequence[Any]]
    ids: Sequence[Sequence[Any]]
    left_out: Sequence[Sequence[int]] = ()

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> Tensor:
        """Draw the masks of an image's objects, bool (n, H, W), the way up of the upright image.

        Raises:
            DataError: Run lengths do not fill the image; the annotation is named.
        """
        image = self.images[index]
        height, width = self.sizes[index] or _size(image)
        masks = np.zeros((len(self.segments[index]), height, width), np.bool_)
        for k, (segment, key) in enumerate(zip(self.segments[index], self.ids[index], strict=True)):
            if k not in self.without(index):
                masks[k] = _drawn(segment, height, width, f"{self.file}, annotation id {key!r}")
        return torch.from_numpy(np.ascontiguousarray(as_image(masks, image, str(self.file))))

    def take(self, positions: Sequence[int]) -> Outlines:
        """Return the outlines at some positions; nothing is drawn."""
        images, sizes = [self.images[i] for i in positions], [self.sizes[i] for i in positions]
        segments, ids = [self.segments[i] for i in positions], [self.ids[i] for i in positions]
        left_out = [self.left_out[i] for i in positions] if self.left_out else ()
        return Outlines(self.file, images, sizes, segments, ids, left_out)

    def without(self, index: int) -> Sequence[int]:
        """Return which objects of an image are left out."""
        return self.left_out[index] if self.left_out else ()

    def faults(self, index: int) -> list[str]:
        """Return what is wrong with the outlines of an image, file and annotation named; nothing is drawn.

        Raises:
            DataError: The file does not state the image's size, and the image cannot be read.
        """
        found = []
        height, width = self.sizes[index] or _size(self.images[index])
        for segment, key in zip(self.segments[index], self.ids[index], strict=True):
            where = f"{self.file}, annotation id {key!r}"
            if fault := outline_fault(segment):
                found.append(f"{where} has {fault}")
            elif isinstance(segment, dict):
                try:
                    _runs(segment, height, width, where)
                except DataError as error:
                    found.append(str(error))
        return found

    def digest(self, index: int) -> bytes:
        """Return a hash of an image's outlines."""
        return hashlib.blake2b(json.dumps(self.segments[index]).encode(), digest_size=16).digest()


def outline_fault(segment: Any) -> str | None:
    """Return what is wrong with the form of an outline, None for a good one. Run lengths are not added up here."""
    if isinstance(segment, dict):
        size, counts = segment.get("size"), segment.get("counts")
        if not (isinstance(size, list) and len(size) == 2 and all(_is_count(side) and side > 0 for side in size)):
            return f"run lengths with the size {size!r:.40}; expected [height, width]"
        if isinstance(counts, str) or (isinstance(counts, list) and all(map(_is_count, counts))):
            return None
        return f"run lengths {counts!r:.40}; expected whole numbers, or text"
    if not isinstance(segment, list) or not segment:
        return f"the outline {segment!r:.40}; expected polygons or run lengths"
    for polygon in segment:
        if not isinstance(polygon, list) or len(polygon) < SHORTEST or len(polygon) % 2:
            return f"the polygon {polygon!r:.40}; expected x, y of three corners or more"
        if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9 for v in polygon):
            return f"the polygon {polygon!r:.40}; expected finite numbers"
    return None


def with_crowds(split: Split) -> Split:
    """Return a split whose objects that `Outlines` leave out are crowds over their boxes: neither learnt nor judged.

    Args:
        split: With "masks", "boxes" and "crowd"; one without objects that are left out comes back as it is.
    """
    outlines = split.targets["masks"]
    if not isinstance(outlines, Outlines) or not any(outlines.left_out):
        return split
    crowd = [torch.as_tensor(row).clone() for row in split.targets["crowd"]]
    for index, row in enumerate(crowd):
        for k in outlines.without(index):
            row[k] = True
    return replace(split, targets={**split.targets, "crowd": crowd, "masks": _Boxed(outlines, split.targets["boxes"])})


@dataclass(frozen=True)
class _Boxed:
    """Outlines, and the boxes of the objects that they leave out as masks."""

    outlines: Outlines
    boxes: Sequence[Tensor]

    def __len__(self) -> int:
        return len(self.outlines)

    def __getitem__(self, index: int) -> Tensor:
        masks = self.outlines[index]
        for k in self.outlines.without(index):
            left, top, right, bottom = self.boxes[index][k].clamp_min(0).tolist()
            masks[k, math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = True
        return masks


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _size(image: Path) -> tuple[int, int]:
    try:
        header = read_header(image)
    except ImageError as error:
        raise DataError(f"the masks of {image} have no size without it: {error}") from None
    return header.height, header.width


def _drawn(segment: Any, height: int, width: int, where: str) -> NDArray[np.bool_]:
    if fault := outline_fault(segment):
        raise DataError(f"{where} has {fault}")
    if isinstance(segment, list):
        drawn = coco_mask.merge(coco_mask.frPyObjects(segment, height, width))
        return _filled(_unpacked(drawn["counts"].decode("ascii"), where), height, width)
    return _filled(_runs(segment, height, width, where), height, width)


def _runs(segment: dict[str, Any], height: int, width: int, where: str) -> list[int]:
    """Return run lengths as numbers, which fill the image."""
    if segment["size"] != [height, width]:
        raise DataError(
            f"{where} has run lengths for {segment['size'][1]} x {segment['size'][0]} pixels (width x height); its "
            f"image has {width} x {height}"
        )
    counts = segment["counts"]
    runs: list[int] = _unpacked(counts, where) if isinstance(counts, str) else counts
    if sum(runs) != height * width or min(runs) < 0:
        raise DataError(f"{where} has run lengths of {sum(runs):,} pixels in all; expected {height * width:,}")
    return runs


def _filled(runs: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Return run lengths of no and yes in turn, down the columns, as a mask (H, W)."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _unpacked(text: str, where: str) -> list[int]:
    """Return the run lengths in COCO's text: groups of 5 bits, from the third on as differences to two before."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise DataError(f"{where} has run lengths with the character {character!r}, which stands for none")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift or not runs:
        raise DataError(f"{where} has run lengths that are cut short: {text[-20:]!r}")
    return runs
