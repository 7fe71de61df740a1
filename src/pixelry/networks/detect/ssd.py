"""SSD by torchvision: boxes of several shapes at each place of several grids."""

from __future__ import annotations

from typing import Literal

from torchvision.models import detection

from pixelry.config import Recipe
from pixelry.networks.detect._torchvision import Regions, one_look

SUMMARY = "one look with anchors, on MobileNet or VGG; COCO weights to transfer from"
SOURCE = "Liu et al. 2016, SSD; Sandler et al. 2018 (SSDLite); torchvision"
FAMILY = "regions"
RECIPES = {
    "detect": Recipe(lr=1e-3, weight_decay=1e-2, batch=16, epochs=100, warmup=0.05, ema=0.05, clip=5.0, augment="none"),
}
BACKBONES = {
    "mobilenet_v3": (detection.ssdlite320_mobilenet_v3_large, "SSDLite320_MobileNet_V3_Large_Weights.DEFAULT"),
    "vgg16": (detection.ssd300_vgg16, "SSD300_VGG16_Weights.DEFAULT"),
}
WEIGHTS = {"coco": BACKBONES["mobilenet_v3"][1]}


def build(
    *, channels: int, size: tuple[int, int], classes: int, backbone: Literal["mobilenet_v3", "vgg16"] = "mobilenet_v3"
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "mobilenet_v3" is SSDLite, for a CPU; "vgg16" the one of the paper.
    """
    make, name = BACKBONES[backbone]
    return one_look(make, channels=channels, classes=classes, background=True, weights={"coco": name})
