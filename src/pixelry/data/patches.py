"""Patches of one size from pictures of any size, for tasks whose networks see a neighbourhood and no whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pixelry.blending import tile_starts
from pixelry.data.dataset import FileImages, Images, Split, to_channels
from pixelry.data.loading import MEMORY_LIMIT, Windows
from pixelry.data.pairs import Pairs
from pixelry.errors import DataError
from pixelry.pixels import read_header

Size = tuple[int, int]

ROOM = 1.5  # sides of a patch that a window for it has at least: with less its place hardly changes


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
    """Return patches that cover every picture: each time that they are asked for in a batch, at other places.

    Where pictures are hardly larger than a patch, or more than memory holds, the places are fixed, with as little
    overlap as goes.

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
    sizes = image_sizes(split)
    for index, (height, width) in enumerate(sizes):
        if height < size[0] or width < size[1]:
            raise DataError(
                f"{split.name(index)} has {height}x{width} pixels, less than a patch of {size[0]}x{size[1]}; give a "
                "smaller --size"
            )
    images = in_channels(split, channels).images
    # Twice as large, they hold a patch at every place; they overlap by a patch less one pixel, so that none is missed.
    window = (min(2 * size[0] - 1, *(h for h, _ in sizes)), min(2 * size[1] - 1, *(w for _, w in sizes)))
    if all(outer >= ROOM * inner for outer, inner in zip(window, size, strict=True)):
        places = _grid(sizes, window, ((size[0] - 1) / window[0], (size[1] - 1) / window[1]))
        if len(places) * channels * window[0] * window[1] <= memory:
            return Split(Windows(_cut(images, places, window, channels), size))
    places = _grid(sizes, size, (0, 0))
    most = max(1, memory // (channels * size[0] * size[1]))
    if len(places) > most:
        # In the order of the pictures, so that each is read once.
        chosen = np.sort(np.random.default_rng(0).permutation(len(places))[:most])
        places = [places[i] for i in chosen]
    return Split(_cut(images, places, size, channels))


def _grid(sizes: list[Size], size: Size, overlap: tuple[float, float]) -> list[tuple[int, int, int]]:
    """Return (picture, top, left) of parts of one size that cover pictures and overlap by a part of it, or more."""
    return [
        (index, top, left)
        for index, (height, width) in enumerate(sizes)
        for top in tile_starts(height, size[0], overlap=overlap[0])
        for left in tile_starts(width, size[1], overlap=overlap[1])
    ]


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
