"""What torchvision's detectors of regions are made of where a CPU trains them: our pyramid, and heads as light.

Most of a step is what is done to regions, in proportion to their number and to the channels of the features.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from pixelry.networks._pyramid import Features

LEVELS = ("0", "1", "2", "3")  # strides of 4, 8, 16 and 32
WIDTH, DEPTH = 32, 2
RATIOS = (0.5, 1.0, 2.0)
SIDES = (16, 32, 64, 128, 256)  # of anchors in pixels: half of torchvision's, whose pictures are twice as large
BOX_SIDE, SEEN = 7, 256  # the side of what the head sees of a region, and numbers on what is in it
# Of a picture: regions before and after overlapping ones are taken out, and those that a step learns from.
FEW_REGIONS = {
    "rpn_pre_nms_top_n_train": 300, "rpn_post_nms_top_n_train": 200, "rpn_pre_nms_top_n_test": 300,
    "rpn_post_nms_top_n_test": 200, "box_batch_size_per_image": 32,
}  # fmt: skip


class Levels(nn.Module):
    """The features of our pyramid by name, as torchvision wants them.

    Attributes:
        out_channels: Channels of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = Features(3, WIDTH, DEPTH)
        self.out_channels = self.features.out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to what is seen at strides of 4, "0", to 32, "3"."""
        return dict(zip(LEVELS, self.features(x), strict=True))


def light_parts(classes: int) -> dict[str, Any]:
    """Return the arguments of torchvision's `FasterRCNN` and `MaskRCNN` for a light one.

    Args:
        classes: Kinds of objects; there is one more label, 0, for the background.
    """
    backbone = Levels()
    return {
        "backbone": backbone,
        "rpn_anchor_generator": AnchorGenerator(tuple((side,) for side in SIDES[:4]), (RATIOS,) * len(LEVELS)),
        "box_roi_pool": region_pool(BOX_SIDE),
        "box_head": TwoMLPHead(backbone.out_channels * BOX_SIDE**2, SEEN),
        "box_predictor": FastRCNNPredictor(SEEN, classes + 1),
        **FEW_REGIONS,
    }


def region_pool(side: int) -> nn.Module:
    """Return what cuts regions out of the features, as squares of side x side places.

    It looks into each of these once: they are hardly larger than a place of the features.
    """
    return MultiScaleRoIAlign(list(LEVELS), side, sampling_ratio=1, canonical_scale=SIDES[-1] // 2)
