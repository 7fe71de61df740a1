"""A feature pyramid on a small backbone: the quickest, for a laptop's CPU and for video.

    picture -> stem (stride 4) -> stages at strides 8, 16, 32 -> pooling at several widths -> up again by sums -> logits

The backbone is that of our detectors; on the way up each size adds what the next deeper one knows (Lin et al. 2017),
and the classes are told at a quarter of the picture's size (Kirillov et al. 2019, semantic FPN; Orsic et al. 2019).
"""

from __future__ import annotations

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks._pyramid import Features
from pixelry.networks.blocks import Conv, Normalize

SUMMARY = "a feature pyramid of ours: the quickest, and the best in minutes on a CPU"
SOURCE = (
    "Lin et al. 2017, Feature Pyramid Networks; Kirillov et al. 2019, Panoptic Feature Pyramid Networks; Orsic et al. "
    "2019 (SwiftNet); Wang et al. 2020 (CSP)"
)
RECIPES = {
    "segment": Recipe(
        optimizer="muon", lr=1e-2, momentum=0.9, beta2=0.99, weight_decay=1e-2, batch=8, epochs=100, warmup=0.05,
        ema=0.05, clip=10.0, augment="none",
    ),
}  # fmt: skip


class FPN(nn.Module):
    """The network: (B, C, H, W) in [0, 1] to logits (B, K, H / 4, W / 4), rounded up.

    Args:
        channels: 1 or 3.
        classes: K.
        width: Channels at stride 4; doubled at each further stride.
        depth: Blocks of the chains in the middle.
    """

    def __init__(self, channels: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.features = Features(channels, width, depth)
        lane = self.features.out_channels
        self.last = Conv(lane, lane)
        self.head = nn.Conv2d(lane, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of any size to logits (B, K, H / 4, W / 4), rounded up."""
        height, width = (-(-side // 4) for side in x.shape[-2:])
        logits: Tensor = self.head(self.last(self.features(self.normalize(x))[0]))
        return logits[..., :height, :width]


def build(*, channels: int, size: tuple[int, int], classes: int, width: int = 32, depth: int = 2) -> FPN:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
        width: Channels at a quarter of the size.
        depth: Blocks of the chains at strides 8 to 32.
    """
    if width < 2 or depth < 1:
        raise UsageError(f"width is {width}, depth {depth}; expected a width from 2 and a depth from 1")
    return FPN(channels, classes, width, depth)
