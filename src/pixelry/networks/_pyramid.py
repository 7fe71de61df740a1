"""A feature pyramid of ours, for those who want a class for each pixel, and those who look into regions."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.networks.blocks import Chain, Conv, Pyramid, to_multiple

MULTIPLE = 32
PATCH = 2


class Features(nn.Module):
    """What is seen at strides of 4, 8, 16 and 32, each with what the coarser ones know.

    Args:
        channels: Of the input.
        width: Channels at a stride of 4 on the way down; doubled at each further one.
        depth: Blocks of the chains in the middle.
        finest: How many of the finest strides are left out of what is seen.

    Attributes:
        out_channels: Channels of all that is seen, twice the width.
    """

    def __init__(self, channels: int, width: int, depth: int, finest: int = 0) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(4)]
        # Pixels of 2x2 squares become channels first: a convolution at full size costs more than it sees.
        self.stem = Conv(channels * PATCH**2, width, 3, 2)
        self.first = Chain(width, width, 1, residual=True)
        self.down = nn.ModuleList(Conv(a, b, 3, 2) for a, b in pairwise(widths))
        self.stages = nn.ModuleList(Chain(c, c, depth, residual=True) for c in widths[1:])
        self.pyramid = Pyramid(widths[-1])
        self.out_channels = lane = 2 * width
        self.finest = finest
        self.lanes = nn.ModuleList(Conv(c, lane, 1) for c in widths[finest:])
        self.mixed = nn.ModuleList(Conv(lane, lane) for _ in widths[finest:-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return (B, out_channels, h, w) for each stride, the finest first, of a standardised input (B, C, H, W).

        Its sides are taken as multiples of 32 pixels: those of what is seen are theirs.
        """
        y = self.first(self.stem(F.pixel_unshuffle(to_multiple(x, MULTIPLE), PATCH)))
        down = [y]
        for halve, stage in zip(self.down, self.stages, strict=True):
            down.append(stage(halve(down[-1])))
        down[-1] = self.pyramid(down[-1])
        down = down[self.finest :]
        seen = [self.lanes[-1](down[-1])]
        for level in reversed(range(len(self.mixed))):
            above = F.interpolate(seen[0], scale_factor=2.0, mode="bilinear", align_corners=False)
            seen.insert(0, self.mixed[level](self.lanes[level](down[level]) + above))
        return seen
