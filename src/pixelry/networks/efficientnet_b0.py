"""EfficientNet-B0 by torchvision, fitted to any picture size and channel count."""

from __future__ import annotations

from torch import nn
from torchvision import models

from pixelry.config import Recipe
from pixelry.networks.blocks import Adapted, Stem, is_small

SUMMARY = "mobile inverted bottlenecks: small and accurate, with ImageNet weights to transfer from"
SOURCE = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling; torchvision"
RECIPES = {
    "classify": Recipe(lr=2e-3, weight_decay=0.02, batch=128, epochs=20, options={"label_smoothing": 0.1}),
}
WEIGHTS = {"imagenet": "EfficientNet_B0_Weights.DEFAULT"}


def build(*, channels: int, size: tuple[int, int], classes: int, stem: Stem = "auto") -> Adapted:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
        stem: "imagenet" (stride 2), "small" (stride 1), or by the size.
    """
    body = models.efficientnet_b0(num_classes=classes)
    stride = 1 if is_small(stem, size) else 2
    if channels != 3 or stride != 2:
        body.features[0][0] = nn.Conv2d(channels, 32, 3, stride=stride, padding=1, bias=False)
    return Adapted(body, "classifier.1", channels)
