"""What torchvision's detectors are made of where a CPU trains them: our pyramid, and heads as light.

Most of a step of those that look into regions is what is done to these, in proportion to their number and to the
channels of the features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from pixelry.config import Recipe
from pixelry.networks._pyramid import Features
from pixelry.networks.detect._torchvision import LEAST_SCORE, LIMITS, Regions

RECIPE = Recipe(
    optimizer="muon", lr=4e-3, momentum=0.9, beta2=0.99, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05,
    clip=5.0, augment="none",
)  # fmt: skip
LEVELS = ("0", "1", "2", "3")  # strides of 4, 8, 16 and 32
STRIDES = (8, 16, 32)  # where those look that do so once: at 4 there are more places than objects that small
WIDTH, DEPTH = 32, 2
RATIOS = (0.5, 1.0, 2.0)
SIDES = (16, 32, 64, 128, 256)  # of anchors in pixels: half of torchvision's, whose pictures are twice as large
# Of the anchors at each of the strides, where there are no regions to look into: two in each doubling.
LOOK_SIDES = ((16, 23, 32), (45, 64, 91), (128, 181, 256))
BOX_SIDE, SEEN = 7, 256  # the side of what the head sees of a region, and numbers on what is in it
# Of a picture: regions before and after overlapping ones are taken out, and those that a step learns from.
FEW_REGIONS = {
    "rpn_pre_nms_top_n_train": 300, "rpn_post_nms_top_n_train": 200, "rpn_pre_nms_top_n_test": 300,
    "rpn_post_nms_top_n_test": 200, "box_batch_size_per_image": 32,
}  # fmt: skip


class Levels(nn.Module):
    """The features of our pyramid by name, as torchvision wants them.

    Args:
        finest: How many of the finest strides are left out.

    Attributes:
        out_channels: Channels of each.
    """

    def __init__(self, finest: int = 0) -> None:
        super().__init__()
        self.names = LEVELS[finest:]
        self.features = Features(3, WIDTH, DEPTH, finest)
        self.out_channels = self.features.out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to what is seen at strides of 4, "0", to 32, "3"."""
        return dict(zip(self.names, self.features(x), strict=True))


def light_look(
    make: Callable[..., nn.Module],
    sides: Sequence[Sequence[int]],
    *,
    ratios: Sequence[float] = RATIOS,
    head: Callable[..., nn.Module],
    channels: int,
    classes: int,
    background: bool,
    **options: Any,
) -> Regions:
    """Build a detector that scores boxes at each place of some grids, at strides of 8, 16 and 32.

    Args:
        make: torchvision's class of it.
        sides: Of the anchors at each stride, in pixels.
        ratios: Of their height to their width.
        head: Makes its head of the channels of the features, the number of anchors at a place and that of labels.
        channels: 1 or 3.
        classes: Kinds of objects.
        background: Whether it has a score for the background, as the first.
        options: More of what `make` takes.
    """
    anchors = AnchorGenerator(tuple(map(tuple, sides)), (tuple(ratios),) * len(sides))
    backbone, labels = Levels(len(LEVELS) - len(STRIDES)), classes + int(background)
    body = make(
        backbone,
        num_classes=labels,
        anchor_generator=anchors,
        head=head(backbone.out_channels, anchors.num_anchors_per_location(), labels),
        score_thresh=LEAST_SCORE,
        **LIMITS,
        **options,
    )
    return Regions(body, ["head.classification_head"], channels, first=int(background), weights={})


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
