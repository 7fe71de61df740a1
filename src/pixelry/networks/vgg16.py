"""VGG-16 by torchvision, fitted to any picture size and channel count."""

from __future__ import annotations

import math

from torch import nn
from torchvision import models

from pixelry.config import Recipe
from pixelry.networks.blocks import SMALL_IMAGE, Adapted

SUMMARY = "13 convolutions and a classifier, with ImageNet weights to transfer from"
SOURCE = "Simonyan and Zisserman 2015, Very Deep Convolutional Networks; torchvision (with batch normalisation)"
RECIPES = {
    "classify": Recipe(lr=5e-4, weight_decay=0.05, batch=128, epochs=15, options={"label_smoothing": 0.1}),
}
WEIGHTS = {"imagenet": "VGG16_BN_Weights.DEFAULT"}


def build(*, channels: int, size: tuple[int, int], classes: int) -> Adapted:
    """Build the network.

    Pictures below 64 pixels get one linear layer on the pooled features in place of the two hidden layers of
    4096, which hold nine tenths of the parameters and look at 7x7 positions that such pictures do not have; and
    of the five halvings only as many as the size allows.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
    """
    body = models.vgg16_bn(num_classes=classes)
    if channels != 3:
        body.features[0] = nn.Conv2d(channels, 64, 3, padding=1)
    if min(size) < SMALL_IMAGE:
        halvings = int(math.log2(max(1, min(size))))
        pools = [i for i, layer in enumerate(body.features) if isinstance(layer, nn.MaxPool2d)]
        for i in pools[halvings:]:
            # In place, not removed: the names of the other layers, by which weights load, stay as they are.
            body.features[i] = nn.Identity()
        body.avgpool = nn.AdaptiveAvgPool2d(1)
        body.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(512, classes))
        return Adapted(body, "classifier.1", channels)
    return Adapted(body, "classifier.6", channels)
