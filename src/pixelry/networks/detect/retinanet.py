"""RetinaNet by torchvision."""

from __future__ import annotations

from torchvision.models import detection

from pixelry.networks.detect._torchvision import ONE_LOOK, Regions, one_look

SUMMARY = "one look with anchors and the focal loss, on ResNet-50; COCO weights to transfer from"
SOURCE = "Lin et al. 2017, Focal Loss for Dense Object Detection; torchvision"
FAMILY = "regions"
RECIPES = {"detect": ONE_LOOK}
WEIGHTS = {"coco": "RetinaNet_ResNet50_FPN_Weights.DEFAULT"}


def build(*, channels: int, size: tuple[int, int], classes: int) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
    """
    return one_look(
        detection.retinanet_resnet50_fpn, channels=channels, classes=classes, background=False, weights=WEIGHTS
    )
