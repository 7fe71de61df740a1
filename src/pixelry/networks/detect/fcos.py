"""FCOS by torchvision."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.fcos import FCOS, FCOSHead

from pixelry.networks.detect._light import RECIPE, STRIDES, light_look
from pixelry.networks.detect._torchvision import TRANSFER, Regions, one_look

SUMMARY = "one look without anchors; on ResNet-50 COCO weights to transfer from"
SOURCE = "Tian et al. 2019, FCOS; torchvision"
FAMILY = "regions"
RECIPES = {"detect": RECIPE}
TRANSFER_RECIPES = {"detect": TRANSFER}
BACKBONES = {"resnet50": "FCOS_ResNet50_FPN_Weights.DEFAULT"}
WEIGHTS = {"coco": BACKBONES["resnet50"]}
# torchvision tells by these how large objects are that a stride is for: from four to eight times as large.
SIDES = tuple((stride,) for stride in STRIDES)


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
        return light_look(FCOS, SIDES, ratios=(1.0,), head=_head, channels=channels, classes=classes, background=False)
    make = detection.fcos_resnet50_fpn
    return one_look(make, channels=channels, classes=classes, background=False, weights=WEIGHTS)


def _head(channels: int, anchors: list[int], labels: int) -> nn.Module:
    return FCOSHead(channels, anchors[0], labels)
