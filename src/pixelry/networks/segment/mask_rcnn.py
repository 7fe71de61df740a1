"""Mask R-CNN by torchvision: regions, what is in each of them, and which of its pixels."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from pixelry.config import Recipe
from pixelry.networks.detect._torchvision import LEAST_SCORE, REGIONS, Regions

SUMMARY = "objects, each with its own mask: regions first, then what is in them"
SOURCE = "He et al. 2017, Mask R-CNN; Lin et al. 2017 (feature pyramids); torchvision"
FAMILY = "instances"
RECIPES = {
    "segment": Recipe(
        optimizer="muon",
        lr=4e-3,
        momentum=0.9,
        beta2=0.99,
        weight_decay=1e-2,
        batch=8,
        epochs=50,
        warmup=0.05,
        ema=0.05,
        clip=5.0,
        augment="none",
    ),
}
WEIGHTS = {"coco": "MaskRCNN_ResNet50_FPN_Weights.DEFAULT"}
SIDES = (16, 32, 64, 128, 256)  # of anchors in pixels: half of torchvision's, whose pictures are twice as large
RATIOS = (0.5, 1.0, 2.0)
# Heads on a small backbone: the side of what they see of a region, numbers on what is in it, channels for its mask.
BOX_SIDE, FEATURES, MASK_WIDTH = 7, 512, 128
EACH_STEP = 64  # regions of a picture that a step learns from, a quarter of them with masks


def build(
    *, channels: int, size: tuple[int, int], classes: int, backbone: Literal["resnet18", "resnet50"] = "resnet18"
) -> Regions:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Kinds of objects.
        backbone: "resnet18" for a CPU, "resnet50" for a GPU; weights of COCO are there for the latter.
    """
    sides = tuple(side // 2 for side in SIDES) if max(size) <= SIDES[-1] else SIDES
    anchors = AnchorGenerator(tuple((side,) for side in sides), (RATIOS,) * len(sides))
    options: dict[str, Any] = {"num_classes": classes + 1, "rpn_anchor_generator": anchors, **REGIONS}
    options |= {"box_score_thresh": LEAST_SCORE, "box_batch_size_per_image": EACH_STEP}
    if backbone == "resnet50":
        body = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options)
    else:
        features = resnet_fpn_backbone(
            backbone_name=backbone, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
        )
        # Heads a quarter of torchvision's, which take nine tenths of a step with a small backbone.
        kinds = options.pop("num_classes")
        body = detection.MaskRCNN(
            features,
            box_head=TwoMLPHead(features.out_channels * BOX_SIDE**2, FEATURES),
            box_predictor=FastRCNNPredictor(FEATURES, kinds),
            mask_head=MaskRCNNHeads(features.out_channels, (MASK_WIDTH,) * 4, 1),
            mask_predictor=MaskRCNNPredictor(MASK_WIDTH, MASK_WIDTH, kinds),
            **options,
        )
    heads = ["roi_heads.box_predictor", "roi_heads.mask_predictor.mask_fcn_logits"]
    return Regions(body, heads, channels, first=1, weights=WEIGHTS if backbone == "resnet50" else {})
