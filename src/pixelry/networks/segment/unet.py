"""U-Net: down by halves, up again, and at each size what was seen on the way down is joined to what comes up."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import ConvBlock, Normalize, to_multiple

SUMMARY = "down and up again with bridges between: the classic, to be read"
SOURCE = (
    "Ronneberger, Fischer and Brox 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation; here with "
    "batch normalisation, and with padding, so that the output has the size of the picture"
)
RECIPES = {
    "segment": Recipe(
        optimizer="muon", lr=1e-2, momentum=0.9, beta2=0.99, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05,
        ema=0.05, clip=5.0, augment="none",
    ),
}  # fmt: skip


class Double(nn.Sequential):
    """Two 3x3 convolutions: (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(ConvBlock(channels_in, channels_out), ConvBlock(channels_out, channels_out))


class UNet(nn.Module):
    """The network: (B, C, H, W) in [0, 1] to logits (B, K, H, W).

    Args:
        channels: 1 or 3.
        classes: K.
        width: Channels at full size; each halving of the sides doubles them.
        depth: Halvings.
    """

    def __init__(self, channels: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.normalize, self.multiple = Normalize(channels), 2**depth
        self.first = Double(channels, width)
        self.down = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), Double(a, b)) for a, b in pairwise(widths))
        deeper, wider = widths[:0:-1], widths[-2::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(deeper, wider, strict=True))
        self.join = nn.ModuleList(Double(2 * b, b) for b in wider)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of any size to logits (B, K, H, W)."""
        height, width = x.shape[-2:]
        bridges = [self.first(to_multiple(self.normalize(x), self.multiple))]
        for down in self.down:
            bridges.append(down(bridges[-1]))
        y: Tensor = bridges.pop()
        for up, join in zip(self.up, self.join, strict=True):
            y = join(torch.cat([bridges.pop(), up(y)], 1))
        logits: Tensor = self.head(y)
        return logits[..., :height, :width]


def build(*, channels: int, size: tuple[int, int], classes: int, width: int = 32, depth: int = 4) -> UNet:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
        width: Channels at full size; the paper has 64.
        depth: How often the sides are halved.
    """
    if width < 1 or not 1 <= depth <= 8:
        raise UsageError(f"width is {width}, depth {depth}; expected a width from 1 and a depth from 1 to 8")
    return UNet(channels, classes, width, depth)
