"""Patches of one size from pictures of any size, for tasks whose networks see a neighbourhood and no whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pixelry.blending import tile_starts
from pixelry.data.dataset import FileImages, Images, Split, to_channels
from pixelry.data.loading import MEMORY_LIMIT
from pixelry.data.pairs import Pairs
from pixelry.errors import DataError
from pixelry.pixels import read_header

Size = tuple[int, int]


def image_sizes(split: Split) -> list[Size]:
    """Return (height, width) of each picture; of files only the headers are read."""
    images = split.images.noisy if isinstance(split.images, Pairs) else split.images
    if isinstance(images, Tensor):
        return [(int(images.shape[-2]), int(images.shape[-1]))] * len(images)
    if isinstance(images, FileImages):
        headers = [read_header(source) for source in images.sources]
        return [(header.height, header.width) for header in headers]
    return [(int(images[i].shape[-2]), int(images[i].shape[-1])) for i in range(len(images))]


def smallest_size(split: Split) -> Size:
    """Return the smallest height and the smallest width in a split.

    Raises:
        DataError: It has no pictures.
    """
    sizes = image_sizes(split)
    if not sizes:
        raise DataError("there are no images")
    return min(height for height, _ in sizes), min(width for _, width in sizes)


def in_channels(split: Split, channels: int) -> Split:
    """Return a split with its pictures in grey or colour, read when they are wanted unless they lie in memory."""
    if isinstance(split.images, Tensor):
        return Split(to_channels(split.images, channels), split.targets, split.names)
    names = split.names or [split.name(i) for i in range(len(split))]
    if isinstance(split.images, FileImages):
        images: Images = dataclasses.replace(split.images, channels=channels)
    else:
        images = _Converted(split.images, channels)
    return Split(images, split.targets, names)


def cut_patches(split: Split, *, size: Size, channels: int, memory: int = MEMORY_LIMIT) -> Split:
    """Return patches that cover every picture, with as little overlap as goes.

    Args:
        split: Pictures of at least the patches' size.
        size: (height, width) of the patches.
        channels: 1 or 3; of pairs twice as many.
        memory: At most so many bytes are held; of more patches a seeded random part is taken.

    Raises:
        DataError: A picture is smaller than a patch; it is named.
        ImageError: A picture cannot be read; it is named.
    """
    if isinstance(split.images, Tensor) and tuple(split.images.shape[-2:]) == size:
        return in_channels(split, channels)
    places: list[tuple[int, int, int]] = []
    for index, (height, width) in enumerate(image_sizes(split)):
        if height < size[0] or width < size[1]:
            raise DataError(
                f"{split.name(index)} has {height}x{width} pixels, less than a patch of {size[0]}x{size[1]}; give a "
                "smaller --size"
            )
        tops, lefts = tile_starts(height, size[0], overlap=0), tile_starts(width, size[1], overlap=0)
        places += [(index, top, left) for top in tops for left in lefts]
    most = max(1, memory // (channels * size[0] * size[1]))
    if len(places) > most:
        # In the order of the pictures, so that each is read once.
        chosen = np.sort(np.random.default_rng(0).permutation(len(places))[:most])
        places = [places[i] for i in chosen]
    return Split(_cut(in_channels(split, channels).images, places, size, channels))


@dataclass(frozen=True)
class _Converted:
    """Pictures brought to one channel count as they are read."""

    images: Images
    channels: int

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return to_channels(self.images[index], self.channels)


def _cut(images: Images, places: list[tuple[int, int, int]], size: Size, channels: int) -> Tensor:
    """Return the patches at (picture, top, left) as uint8 (N, C, H, W); each picture is read once."""
    cut = torch.empty(len(places), channels, *size, dtype=torch.uint8)
    last, picture = -1, torch.empty(0)
    for number, (index, top, left) in enumerate(places):
        if index != last:
            last, picture = index, images[index]
        cut[number] = picture[:, top : top + size[0], left : left + size[1]]
    return cut
