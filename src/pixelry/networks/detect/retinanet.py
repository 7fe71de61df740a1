"""RetinaNet by torchvision."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead

from pixelry.networks.detect._light import LOOK_SIDES, RECIPE, light_look
from pixelry.networks.detect._torchvision import TRANSFER, Regions, one_look

SUMMARY = "one look with anchors and the focal loss; on ResNet-50 COCO weights to transfer from"
SOURCE = "Lin et al. 2017, Focal Loss for Dense Object Detection; torchvision"
FAMILY = "regions"
RECIPES = {"detect": RECIPE}
TRANSFER_RECIPES = {"detect": TRANSFER}
BACKBONES = {"resnet50": "RetinaNet_ResNet50_FPN_Weights.DEFAULT"}
WEIGHTS = {"coco": BACKBONES["resnet50"]}
GROUPS = 16


def build(
    *, channels: int, size: tuple[int, int], classes: int, backbone: Literal["fpn", "resnet50"] = "fpn"
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "fpn", ours, for a CPU; "resnet50", the one of the paper, has weights of COCO.
    """
    if backbone == "fpn":
        return light_look(RetinaNet, LOOK_SIDES, head=_head, channels=channels, classes=classes, background=False)
    make = detection.retinanet_resnet50_fpn
    return one_look(make, channels=channels, classes=classes, background=False, weights=WEIGHTS)


def _head(channels: int, anchors: list[int], labels: int) -> nn.Module:
    # Normalised, as in torchvision's second version of it: it was published for backbones that are trained already.
    return RetinaNetHead(channels, anchors[0], labels, norm_layer=partial(nn.GroupNorm, GROUPS))
