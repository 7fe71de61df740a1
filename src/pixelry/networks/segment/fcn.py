"""FCN by torchvision: a classifier's features, and from each of them the class of what it saw."""

from __future__ import annotations

from torchvision.models.segmentation.fcn import FCN, FCNHead

from pixelry.networks.segment._torchvision import IMAGENET, RECIPE, TRANSFER, Backbone, Segmenter, features, known

SUMMARY = "a classifier that answers everywhere; on ResNets or MobileNet, with weights to transfer from"
SOURCE = "Long, Shelhamer and Darrell 2015, Fully Convolutional Networks for Semantic Segmentation; torchvision"
RECIPES = {"segment": RECIPE}
TRANSFER_RECIPES = {"segment": TRANSFER}
COCO = {
    "resnet50": "FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "resnet101": "FCN_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
}
WEIGHTS = {"imagenet": IMAGENET["resnet18"], "coco": COCO["resnet50"]}


def build(*, channels: int, size: tuple[int, int], classes: int, backbone: Backbone = "resnet18") -> Segmenter:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
        backbone: Whose features; weights of COCO are there for resnet50 and resnet101.
    """
    body, width = features(backbone)
    return Segmenter(FCN(body, FCNHead(width, classes)), channels, known(COCO, backbone))
