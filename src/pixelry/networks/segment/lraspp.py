"""LR-ASPP by torchvision: MobileNet v3 with the lightest of heads."""

from __future__ import annotations

from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from pixelry.networks.segment._torchvision import IMAGENET, RECIPE, Segmenter

SUMMARY = "MobileNet with the lightest of heads: small and quick, with weights to transfer from"
SOURCE = "Howard et al. 2019, Searching for MobileNetV3, section 6.4; torchvision"
RECIPES = {"segment": RECIPE}
WEIGHTS = {
    "imagenet": IMAGENET["mobilenet_v3"],
    "coco": "LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1",
}


def build(*, channels: int, size: tuple[int, int], classes: int) -> Segmenter:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
    """
    body = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
    return Segmenter(body, channels, WEIGHTS)
