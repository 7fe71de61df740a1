"""Pairs of pictures as one: the channels of the noisy one, then those of the clean one, so that both are cut alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pixelry.data.dataset import Images, Split, to_channels
from pixelry.errors import DataError

CLEAN = "clean"
PAIRED = (2, 6)  # channels of a pair in grey, and in colour


def is_paired(split: Split) -> bool:
    """Return whether each image has a clean one beside it."""
    return CLEAN in split.targets


def joined(split: Split, channels: int) -> Split:
    """Return a split whose images are pairs, uint8 (2 channels, H, W), read when they are wanted.

    Args:
        split: With the target "clean".
        channels: 1 or 3, of each picture of a pair.
    """
    names = split.names or [split.name(i) for i in range(len(split))]
    return Split(Pairs(split.images, split.targets[CLEAN], channels, names), {}, names)


def apart(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the noisy and the clean pictures of pairs (..., 2 C, H, W), each (..., C, H, W)."""
    noisy, clean = images.chunk(2, dim=-3)
    return noisy, clean


@dataclass(frozen=True)
class Pairs:
    """Images that are pairs.

    Attributes:
        noisy: The pictures as they are given.
        clean: As they should be.
        channels: 1 or 3.
        names: Of the pairs, for messages.
    """

    noisy: Images
    clean: Images
    channels: int
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.noisy)

    def __getitem__(self, index: int) -> Tensor:
        noisy, clean = (to_channels(images[index], self.channels) for images in (self.noisy, self.clean))
        if noisy.shape != clean.shape:
            raise DataError(
                f"{self.names[index]} has {noisy.shape[-2]}x{noisy.shape[-1]} pixels, its clean picture "
                f"{clean.shape[-2]}x{clean.shape[-1]}; they must lie over each other"
            )
        return torch.cat([noisy, clean])
