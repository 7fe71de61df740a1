"""Faster R-CNN by torchvision: regions that may hold an object, then a look at each of them."""

from __future__ import annotations

from typing import Any, Literal

from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator

from pixelry.config import Recipe
from pixelry.networks.detect._torchvision import LEAST_SCORE, LIMITS, REGIONS, Regions

SUMMARY = "two looks: regions first, then what is in them; COCO weights to transfer from"
SOURCE = "Ren et al. 2015, Faster R-CNN; Lin et al. 2017 (feature pyramids); torchvision"
FAMILY = "regions"
RECIPES = {
    "detect": Recipe(lr=1e-3, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05, clip=5.0, augment="none"),
}
BACKBONES = {
    "mobilenet_v3": "FasterRCNN_MobileNet_V3_Large_FPN_Weights.DEFAULT",
    "resnet50": "FasterRCNN_ResNet50_FPN_Weights.DEFAULT",
}
WEIGHTS = {"coco": BACKBONES["mobilenet_v3"]}
SIDES = (16, 32, 64, 128, 256)  # of anchors in pixels: half of torchvision's, whose pictures are twice as large
RATIOS = (0.5, 1.0, 2.0)


def build(
    *,
    channels: int,
    size: tuple[int, int],
    classes: int,
    backbone: Literal["mobilenet_v3", "resnet50"] = "mobilenet_v3",
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "mobilenet_v3" for a CPU, "resnet50" for a GPU.
    """
    options: dict[str, Any] = {"num_classes": classes + 1, "weights": None, "weights_backbone": None, **REGIONS}
    options |= {"box_score_thresh": LEAST_SCORE, **{f"box_{name}": limit for name, limit in LIMITS.items()}}
    if backbone == "resnet50":
        anchors = AnchorGenerator(tuple((side,) for side in SIDES), (RATIOS,) * len(SIDES))
        body = detection.fasterrcnn_resnet50_fpn(**options, rpn_anchor_generator=anchors)
    else:
        body = detection.fasterrcnn_mobilenet_v3_large_fpn(**options)
        body.rpn.anchor_generator = AnchorGenerator((SIDES,) * 3, (RATIOS,) * 3)
    return Regions(body, ["roi_heads.box_predictor"], channels, first=1, weights={"coco": BACKBONES[backbone]})
