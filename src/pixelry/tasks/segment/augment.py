"""Augmentation of pictures together with their masks, whole batches at once.

Pictures are scaled, turned, mirrored and cut by one map from the pixels of the result to those of the picture, so that
each pixel is interpolated once, and its class comes from the same place. Numbers come from torch's global generator,
which training sets by the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelry.data.letterbox import GREY
from pixelry.data.masks import IGNORE
from pixelry.errors import UsageError
from pixelry.tasks._recolor import Changes, recolored

Size = tuple[int, int]


@dataclass(frozen=True)
class MaskJitter(Changes):
    """How much pictures are changed, beside mirrors and colours.

    Attributes:
        smallest: The scale is drawn from here, evenly in its logarithm,
        largest: to here.
        turn: At most so many degrees, to each side.
    """

    smallest: float = 0.5
    largest: float = 2.0
    turn: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= self.largest < math.inf:
            raise UsageError(f"scales go from {self.smallest} to {self.largest}; expected 0 < smallest <= largest")


def jitter_masks(images: Tensor, masks: Tensor, how: MaskJitter, *, frame: Size | None = None) -> tuple[Tensor, Tensor]:
    """Return changed pictures with their masks.

    A result is a part of its picture where that is larger than the frame once it is scaled, and shows all of it
    elsewhere; around it a picture is grey and a mask says ignore.

    Args:
        images: (B, C, H, W) float in [0, 1].
        masks: (B, H, W) of class ids in any integer type, 255 where a pixel does not count.
        how: How much.
        frame: (height, width) of the results; by default that of the pictures.

    Returns:
        (B, C, *frame) and (B, *frame) of the given types.
    """
    images = recolored(images, how)
    frame = frame or (int(images.shape[-2]), int(images.shape[-1]))
    theta = _draw_map(len(images), (int(images.shape[-2]), int(images.shape[-1])), frame, how)
    grid = F.affine_grid(theta.to(images), [len(images), 1, *frame], align_corners=False)
    # Outside of what it samples from, grid_sample finds zeros: so grey, and ignore, are made zero meanwhile.
    grey = GREY / 255
    pixels = F.grid_sample(images - grey, grid, align_corners=False) + grey
    away = (masks.to(images) - IGNORE)[:, None]
    classes = F.grid_sample(away, grid, mode="nearest", align_corners=False)[:, 0] + IGNORE
    return pixels, classes.round().to(masks.dtype)


def _draw_map(count: int, picture: Size, frame: Size, how: MaskJitter) -> Tensor:
    """Return where in the picture a place of the result is taken from, (B, 2, 3), both from -1 to 1."""
    side = torch.tensor([picture[1], picture[0]], dtype=torch.float32)
    extent = torch.tensor([frame[1], frame[0]], dtype=torch.float32)
    low, high = math.log(how.smallest), math.log(how.largest)
    scale = (low + (high - low) * torch.rand(count, 1)).exp()
    angle = math.radians(how.turn) * (2 * torch.rand(count) - 1)
    flip = torch.stack([torch.rand(count) < how.mirror, torch.rand(count) < how.upend], 1)
    # Any place for a cut in a larger picture; any place in the frame for a smaller one.
    middle = side / 2 + (side - extent / scale) * (torch.rand(count, 2) - 0.5)
    turned = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(count, 2, 2)
    back = turned * ((1 - 2 * flip.float()) / scale)[:, :, None]
    theta = back * extent[None, None, :] / side[None, :, None]
    return torch.cat([theta, (2 * middle / side - 1)[..., None]], 2)
