"""LR-ASPP by torchvision: MobileNet v3, or another backbone, with the lightest of heads."""

from __future__ import annotations

from torchvision.models.segmentation import LRASPP

from pixelry.networks.segment._torchvision import RECIPE, TRANSFER, Backbone, Segmenter, known, two_features

SUMMARY = "MobileNet with the lightest of heads: small and quick, with weights to transfer from"
SOURCE = "Howard et al. 2019, Searching for MobileNetV3, section 6.4; torchvision"
RECIPES = {"segment": RECIPE}
TRANSFER_RECIPES = {"segment": TRANSFER}
COCO = {"mobilenet_v3": "LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1"}
WEIGHTS = known(COCO, "mobilenet_v3")


def build(*, channels: int, size: tuple[int, int], classes: int, backbone: Backbone = "mobilenet_v3") -> Segmenter:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
        backbone: Whose features; weights of COCO are there for mobilenet_v3.
    """
    body, low, high = two_features(backbone)
    return Segmenter(LRASPP(body, low, high, classes), channels, known(COCO, backbone))
