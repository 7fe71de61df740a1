"""A convolutional autoencoder: the picture passes through few numbers, in which noise finds no room."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Normalize, to_multiple

SUMMARY = "the picture through few numbers and back: the classic, for small pictures of one kind"
SOURCE = "Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders; Masci et al. 2011"
FAMILY = "likelihood"
RECIPES = {
    "denoise": Recipe(
        optimizer="muon", lr=5e-3, momentum=0.9, beta2=0.99, weight_decay=0.0, batch=64, epochs=30, warmup=0.02,
        ema=0.05, clip=1.0, augment="none",
    ),
}  # fmt: skip


class Autoencoder(nn.Module):
    """The network: noisy pictures (B, C, H, W) in [0, 1] to logits of the clean intensities, of any size.

    Each halving of the sides doubles the channels; the code is what is left in the middle. Nothing leads around it.

    Args:
        channels: C.
        width: Channels after the first halving.
        depth: Halvings.
        code: Channels of the code.
    """

    def __init__(self, channels: int, width: int, depth: int, code: int) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(depth))]
        self.channels, self.multiple = channels, 2**depth
        self.normalize = Normalize(channels)
        down: list[nn.Module] = []
        for before, after in pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], code, 1))
        up: list[nn.Module] = [nn.Conv2d(code, widths[-1], 1), nn.ReLU(inplace=True)]
        for before, after in pairwise(widths[:0:-1]):
            up += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(width, channels, 4, 2, 1))

    def encode(self, x: Tensor) -> Tensor:
        """Return the code of pictures (B, C, H, W), (B, code, H / 2^depth, W / 2^depth), rounded up."""
        code: Tensor = self.encoder(to_multiple(self.normalize(x), self.multiple))
        return code

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C, H, W)."""
        height, width = x.shape[-2:]
        logits: Tensor = self.decoder(self.encode(x))
        return logits[..., :height, :width]


def build(*, channels: int, size: tuple[int, int], width: int = 32, depth: int = 2, code: int = 16) -> Autoencoder:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training pictures or patches in pixels; it takes any.
        width: Channels after the first halving of the sides; each further one doubles them.
        depth: Halvings.
        code: Channels in the middle. A picture becomes code / 4^depth numbers a pixel.
    """
    if width < 1 or not 1 <= depth <= 6 or code < 1:
        raise UsageError(
            f"width is {width}, depth {depth}, code {code}; expected a width and a code from 1, and a depth of 1 to 6"
        )
    return Autoencoder(channels, width, depth, code)
