"""Augmentation of whole batches: each image its own draw, and no loop over images.

torchvision's v2 transforms give one draw to a whole batch, and per-sample Python is what makes loaders slow; these
few operations are indexing and `grid_sample` on the batch. Every draw comes from the given generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

Policy = Literal["none", "glyphs", "photos", "symmetries"]
Augment = Callable[[Tensor, Generator], Tensor]

FULL_AFTER = 2.0  # passes over the data
GROWN_AFTER = 30.0  # passes: where objects are to be found, of whatever size, changes are only in the way at first


def choose_policy(channels: int, classes: tuple[str, ...]) -> Policy:
    """Return the policy that suits the data: signs keep their handedness, photographs may be mirrored.

    Grey pictures and those whose classes are single characters ("7", "b") are taken for signs.
    """
    signs = channels == 1 or all(len(name) == 1 for name in classes)
    return "glyphs" if signs else "photos"


def augment_share(passes: float, *, full_after: float = FULL_AFTER) -> float:
    """Return the part of the images that is augmented after so many passes over the data, or how much each is.

    A picture that was never seen needs no changing: augmentation is there to keep a network from learning pictures by
    heart. So a run of one pass is hardly augmented, and one of many passes almost wholly.
    """
    return min(1.0, passes / full_after)


def augment_some(augment: Augment, images: Tensor, generator: Generator, share: float) -> Tensor:
    """Augment each image with probability `share`."""
    if share >= 1:
        return augment(images, generator)
    chosen = torch.rand(images.shape[0], generator=generator).to(images.device) < share
    return torch.where(chosen.view(-1, 1, 1, 1), augment(images, generator), images)


def make_augment(policy: Policy, *, size: tuple[int, int]) -> Augment:
    """Return a policy as a function of (images, generator).

    The images are float (B, C, H, W); so is the result.
    """
    side = min(size)
    if policy == "none" or side < 4:
        return lambda images, generator: images
    if policy == "glyphs":
        return Glyphs(degrees=15.0, scale=0.15, shift=0.09, shear=0.2)
    if policy == "symmetries":
        return random_symmetry
    return Photos(shift=max(1, side // 10), cut=side // 4)


@dataclass(frozen=True)
class Glyphs:
    """Random rotation, scale, shear and shift; the ground is filled by the border's pixels.

    Attributes:
        degrees: Rotation is uniform in [-degrees, degrees].
        scale: Zoom is exp of a uniform number in [-scale, scale].
        shear: Slant, the shift of a column for each pixel of height, is uniform in [-shear, shear].
        shift: Displacement of each axis is uniform in [-shift, shift], in parts of the side.
    """

    degrees: float
    scale: float
    shift: float
    shear: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        count = images.shape[0]
        draw = 2 * torch.rand(count, 5, generator=generator) - 1
        angle, zoom = draw[:, 0] * math.radians(self.degrees), torch.exp(draw[:, 1] * self.scale)
        cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        slant = draw[:, 4] * self.shear
        # grid_sample's coordinates run from -1 to 1, hence twice the shift.
        x, y = 2 * self.shift * draw[:, 2], 2 * self.shift * draw[:, 3]
        theta = torch.stack(
            [torch.stack([cos, slant * cos - sin, x], 1), torch.stack([sin, cos + slant * sin, y], 1)], 1
        )
        grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Photos:
    """Random mirror, random shift with reflected border, and a square cut out (DeVries and Taylor 2017).

    Attributes:
        shift: At most so many pixels along each axis.
        cut: Side of the square that is set to the batch's mean, in pixels; 0 cuts nothing.
    """

    shift: int
    cut: int = 0

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        moved = random_shift(random_mirror(images, generator), self.shift, generator)
        return cut_out(moved, self.cut, generator) if self.cut else moved


def random_symmetry(images: Tensor, generator: Generator) -> Tensor:
    """Mirror and turn each image into one of the square's eight symmetries; of those of a rectangle where it is one.

    No pixel is interpolated: for pictures whose every pixel is to be restored.
    """
    count, _, height, width = images.shape
    chosen = (torch.rand(3, count, generator=generator) < 0.5).to(images.device).view(3, count, 1, 1, 1)
    images = torch.where(chosen[0], images.flip(-1), images)
    images = torch.where(chosen[1], images.flip(-2), images)
    return torch.where(chosen[2], images.mT, images) if height == width else images


def random_mirror(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    chosen = torch.rand(images.shape[0], generator=generator).to(images.device) < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


def random_shift(images: Tensor, pixels: int, generator: Generator) -> Tensor:
    """Shift each image by up to `pixels` along each axis; the border is reflected."""
    count, _, height, width = images.shape
    pixels = min(pixels, height - 1, width - 1)
    if pixels < 1:
        return images
    offsets = torch.randint(-pixels, pixels + 1, (2, count), generator=generator).to(images.device)
    rows = _reflect(torch.arange(height, device=images.device) + offsets[0, :, None], height)
    columns = _reflect(torch.arange(width, device=images.device) + offsets[1, :, None], width)
    batch = torch.arange(count, device=images.device)[:, None, None]
    # Indexing the channels-last view gathers whole pixels.
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, side: int, generator: Generator) -> Tensor:
    """Set a square at a random place of each image to the batch's mean."""
    count, _, height, width = images.shape
    centers = torch.rand(2, count, generator=generator).to(images.device)
    rows = (torch.arange(height, device=images.device) - (centers[0] * height)[:, None]).abs() < side / 2
    columns = (torch.arange(width, device=images.device) - (centers[1] * width)[:, None]).abs() < side / 2
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    mean = images.mean((0, 2, 3)).view(1, -1, 1, 1)
    return torch.where(hole, mean, images)


def _reflect(index: Tensor, size: int) -> Tensor:
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)
