"""Pictures of any size in a frame of one size: scaled until they fit, grey around them, and the way back for boxes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pixelry.data.dataset import Images, Split, to_channels
from pixelry.data.loading import MEMORY_LIMIT
from pixelry.data.patches import image_sizes
from pixelry.errors import DataError, ImageError
from pixelry.machine import available_cores

Size = tuple[int, int]
GREY = 114  # of 255, around pictures: about the mean of photographs


@dataclass(frozen=True)
class Place:
    """Where a picture lies in its frame.

    Attributes:
        size: (height, width) of the picture, scaled, in pixels of the frame.
        corner: (top, left) in pixels of the frame.
        scale: (vertical, horizontal): pixels of the frame for one of the picture.
    """

    size: Size
    corner: tuple[int, int]
    scale: tuple[float, float]

    def numbers(self) -> tuple[float, float, float, float]:
        """Return horizontal and vertical scale, left and top: x in the frame is x * scale + left."""
        return self.scale[1], self.scale[0], float(self.corner[1]), float(self.corner[0])

    def margins(self, frame: Size) -> list[int]:
        """Return the pixels of a frame to the left, above, to the right and below."""
        (top, left), (height, width) = self.corner, self.size
        return [left, top, frame[1] - width - left, frame[0] - height - top]


def place_in(picture: Size, frame: Size) -> Place:
    """Return where a picture of (height, width) lies in a frame: as large as it goes, in the middle.

    Examples:
        >>> place_in((480, 640), (320, 320)).size, place_in((480, 640), (320, 320)).corner
        ((240, 320), (40, 0))
    """
    scale = min(frame[0] / picture[0], frame[1] / picture[1])
    height, width = (max(1, min(f, round(p * scale))) for p, f in zip(picture, frame, strict=True))
    corner = ((frame[0] - height) // 2, (frame[1] - width) // 2)
    return Place((height, width), corner, (height / picture[0], width / picture[1]))


def letterbox(image: Tensor, frame: Size) -> Tensor:
    """Return uint8 (C, h, w) in a frame, (C, H, W): scaled bilinearly with antialiasing, grey around it."""
    place = place_in((int(image.shape[-2]), int(image.shape[-1])), frame)
    if image.shape[-2:] != place.size:
        image = F.resize(image, list(place.size), antialias=True)
    around = place.margins(frame)
    return F.pad(image, around, fill=GREY) if any(around) else image


def scaled(image: Tensor, frame: Size) -> Tensor:
    """Return uint8 (C, h, w) as large as it fits into a frame, with nothing around it."""
    return letterbox(image, place_in((int(image.shape[-2]), int(image.shape[-1])), frame).size)


def letterboxed(split: Split, *, frame: Size, channels: int, memory: int = MEMORY_LIMIT) -> Split:
    """Return the split with its pictures in frames, and its boxes in pixels of the frames.

    Args:
        split: Pictures of any size with "boxes" (n, 4) xyxy, "labels" (n,) and "crowd" (n,).
        frame: (height, width).
        channels: 1 or 3.
        memory: At most so many bytes of pixels are held; of more each picture is read when it is wanted.

    Returns:
        The split; its targets are tensors: "boxes" (N, M, 4) float32, "labels" (N, M) int64, -1 where a picture has
        fewer than M or a box has no area, "crowd" (N, M) bool, "own_boxes" (N, M, 4) in pixels of the pictures
        themselves, "area" (N, M) in pixels squared, that of the box where the data states no other, "place" (N, 4) as
        `Place.numbers`, and "shape" (N, 2), height and width of the pictures themselves.

    Raises:
        DataError: A picture cannot be read, or there is none; it is named.
    """
    sizes = image_sizes(split)
    if not sizes:
        raise DataError("there are no images")
    rows = split.targets["boxes"]
    crowd = split.targets.get("crowd") or [torch.zeros(len(row), dtype=torch.bool) for row in rows]
    places = torch.tensor([place_in(size, frame).numbers() for size in sizes])
    boxes, labels = padded(rows, (4,), 0.0).float(), padded(split.targets["labels"], (), -1)
    labels = torch.where(has_area(boxes), labels, -1)
    scale, corner = places[:, :2].repeat(1, 2)[:, None], places[:, 2:].repeat(1, 2)[:, None]
    targets = {
        "boxes": torch.where(labels[..., None] >= 0, boxes * scale + corner, 0.0),
        "labels": labels,
        "crowd": padded(crowd, (), False),
        "own_boxes": boxes,
        "area": _areas(boxes, split),
        "place": places,
        "shape": torch.tensor(sizes),
    }
    names = split.names or [split.name(i) for i in range(len(split))]
    images: Images = Framed(split.images, frame, channels, frozenset({frame}))
    if len(sizes) * channels * frame[0] * frame[1] <= memory:
        images = read_all(images, (len(sizes), channels, *frame))
    return Split(images, targets, names)


def _areas(boxes: Tensor, split: Split) -> Tensor:
    """Return the areas of boxes (N, M, 4), or what a COCO file states of their objects, (N, M)."""
    areas = (boxes[..., 2:] - boxes[..., :2]).double().clamp_min(0).prod(-1)
    for row, stated in zip(areas, split.origin.areas if split.origin else (), strict=False):
        for k, area in enumerate(stated):
            if area is not None:
                row[k] = area
    return areas


def has_area(boxes: Tensor) -> Tensor:
    """Return which boxes (..., 4) xyxy have an area; those with a number that is none have not."""
    return (boxes[..., 2:] > boxes[..., :2]).all(-1) & boxes.isfinite().all(-1)


def padded(rows: Sequence[Tensor], shape: tuple[int, ...], fill: float) -> Tensor:
    """Return rows (n, ...) of several lengths as one tensor (N, M, ...), with M at least 1."""
    most = max(1, *(len(row) for row in rows))
    padded = torch.full((len(rows), most, *shape), fill, dtype=rows[0].dtype)
    for row, into in zip(rows, padded, strict=True):
        into[: len(row)] = row
    return padded


@dataclass(frozen=True)
class Scaled:
    """Pictures that are scaled as they are read, as large as they fit into a frame, with nothing around them.

    Attributes:
        images: Of any size.
        frame: (height, width).
        channels: 1 or 3.
        sizes: The (height, width) that come of it.
    """

    images: Images
    frame: Size
    channels: int
    sizes: frozenset[Size]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        """Return a picture, uint8 (C, h, w).

        Raises:
            DataError: It cannot be read; it is named.
        """
        try:
            return self._shown(to_channels(self.images[index], self.channels))
        except ImageError as error:
            raise DataError(f"{error}; `pixelry data check` lists every image that cannot be read") from None

    def _shown(self, image: Tensor) -> Tensor:
        return scaled(image, self.frame)


class Framed(Scaled):
    """Pictures that are put into their frames as they are read, grey around them."""

    def _shown(self, image: Tensor) -> Tensor:
        return letterbox(image, self.frame)


def read_all(rows: Any, shape: tuple[int, ...]) -> Tensor:
    """Return all of a sequence of uint8 tensors as one, of a shape (N, ...)."""
    held = torch.empty(shape, dtype=torch.uint8)

    def read(index: int) -> None:
        held[index] = rows[index]

    # Threads: Pillow and torch release the interpreter lock where the time goes.
    with ThreadPoolExecutor(available_cores()) as pool:
        for _ in pool.map(read, range(shape[0]), chunksize=16):
            pass
    return held
