"""SSD by torchvision: boxes of several shapes at each place of several grids."""

from __future__ import annotations

from typing import Literal

from torchvision.models import detection

from pixelry.config import Recipe
from pixelry.networks.detect._torchvision import Regions

SUMMARY = "one look with anchors, on MobileNet or VGG; COCO weights to transfer from"
SOURCE = "Liu et al. 2016, SSD; Sandler et al. 2018 (SSDLite); torchvision"
FAMILY = "regions"
RECIPES = {
    "detect": Recipe(lr=1e-3, weight_decay=1e-2, batch=16, epochs=100, warmup=0.05, ema=0.05, clip=5.0, augment="none"),
}
WEIGHTS = {"coco": "SSDLite320_MobileNet_V3_Large_Weights.DEFAULT"}


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
    make = detection.ssd300_vgg16 if backbone == "vgg16" else detection.ssdlite320_mobilenet_v3_large
    # Overlapping boxes are taken out by the task, by its own options.
    merged = {"nms_thresh": 0.95, "detections_per_img": 1000}
    body = make(weights=None, weights_backbone=None, num_classes=classes + 1, score_thresh=0.001, **merged)
    return Regions(body, "head.classification_head", channels, first=1)
