"""Pictures with masks in the form that a segmenter sees: scaled until they fit a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from pixelry.data.dataset import Images, Split
from pixelry.data.letterbox import Framed, Scaled, padded, place_in, read_all
from pixelry.data.loading import MEMORY_LIMIT
from pixelry.data.masks import IGNORE
from pixelry.data.patches import image_sizes
from pixelry.errors import DataError

Size = tuple[int, int]
SIZES = 1000  # pictures whose headers tell the shape of the frame
MOST_SKEWED = 0.1  # pictures whose aspects differ by no more share a frame of that aspect


def frame_for(split: Split, *, longest: int, stride: int, least: int = 0) -> Size:
    """Return a frame for the pictures of a split: of their own aspect where they share one, else square.

    Args:
        split: Its headers are read, of a thousand pictures at most.
        longest: Pixels of the longer side, at most.
        stride: Of which the sides are multiples.
        least: Pixels of the longer side to which smaller pictures are enlarged, but to no more than twice their size.
    """
    chosen = torch.linspace(0, len(split) - 1, min(SIZES, len(split))).round().long()
    sizes = torch.tensor(image_sizes(split.subset(chosen)), dtype=torch.float64)
    aspects = sizes[:, 0] / sizes[:, 1]
    own = float(sizes.amax())
    side = min(longest, stride * math.ceil(max(own, min(least, 2 * own)) / stride))
    if float(aspects.amax() / aspects.amin()) > 1 + MOST_SKEWED:
        return side, side
    aspect = float(aspects.median())
    sides = (side * min(1.0, aspect), side * min(1.0, 1 / aspect))
    height, width = (stride * math.ceil(one / stride - 1e-6) for one in sides)
    return height, width


def check_masks(split: Split, classes: int) -> None:
    """Look whether masks in memory fit their pictures and classes; those in files are checked when they are read.

    Args:
        split: Pictures with "mask".
        classes: Values from 0 on that a mask may have, beside `IGNORE`.

    Raises:
        DataError: A mask has another size than its picture, or a value without a class; the picture is named.
    """
    masks = split.targets["mask"]
    if not isinstance(masks, Tensor | list | tuple):
        return
    for i, (size, mask) in enumerate(zip(image_sizes(split), masks, strict=True)):
        if tuple(mask.shape) != size:
            raise DataError(
                f"{split.name(i)} has {size[0]}x{size[1]} pixels (height x width), but its mask is of shape "
                f"{tuple(mask.shape)}; expected the same"
            )
        wrong = mask[((mask < 0) | (mask >= classes)) & (mask != IGNORE)]
        if len(wrong):
            raise DataError(
                f"{split.name(i)}: its mask has the value {int(wrong[0])} ({len(wrong):,} such pixels); with {classes} "
                f"classes, values go from 0 to {classes - 1}, and {IGNORE} is no class"
            )


def framed(split: Split, *, frame: Size, channels: int, memory: int = MEMORY_LIMIT) -> Split:
    """Return a split to train on: pictures in frames, grey around them, and their masks, `IGNORE` around them.

    Args:
        split: Pictures of any size with "mask".
        frame: (height, width).
        channels: 1 or 3.
        memory: At most so many bytes of pixels are held; of more each picture is read when it is wanted.

    Returns:
        Images uint8 (N, C, H, W) with "mask" uint8 (N, H, W), or the same read on access.

    Raises:
        DataError: A picture or a mask cannot be read; it is named.
    """
    images = Framed(split.images, frame, channels, frozenset({frame}))
    masks = _FramedMasks(split.targets["mask"], frame)
    names = split.names or [split.name(i) for i in range(len(split))]
    if len(split) * (channels + 1) * frame[0] * frame[1] > memory:
        return Split(images, {"mask": masks}, names)
    pixels = read_all(images, (len(split), channels, *frame))
    return Split(pixels, {"mask": read_all(masks, (len(split), *frame))}, names)


def fitted(split: Split, *, frame: Size, channels: int, memory: int = MEMORY_LIMIT) -> Split:
    """Return a split to judge on: pictures scaled to fit a frame, and their masks as they are.

    Args and errors as for `framed`.
    """
    sizes = frozenset(place_in(size, frame).size for size in image_sizes(split))
    images = Scaled(split.images, frame, channels, sizes)
    names = split.names or [split.name(i) for i in range(len(split))]
    held: Images = images
    if len(sizes) == 1 and len(split) * channels * frame[0] * frame[1] <= memory:
        held = read_all(images, (len(split), channels, *next(iter(sizes))))
    return Split(held, {"mask": split.targets["mask"]}, names)


@dataclass(frozen=True)
class _FramedMasks:
    """Masks that are put into their frames as they are read."""

    masks: Sequence[Tensor]
    frame: Size

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> Tensor:
        mask = torch.as_tensor(self.masks[index])
        place = place_in((int(mask.shape[-2]), int(mask.shape[-1])), self.frame)
        if mask.shape[-2:] != place.size:
            mask = F.resize(mask[None], list(place.size), interpolation=InterpolationMode.NEAREST_EXACT)[0]
        around = place.margins(self.frame)
        return F.pad(mask[None], around, fill=IGNORE)[0] if any(around) else mask


def framed_objects(split: Split, *, frame: Size, channels: int, memory: int = MEMORY_LIMIT) -> Split:
    """Return a split to train on: pictures in frames, and maps of their objects.

    Args:
        split: Pictures of any size with "masks", "labels" and, where there are any, "crowd", which are left out.
        frame: (height, width).
        channels: 1 or 3.
        memory: As for `framed`.

    Returns:
        Images with "objects" uint8 (N, H, W): 0 where there is none, k + 1 for object k, `IGNORE` around the pictures;
        and "labels" int64 (N, M), -1 for none.

    Raises:
        DataError: A picture or a mask cannot be read, or a picture has more than 254 objects; it is named.
    """
    crowd = split.targets.get("crowd")
    maps = _ObjectMaps(split.targets["masks"], crowd, [split.name(i) for i in range(len(split))])
    plain = framed(Split(split.images, {"mask": maps}, split.names), frame=frame, channels=channels, memory=memory)
    labels = padded(split.targets["labels"], (), -1)
    return Split(plain.images, {"objects": plain.targets["mask"], "labels": labels}, plain.names)


def fitted_objects(split: Split, *, frame: Size, channels: int, memory: int = MEMORY_LIMIT) -> Split:
    """Return a split to judge on: pictures scaled to fit a frame, and their objects as they are.

    Args and errors as for `framed_objects`.
    """
    masks, labels = split.targets["masks"], split.targets["labels"]
    plain = fitted(Split(split.images, {"mask": masks}, split.names), frame=frame, channels=channels, memory=memory)
    crowd = split.targets.get("crowd") or [torch.zeros(len(row), dtype=torch.bool) for row in labels]
    return Split(plain.images, {"masks": masks, "labels": labels, "crowd": crowd}, plain.names)


@dataclass(frozen=True)
class _ObjectMaps:
    """Masks of objects (n, H, W) as one map of their numbers, on access; small objects lie on top of large ones."""

    masks: Sequence[Tensor]
    crowd: Sequence[Tensor] | None
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> Tensor:
        masks = self.masks[index]
        if len(masks) >= IGNORE:
            raise DataError(f"{self.names[index]} has {len(masks)} objects; at most {IGNORE - 1} can be learnt")
        objects = torch.zeros(masks.shape[-2:], dtype=torch.uint8)
        for k in masks.flatten(1).sum(1).argsort(descending=True).tolist():
            if self.crowd is None or not self.crowd[index][k]:
                objects[masks[k]] = k + 1
        return objects
