"""Faster R-CNN by torchvision: regions that may hold an object, then a look at each of them."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator

from pixelry.networks.detect._light import RATIOS, RECIPE, SIDES, light_parts
from pixelry.networks.detect._torchvision import LEAST_SCORE, LIMITS, REGIONS, TRANSFER, Regions, known

SUMMARY = "two looks: regions first, then what is in them; on larger backbones COCO weights to transfer from"
SOURCE = "Ren et al. 2015, Faster R-CNN; Lin et al. 2017 (feature pyramids); torchvision"
FAMILY = "regions"
RECIPES = {"detect": RECIPE}
TRANSFER_RECIPES = {"detect": TRANSFER}
BACKBONES = {
    "mobilenet_v3": "FasterRCNN_MobileNet_V3_Large_FPN_Weights.DEFAULT",
    "resnet50": "FasterRCNN_ResNet50_FPN_Weights.DEFAULT",
}
WEIGHTS = {"coco": BACKBONES["mobilenet_v3"]}


def build(
    *,
    channels: int,
    size: tuple[int, int],
    classes: int,
    backbone: Literal["fpn", "mobilenet_v3", "resnet50"] = "fpn",
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "fpn", ours, for a CPU, with heads as light; "mobilenet_v3" and "resnet50", for a GPU, have weights of
            COCO.
    """
    limits = {f"box_{name}": most for name, most in LIMITS.items()}
    options: dict[str, Any] = {"box_score_thresh": LEAST_SCORE, **limits}
    body = _light(classes, options) if backbone == "fpn" else _published(classes, backbone, options)
    return Regions(body, ["roi_heads.box_predictor"], channels, first=1, weights=known(BACKBONES, backbone))


def _light(classes: int, options: dict[str, Any]) -> nn.Module:
    return detection.FasterRCNN(**light_parts(classes), **options)


def _published(classes: int, backbone: str, options: dict[str, Any]) -> nn.Module:
    options = {"num_classes": classes + 1, "weights": None, "weights_backbone": None, **REGIONS, **options}
    if backbone == "resnet50":
        anchors = AnchorGenerator(tuple((side,) for side in SIDES), (RATIOS,) * len(SIDES))
        return detection.fasterrcnn_resnet50_fpn(**options, rpn_anchor_generator=anchors)
    body = detection.fasterrcnn_mobilenet_v3_large_fpn(**options)
    body.rpn.anchor_generator = AnchorGenerator((SIDES,) * 3, (RATIOS,) * 3)
    return body
