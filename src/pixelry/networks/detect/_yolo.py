"""YOLO without anchors: one look at the picture, and at each place of three grids a box and a score for each class.

    picture -> stem (stride 4) -> stages at strides 8, 16, 32 -> up and down again -> a head for each grid

You only look once (Redmon et al. 2016), put together from what later papers found: stages of cross-stage chains (CSP,
Wang et al. 2020; ELAN, Wang et al. 2022), pooling at several widths (He et al. 2015), paths up and down (PAN, Liu et
al. 2018), and a head with a branch for boxes and one for classes, without anchors (YOLOX, Ge et al. 2021). A side of a
box is a distribution over whole strides (Li et al. 2020, Generalized Focal Loss).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Chain, Conv, Normalize, Pyramid

SOURCE = "Redmon et al. 2016; Ge et al. 2021 (YOLOX); Feng et al. 2021 (task alignment); Li et al. 2020 (box sides)"
RECIPE = Recipe(
    optimizer="muon", lr=1e-2, momentum=0.9, beta2=0.99, weight_decay=1e-2, batch=16, epochs=100, warmup=0.05, ema=0.05,
    clip=10.0, augment="none",
)  # fmt: skip
STRIDES = (8, 16, 32)
BINS = 16  # a side of a box is at most 15 strides from the place that predicts it
PRIOR = 0.01  # score of everything before training (Lin et al. 2017, section 4.1)
BRANCH = 64  # channels of a head's branches, or more
PATCH = 2


class Head(nn.Module):
    """Two branches on one grid: (B, C, H, W) to (B, 4 BINS + classes, H, W)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        wide = max(BRANCH, channels // 4)
        self.enter = Conv(channels, wide, 1)
        self.boxes = nn.Sequential(Conv(wide, wide), Conv(wide, wide), nn.Conv2d(wide, 4 * BINS, 1))
        last = nn.Conv2d(wide, classes, 1)
        nn.init.constant_(last.bias, math.log(PRIOR / (1 - PRIOR)))  # type: ignore[arg-type]  # it has a bias
        self.scores = nn.Sequential(Conv(wide, wide), Conv(wide, wide), last)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the sides' bins (left, top, right, bottom), then of the classes."""
        x = self.enter(x)
        return torch.cat([self.boxes(x), self.scores(x)], 1)


class Yolo(nn.Module):
    """The network; what its output means is said in `tasks/detect/dense.py`.

    Args:
        channels: 1 or 3.
        classes: K.
        widths: Channels at strides 4, 8, 16 and 32.
        depths: Blocks of the chains there.

    Attributes:
        normalize: Input standardisation.
        strides: Pixels between the places of each grid.
        bins: Values that a side can take, 0 to bins - 1 strides.
    """

    strides, bins = STRIDES, BINS

    def __init__(
        self, channels: int, classes: int, widths: tuple[int, int, int, int], depths: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        first, *rest = widths
        # Pixels of 2x2 squares become channels first: a convolution at full size costs more than it sees.
        self.stem = Conv(channels * PATCH**2, first, 3, 4 // PATCH)
        self.first = Chain(first, first, depths[0], residual=True)
        self.down = nn.ModuleList(Conv(a, b, 3, 2) for a, b in zip(widths[:-1], rest, strict=True))
        self.stages = nn.ModuleList(Chain(c, c, d, residual=True) for c, d in zip(rest, depths[1:], strict=True))
        self.pyramid = Pyramid(widths[-1])
        c8, c16, c32 = rest
        depth = depths[-1]
        self.up16 = Chain(c32 + c16, c16, depth, residual=False)
        self.up8 = Chain(c16 + c8, c8, depth, residual=False)
        self.down16, self.mix16 = Conv(c8, c8, 3, 2), Chain(c8 + c16, c16, depth, residual=False)
        self.down32, self.mix32 = Conv(c16, c16, 3, 2), Chain(c16 + c32, c32, depth, residual=False)
        self.heads = nn.ModuleList(Head(c, classes) for c in rest)

    @property
    def head(self) -> nn.Module:
        """The layers that score classes, which other classes have of their own."""
        return nn.ModuleList([head.scores[-1] for head in self.heads])  # type: ignore[index, misc]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1], sides multiples of 32, to (B, A, 4 bins + K), A places of all grids, row by row.

        The finest grid comes first; the values are logits.
        """
        if x.shape[-2] % STRIDES[-1] or x.shape[-1] % STRIDES[-1]:
            raise UsageError(f"pictures of {x.shape[-2]}x{x.shape[-1]}: the sides must be multiples of {STRIDES[-1]}")
        x = self.first(self.stem(F.pixel_unshuffle(self.normalize(x), PATCH)))
        features = []
        for down, stage in zip(self.down, self.stages, strict=True):
            x = stage(down(x))
            features.append(x)
        p8, p16, p32 = features[0], features[1], self.pyramid(features[2])
        p16 = self.up16(torch.cat([_double(p32), p16], 1))
        p8 = self.up8(torch.cat([_double(p16), p8], 1))
        p16 = self.mix16(torch.cat([self.down16(p8), p16], 1))
        p32 = self.mix32(torch.cat([self.down32(p16), p32], 1))
        grids = [head(p).flatten(2) for head, p in zip(self.heads, (p8, p16, p32), strict=True)]
        return torch.cat(grids, 2).transpose(1, 2)


class Build(Protocol):
    """What a network's file offers."""

    def __call__(self, *, channels: int, size: tuple[int, int], classes: int) -> Yolo:
        """Build the network."""


def of_size(widths: tuple[int, int, int, int], depths: tuple[int, int, int, int]) -> Build:
    """Return the function that builds the network in one of its sizes, see `Yolo`."""

    def build(*, channels: int, size: tuple[int, int], classes: int) -> Yolo:
        """Build the network.

        Args:
            channels: 1 or 3.
            size: (height, width) of the pictures in pixels; it takes any multiples of 32.
            classes: Kinds of objects.
        """
        return Yolo(channels, classes, widths, depths)

    return build


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
