"""SSD by torchvision: boxes of several shapes at each place of several grids."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.ssd import SSD, SSDHead

from pixelry.networks.detect._light import LOOK_SIDES, RECIPE, STRIDES, light_look
from pixelry.networks.detect._torchvision import TRANSFER, Regions, one_look

SUMMARY = "one look with anchors; on MobileNet or VGG COCO weights to transfer from"
SOURCE = "Liu et al. 2016, SSD; Sandler et al. 2018 (SSDLite); Lin et al. 2017 (feature pyramids); torchvision"
FAMILY = "regions"
RECIPES = {"detect": RECIPE}
TRANSFER_RECIPES = {"detect": TRANSFER}
BACKBONES = {
    "mobilenet_v3": "SSDLite320_MobileNet_V3_Large_Weights.DEFAULT",
    "vgg16": "SSD300_VGG16_Weights.DEFAULT",
}
WEIGHTS = {"coco": BACKBONES["mobilenet_v3"]}


def build(
    *,
    channels: int,
    size: tuple[int, int],
    classes: int,
    backbone: Literal["fpn", "mobilenet_v3", "vgg16"] = "fpn",
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "fpn", ours, for a CPU; "mobilenet_v3", of which SSDLite is made, and "vgg16", the one of the paper,
            have weights of COCO.
    """
    if backbone == "fpn":
        return light_look(SSD, LOOK_SIDES, head=_head, channels=channels, classes=classes, background=True, size=size)
    make = detection.ssd300_vgg16
    if backbone == "mobilenet_v3":
        # With 0.03, its own, statistics follow so slowly that those of a run in minutes would be of its start.
        make = partial(detection.ssdlite320_mobilenet_v3_large, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))
    return one_look(make, channels=channels, classes=classes, background=True, weights={"coco": BACKBONES[backbone]})


def _head(channels: int, anchors: list[int], labels: int) -> nn.Module:
    return SSDHead([channels] * len(STRIDES), anchors, labels)
