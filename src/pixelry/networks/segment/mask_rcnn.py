"""Mask R-CNN by torchvision: regions, what is in each of them, and which of its pixels."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from pixelry.networks.detect._light import RATIOS, RECIPE, SIDES, light_parts, region_pool
from pixelry.networks.detect._torchvision import REGIONS, TRANSFER, Regions, known

SUMMARY = "objects, each with its own mask: regions first, then what is in them"
SOURCE = "He et al. 2017, Mask R-CNN; Lin et al. 2017 (feature pyramids); torchvision"
FAMILY = "instances"
RECIPES = {"segment": RECIPE}
TRANSFER_RECIPES = {"segment": TRANSFER}
BACKBONES = {"resnet50": "MaskRCNN_ResNet50_FPN_Weights.DEFAULT"}
WEIGHTS = {"coco": BACKBONES["resnet50"]}
LEAST_SCORE = 0.02  # of what gets a mask; a mask costs more than all else that is done to a region
MASK_SIDE, MASK_DEPTH = 14, 2  # of what the light head sees of a region, and convolutions on the way to its mask


def build(
    *, channels: int, size: tuple[int, int], classes: int, backbone: Literal["fpn", "resnet50"] = "fpn"
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "fpn", ours, for a CPU, with heads as light; "resnet50" for a GPU: weights of COCO are there for it.
    """
    body = _light(classes) if backbone == "fpn" else _published(classes)
    heads = ["roi_heads.box_predictor", "roi_heads.mask_predictor.mask_fcn_logits"]
    return Regions(body, heads, channels, first=1, weights=known(BACKBONES, backbone))


def _light(classes: int) -> nn.Module:
    parts = light_parts(classes)
    width = parts["backbone"].out_channels
    return detection.MaskRCNN(
        **parts,
        mask_roi_pool=region_pool(MASK_SIDE),
        mask_head=MaskRCNNHeads(width, (width,) * MASK_DEPTH, 1),
        mask_predictor=MaskRCNNPredictor(width, width, classes + 1),
        box_score_thresh=LEAST_SCORE,
    )


def _published(classes: int) -> nn.Module:
    anchors = AnchorGenerator(tuple((side,) for side in SIDES), (RATIOS,) * len(SIDES))
    options: dict[str, Any] = {"num_classes": classes + 1, "weights": None, "weights_backbone": None, **REGIONS}
    return detection.maskrcnn_resnet50_fpn(**options, rpn_anchor_generator=anchors, box_score_thresh=LEAST_SCORE)
