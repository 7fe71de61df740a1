"""A feature pyramid on a small backbone: the quickest, for a laptop's CPU and for video.

    picture -> stem (stride 4) -> stages at strides 8, 16, 32 -> pooling at several widths -> up again by sums -> logits

The backbone is that of our detectors; on the way up each size adds what the next deeper one knows (Lin et al. 2017),
and the classes are told at a quarter of the picture's size (Kirillov et al. 2019, semantic FPN; Orsic et al. 2019).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Chain, Conv, Normalize, Pyramid, to_multiple

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
MULTIPLE = 32
PATCH = 2


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
        widths = [width * 2**level for level in range(4)]
        # Pixels of 2x2 squares become channels first: a convolution at full size costs more than it sees.
        self.stem = Conv(channels * PATCH**2, width, 3, 2)
        self.first = Chain(width, width, 1, residual=True)
        self.down = nn.ModuleList(Conv(a, b, 3, 2) for a, b in pairwise(widths))
        self.stages = nn.ModuleList(Chain(c, c, depth, residual=True) for c in widths[1:])
        self.pyramid = Pyramid(widths[-1])
        lane = 2 * width
        self.lanes = nn.ModuleList(Conv(c, lane, 1) for c in widths)
        self.mixed = nn.ModuleList(Conv(lane, lane) for _ in widths[:-1])
        self.last = Conv(lane, lane)
        self.head = nn.Conv2d(lane, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of any size to logits (B, K, H / 4, W / 4), rounded up."""
        height, width = (-(-side // 4) for side in x.shape[-2:])
        y = self.first(self.stem(F.pixel_unshuffle(to_multiple(self.normalize(x), MULTIPLE), PATCH)))
        features = [y]
        for down, stage in zip(self.down, self.stages, strict=True):
            features.append(stage(down(features[-1])))
        features[-1] = self.pyramid(features[-1])
        y = self.lanes[-1](features[-1])
        for level in (2, 1, 0):
            above = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = self.mixed[level](self.lanes[level](features[level]) + above)
        logits: Tensor = self.head(self.last(y))
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
