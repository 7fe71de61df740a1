"""A small convolutional network: the one of the first tutorials, made better."""

from __future__ import annotations

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.networks.blocks import ConvBlock, Normalize

SUMMARY = "six 3x3 convolutions and one linear map: quick and strong on small pictures"
SOURCE = "LeCun et al. 1998; the Keras MNIST example with batch normalisation and without its dense layers"
RECIPES = {
    "classify": Recipe(
        optimizer="sgd", lr=0.1, weight_decay=5e-4, batch=256, epochs=12, options={"label_smoothing": 0.1}
    ),
}


class CNN(nn.Module):
    """Three stages of two convolutions, each stage halving the picture and doubling the channels.

    Args:
        channels: 1 or 3.
        classes: Outputs.
        width: Channels of the first stage.
    """

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.stages = nn.Sequential(
            ConvBlock(channels, width),
            ConvBlock(width, width, pool=True),  # (B, w, H/2, W/2)
            ConvBlock(width, 2 * width),
            ConvBlock(2 * width, 2 * width, pool=True),  # (B, 2w, H/4, W/4)
            ConvBlock(2 * width, 4 * width),
            ConvBlock(4 * width, 4 * width, pool=True),  # (B, 4w, H/8, W/8)
        )
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1] to logits (B, classes)."""
        x = self.stages(self.normalize(x))
        logits: Tensor = self.head(self.pool(x).flatten(1))
        return logits


def build(*, channels: int, size: tuple[int, int], classes: int, width: int = 32) -> CNN:
    """Build the network; any size of picture passes.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
        width: Channels of the first stage; the work grows with its square.
    """
    return CNN(channels, classes, width)
