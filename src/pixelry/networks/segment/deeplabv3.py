"""DeepLab v3 by torchvision: features seen through convolutions with holes of several widths."""

from __future__ import annotations

from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

from pixelry.networks.segment._torchvision import IMAGENET, RECIPE, TRANSFER, Backbone, Segmenter, features, known

SUMMARY = "features at several widths of view; on ResNets or MobileNet, with weights to transfer from"
SOURCE = "Chen et al. 2017, Rethinking Atrous Convolution for Semantic Image Segmentation; torchvision"
RECIPES = {"segment": RECIPE}
TRANSFER_RECIPES = {"segment": TRANSFER}
COCO = {
    "resnet50": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "resnet101": "DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
    "mobilenet_v3": "DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1",
}
WEIGHTS = {"imagenet": IMAGENET["mobilenet_v3"], "coco": COCO["mobilenet_v3"]}


def build(*, channels: int, size: tuple[int, int], classes: int, backbone: Backbone = "mobilenet_v3") -> Segmenter:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
        backbone: Whose features; weights of COCO are there for resnet50, resnet101 and mobilenet_v3.
    """
    body, width = features(backbone)
    return Segmenter(DeepLabV3(body, DeepLabHead(width, classes)), channels, known(COCO, backbone), least=2)
