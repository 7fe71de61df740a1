"""Restored images for a report: crops at 1:1 of those that gained most, least, and about as much as most."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelry.pixels import to_uint8
from pixelry.reports.findings import BeforeAfter

CROP = 300  # pixels of a side
STEP = 16  # between the places where a crop may begin
KEPT = 24
SMALL, LARGE = 150, 240  # a smaller image is enlarged by a whole factor, to at most the second
TITLES = {"largest": "Largest gain", "median": "Median gain", "smallest": "Smallest gain"}


@dataclass(frozen=True)
class Example:
    """A restored image.

    Attributes:
        index: In the split.
        before: PSNR of the given image in dB, NaN without a clean one.
        after: PSNR of the restored image in dB.
        crops: Given, restored and clean, uint8 (h, w, C); without the clean one where there is none.
        size: (height, width) of the whole image.
    """

    index: int
    before: float
    after: float
    crops: tuple[NDArray[np.uint8], ...]
    size: tuple[int, int]

    @property
    def gain(self) -> float:
        """By how many dB the image gained; without a clean one its own figure."""
        return self.after if math.isnan(self.before) else self.after - self.before


class Examples:
    """Keeps crops of some of the images: always those with the largest and the smallest gain, and some between."""

    def __init__(self) -> None:
        self.kept: list[Example] = []
        self._dropped = 0

    def take(self, index: int, psnrs: tuple[float, float], parts: list[NDArray[np.float64]], *, clean: bool) -> None:
        """Take an image.

        Args:
            index: In the split.
            psnrs: Of the given and the restored image, in dB.
            parts: Clean, given and restored image, (H, W, C) in [0, 1].
            clean: Whether the first is a clean image.
        """
        top, left = place_of_detail(parts[0])
        cut = [to_uint8(part[top : top + CROP, left : left + CROP].clip(0, 1)) for part in parts]
        crops = (cut[1], cut[2], cut[0]) if clean else (cut[1], cut[2])
        size = (int(parts[0].shape[0]), int(parts[0].shape[1]))
        self.kept.append(Example(index, *psnrs, crops, size))
        self.kept.sort(key=lambda example: (example.gain, example.index))
        if len(self.kept) > KEPT:
            # Any but the ends; which one goes round, so that what stays is spread like all of them.
            del self.kept[1 + self._dropped % (KEPT - 1)]
            self._dropped += 7

    def chosen(self) -> list[tuple[str, Example]]:
        """Return the examples for a page with what each is, each once: "largest", "median" and "smallest" gain."""
        if len(self.kept) < 2:
            return [("", example) for example in self.kept]
        found = [("largest", self.kept[-1]), ("median", self.kept[(len(self.kept) - 1) // 2])]
        return [*found[: len(self.kept) - 1], ("smallest", self.kept[0])]


def before_after(role: str, example: Example, *, name: str, given: str, note: str) -> BeforeAfter:
    """Return an example as a block of a report.

    Args:
        role: A key of `TITLES`, "" for the only one.
        example: The image.
        name: Of the image.
        given: What the image before is called, such as "noisy".
        note: How it was spoilt.
    """
    height, width = example.crops[0].shape[:2]
    crop = f"{width}x{height} pixels of {example.size[1]}x{example.size[0]}" if example.size != (height, width) else ""
    scale = LARGE // max(height, width) if max(height, width) < SMALL else 1
    shown = f"each pixel {scale}x{scale} on the screen" if scale > 1 else "at 1:1"
    said = "" if math.isnan(example.before) else f", {example.before:.1f} dB"
    grey = [crop[..., 0] if crop.shape[-1] == 1 else crop for crop in example.crops]
    gained = "" if math.isnan(example.before) else f" {example.gain:+.1f} dB."
    return BeforeAfter(
        TITLES.get(role, "Before and after"),
        grey[0],
        grey[1],
        f"{name}:{gained} {', '.join(part for part in (crop, shown) if part)}. {note}",
        (f"{given}{said}", f"restored, {example.after:.1f} dB"),
        grey[2] if len(grey) > 2 else None,
        "target",
        scale,
    )


def place_of_detail(image: NDArray[np.float64]) -> tuple[int, int]:
    """Return (top, left) of the crop whose pixels vary most; (0, 0) of an image that is no larger than a crop.

    Args:
        image: (H, W, C).
    """
    height, width = image.shape[:2]
    if height <= CROP and width <= CROP:
        return 0, 0
    thin = image.mean(-1)[::2, ::2]
    sums = [np.pad(thin**power, ((1, 0), (1, 0))).cumsum(0).cumsum(1) for power in (1, 2)]
    best, place = -1.0, (0, 0)
    for top in range(0, max(1, height - CROP + 1), STEP):
        for left in range(0, max(1, width - CROP + 1), STEP):
            rows = (top // 2, min(top + CROP, height) // 2)
            columns = (left // 2, min(left + CROP, width) // 2)
            count = (rows[1] - rows[0]) * (columns[1] - columns[0])
            first, second = (
                float(s[rows[1], columns[1]] - s[rows[0], columns[1]] - s[rows[1], columns[0]] + s[rows[0], columns[0]])
                for s in sums
            )
            variance = second / count - (first / count) ** 2
            if variance > best:
                best, place = variance, (top, left)
    return place
