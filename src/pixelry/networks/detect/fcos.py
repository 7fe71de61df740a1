"""FCOS by torchvision."""

from __future__ import annotations

from torchvision.models import detection

from pixelry.networks.detect._torchvision import ONE_LOOK, Regions, one_look

SUMMARY = "one look without anchors, on ResNet-50; COCO weights to transfer from"
SOURCE = "Tian et al. 2019, FCOS; torchvision"
FAMILY = "regions"
RECIPES = {"detect": ONE_LOOK}
WEIGHTS = {"coco": "FCOS_ResNet50_FPN_Weights.DEFAULT"}


def build(*, channels: int, size: tuple[int, int], classes: int) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
    """
    return one_look(detection.fcos_resnet50_fpn, channels=channels, classes=classes, background=False, weights=WEIGHTS)
