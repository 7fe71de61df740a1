"""A small U-Net for denoising, on several scales and without biases: strong in minutes, and quick on a CPU.

    picture -> 2x2 pixels as channels -> blocks at strides 2, 4, 8 and back, with bridges -> noise -> picture less noise

Nothing is added anywhere but what comes of the picture, and nothing is normalised: twice the picture gives twice the
answer, so that what was learnt at one level of noise holds at others (Mohan et al. 2020).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Residual, to_multiple, zero

SUMMARY = "a small U-Net of ours without biases: the best in minutes, and quick"
SOURCE = (
    "Ronneberger et al. 2015 (U-Net); Zhang et al. 2021 (DRUNet); Zhang et al. 2018 (FFDNet: pixels as channels); "
    "Mohan et al. 2020 (no biases)"
)
FAMILY = "regression"
RECIPES = {
    "denoise": Recipe(
        optimizer="muon", lr=5e-3, momentum=0.9, beta2=0.99, weight_decay=0.0, batch=16, epochs=50, warmup=0.02,
        ema=0.05, clip=1.0, augment="symmetries",
    ),
}  # fmt: skip


def filters(channels_in: int, channels_out: int, kernel: int = 3) -> nn.Conv2d:
    """Return a convolution without a bias that keeps the size."""
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)


class UNet(nn.Module):
    """The network: noisy pictures (B, C, H, W) in [0, 1] to clean ones, of any size.

    Args:
        channels: C.
        width: Channels at the finest scale; each coarser one doubles them.
        depth: Scales.
        blocks: On each scale on the way down, and up again, from the finest to the coarsest.
        patch: Side of the squares of pixels that become channels first.
    """

    def __init__(self, channels: int, width: int, depth: int, blocks: tuple[int, ...], patch: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.channels, self.patch, self.multiple = channels, patch, patch * 2 ** (depth - 1)
        pixels = channels * patch**2
        self.enter, self.leave = filters(pixels, width), filters(width, pixels)
        self.before = nn.ModuleList(_blocks(w, count) for w, count in zip(widths, blocks, strict=True))
        self.after = nn.ModuleList(_blocks(w, count) for w, count in zip(widths[:-1], blocks[:-1], strict=True))
        self.down = nn.ModuleList(filters(4 * a, b, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(filters(b, 4 * a, 1) for a, b in pairwise(widths))
        zero(self.leave)

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture less its noise."""
        height, width = x.shape[-2:]
        seen = to_multiple(x, self.multiple, mirrored=True)
        y = self.before[0](self.enter(F.pixel_unshuffle(seen, self.patch)))
        bridges = []
        for down, blocks in zip(self.down, self.before[1:], strict=True):
            bridges.append(y)
            y = blocks(down(F.pixel_unshuffle(y, 2)))
        for up, blocks in zip(reversed(self.up), reversed(self.after), strict=True):
            y = blocks(bridges.pop() + F.pixel_shuffle(up(y), 2))
        noise = F.pixel_shuffle(self.leave(y), self.patch)
        return x - noise[..., :height, :width]


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width, bias=False) for _ in range(count)))


def build(
    *,
    channels: int,
    size: tuple[int, int],
    width: int = 24,
    depth: int = 3,
    blocks: int = 1,
    finest: int = 3,
    patch: int = 2,
) -> UNet:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training patches in pixels; it takes any.
        width: Channels at the finest scale.
        depth: Scales, each half as fine as the one before.
        blocks: On each coarser scale on the way down, and up again.
        finest: Those of the finest scale, where most is gained by more.
        patch: Side of the squares of pixels that become channels first: 2, or 4 for a quicker network.
    """
    if min(width, blocks, finest) < 1 or not 1 <= depth <= 6 or not 1 <= patch <= 8:
        raise UsageError(
            f"width is {width}, depth {depth}, blocks {blocks}, finest {finest}, patch {patch}; expected a width and "
            "blocks from 1, a depth of 1 to 6 and a patch of 1 to 8"
        )
    return UNet(channels, width, depth, (finest, *[blocks] * (depth - 1)), patch)
