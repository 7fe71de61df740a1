"""A small convolutional network: the one of the first tutorials, made better."""

from __future__ import annotations

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.networks.blocks import ConvBlock, Normalize

SUMMARY = "six 3x3 convolutions and one linear map: quick and strong on small pictures"
SOURCE = "LeCun et al. 1998; the Keras MNIST example with batch normalisation and a global maximum for its dense layers"
RECIPES = {
    "classify": Recipe(
        optimizer="sgd",
        lr=0.3,
        momentum=0.85,
        weight_decay=1e-3,
        schedule="linear",
        warmup=0.2,
        batch=256,
        epochs=12,
        options={"label_smoothing": 0.1},
    ),
}


class CNN(nn.Module):
    """Three stages of two convolutions, each of which halves the picture.

    The first stage is narrow: there the picture is large, and most of the time goes.

    Args:
        channels: 1 or 3.
        classes: Outputs.
        width: Channels of the first stage; the others have four times as many.
    """

    # A global maximum is large, and so are logits made of it; a small factor starts them near zero (Page 2018).
    SCALE = 0.2

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.stages = nn.Sequential(
            ConvBlock(channels, width, pool=True),  # (B, w, H/2, W/2)
            ConvBlock(width, width),
            ConvBlock(width, 4 * width, pool=True),  # (B, 4w, H/4, W/4)
            ConvBlock(4 * width, 4 * width),
            ConvBlock(4 * width, 4 * width, pool=True),  # (B, 4w, H/8, W/8)
            ConvBlock(4 * width, 4 * width),
        )
        self.head = nn.Linear(4 * width, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1] to logits (B, classes)."""
        features = self.stages(self.normalize(x)).amax((2, 3))  # (B, 4w)
        logits: Tensor = self.head(features) * self.SCALE
        return logits


def build(*, channels: int, size: tuple[int, int], classes: int, width: int = 16) -> CNN:
    """Build the network; any size of picture passes.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
        width: Channels of the first stage; the work grows with its square.
    """
    return CNN(channels, classes, width)
