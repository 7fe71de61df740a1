"""A residual network that works at the size of the small picture and lays out its pixels at the end.

    small picture -> filters -> residual blocks -> factor x factor pixels for each -> added to the bicubic picture

Without batch normalisation (EDSR), and enlarged by shuffling channels into pixels (ESPCN): all that is computed is
computed on the small picture.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Residual, zero
from pixelry.networks.upscale.bicubic import enlarged

SUMMARY = "a residual network of ours at the small picture's size: sharp, and quick on a CPU"
SOURCE = (
    "Lim et al. 2017, Enhanced Deep Residual Networks for Single Image Super-Resolution (EDSR); Shi et al. 2016 (ESPCN)"
)
RECIPES = {
    "upscale": Recipe(
        optimizer="muon", lr=5e-3, momentum=0.9, beta2=0.99, weight_decay=0.0, batch=16, epochs=50, warmup=0.02,
        ema=0.05, clip=1.0, augment="symmetries",
    ),
}  # fmt: skip


class EDSR(nn.Module):
    """The network: pictures (B, C, H, W) in [0, 1] to (B, C, factor H, factor W), of any size.

    Args:
        channels: C.
        factor: How many times as high and wide.
        width: Channels of the blocks.
        blocks: How many.
    """

    def __init__(self, channels: int, factor: int, width: int, blocks: int) -> None:
        super().__init__()
        self.channels, self.factor = channels, factor
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.join = nn.Conv2d(width, width, 3, padding=1)
        self.leave = nn.Conv2d(width, channels * factor**2, 3, padding=1)
        zero(self.leave)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge pictures."""
        y = self.enter(x - 0.5)
        y = y + self.join(self.blocks(y))
        return enlarged(x, self.factor) + F.pixel_shuffle(self.leave(y), self.factor)


def build(*, channels: int, size: tuple[int, int], factor: int, width: int = 48, blocks: int = 8) -> EDSR:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training patches in pixels; it takes any.
        factor: How many times as high and wide the result is.
        width: Channels of the blocks; the paper has 64, or 256.
        blocks: How many; the paper has 16, or 32.
    """
    if width < 1 or blocks < 1:
        raise UsageError(f"width is {width}, blocks {blocks}; expected 1 or more of both")
    return EDSR(channels, factor, width, blocks)
