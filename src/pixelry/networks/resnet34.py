"""ResNet-34 by torchvision, fitted to any picture size and channel count."""

from __future__ import annotations

from torchvision import models

from pixelry.config import Recipe
from pixelry.networks.blocks import Adapted, Stem, resnet

SUMMARY = "residual network of 34 layers, with ImageNet weights to transfer from"
SOURCE = "He et al. 2016, Deep Residual Learning for Image Recognition; torchvision"
RECIPES = {
    "classify": Recipe(lr=1e-3, weight_decay=0.05, batch=128, epochs=15, options={"label_smoothing": 0.1}),
}
WEIGHTS = {"imagenet": "ResNet34_Weights.DEFAULT"}


def build(*, channels: int, size: tuple[int, int], classes: int, stem: Stem = "auto") -> Adapted:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
        stem: "imagenet" (7x7 of stride 2 and max-pooling), "small" (3x3 of stride 1), or by the size.
    """
    body = models.resnet34(num_classes=classes, zero_init_residual=True)
    return resnet(body, channels=channels, size=size, stem=stem)
