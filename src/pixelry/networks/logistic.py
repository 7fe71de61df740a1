"""Softmax regression: one linear map from pixels to classes. The first rung of every ladder."""

from __future__ import annotations

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.networks.blocks import Normalize

SUMMARY = "softmax regression on the pixels: the honest baseline"
SOURCE = "Cox 1958; Bishop 2006, section 4.3.4"
# The pixels need no augmentation: one template a class cannot follow a shift.
RECIPES = {"classify": Recipe(lr=2e-3, weight_decay=1e-4, batch=256, epochs=20, augment="none")}


class Logistic(nn.Module):
    """logits = W x + b, with x the standardised pixels.

    Attributes:
        head: The linear map; row k of its weight, (C, H, W) when reshaped, is the template of class k.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.head = nn.Linear(channels * size[0] * size[1], classes)
        # From zero: the loss is convex, and every class starts equally likely.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1] to logits (B, classes)."""
        # Channel order is kept whatever the memory format, so that a template reshapes to a picture.
        logits: Tensor = self.head(self.normalize(x).flatten(1))
        return logits


def build(*, channels: int, size: tuple[int, int], classes: int) -> Logistic:
    """Build softmax regression for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
    """
    return Logistic(channels, size, classes)
