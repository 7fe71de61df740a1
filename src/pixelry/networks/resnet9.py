"""A residual network of nine layers for small pictures: the most accuracy a minute on a CPU."""

from __future__ import annotations

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.networks.blocks import ConvBlock, Normalize

SUMMARY = "wide and shallow residual network: the strongest in minutes on 32x32 pictures"
SOURCE = "Page 2018, How to train your ResNet; Coleman et al. 2017 (DAWNBench)"
RECIPES = {
    "classify": Recipe(
        optimizer="sgd",
        lr=0.4,
        weight_decay=5e-4,
        schedule="linear",
        warmup=0.2,
        batch=512,
        epochs=15,
        options={"label_smoothing": 0.1},
    ),
}


class Residual(nn.Module):
    """x + f(x), with f two convolution blocks that keep shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ConvBlock(channels, channels), ConvBlock(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.blocks(x)


class ResNet9(nn.Module):
    """Convolutions with pooling, and two residual blocks where the picture is small enough for width.

    Args:
        channels: 1 or 3.
        classes: Outputs.
        width: Channels of the first layer.
    """

    # The logits of a global maximum are large; a small factor starts them near zero (Page 2018).
    SCALE = 0.125

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.stages = nn.Sequential(
            ConvBlock(channels, width),
            ConvBlock(width, 2 * width, pool=True),  # (B, 2w, H/2, W/2)
            Residual(2 * width),
            ConvBlock(2 * width, 4 * width, pool=True),  # (B, 4w, H/4, W/4)
            ConvBlock(4 * width, 8 * width, pool=True),  # (B, 8w, H/8, W/8)
            Residual(8 * width),
        )
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(8 * width, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1] to logits (B, classes)."""
        x = self.stages(self.normalize(x))
        return self.head(self.pool(x).flatten(1)) * self.SCALE


def build(*, channels: int, size: tuple[int, int], classes: int, width: int = 64) -> ResNet9:
    """Build the network; any size of picture passes.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
        width: Channels of the first layer; the work grows with its square.
    """
    return ResNet9(channels, classes, width)
