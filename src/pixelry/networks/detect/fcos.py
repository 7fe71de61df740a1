"""FCOS by torchvision."""

from __future__ import annotations

from torchvision.models import detection

from pixelry.config import Recipe
from pixelry.networks.detect._torchvision import Regions

SUMMARY = "one look without anchors, on ResNet-50; COCO weights to transfer from"
SOURCE = "Tian et al. 2019, FCOS; torchvision"
FAMILY = "regions"
RECIPES = {
    "detect": Recipe(lr=3e-4, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05, clip=5.0, augment="none"),
}
WEIGHTS = {"coco": "FCOS_ResNet50_FPN_Weights.DEFAULT"}


def build(*, channels: int, size: tuple[int, int], classes: int) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
    """
    # Overlapping boxes are taken out by the task, by its own options.
    merged = {"nms_thresh": 0.95, "detections_per_img": 1000}
    make = detection.fcos_resnet50_fpn
    body = make(weights=None, weights_backbone=None, num_classes=classes, score_thresh=0.001, **merged)
    return Regions(body, "head.classification_head", channels, first=0)
