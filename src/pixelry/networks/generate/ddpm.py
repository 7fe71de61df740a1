"""The U-Net of diffusion models: a noisy picture and how noisy it is in, a picture of the same size out.

    patches -> [blocks, halve] ... -> middle with attention -> ... [double, skip, blocks] -> patches

The architecture of Ho et al. 2020 with the scale-and-shift blocks of Dhariwal and Nichol 2021, made to be quick:
pictures of more than 16 pixels are cut into patches of 2x2 or more first (Hoogeboom et al. 2023, section 2.3), since
the work at full size is most of a U-Net's and buys the least.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Normalize

SUMMARY = "diffusion with a U-Net: from noise to a picture in some steps; classes, guidance, completion of any mask"
SOURCE = "Ho et al. 2020, Denoising Diffusion Probabilistic Models; Karras et al. 2022 (EDM, the default formulation)"
FAMILY = "diffusion"
RECIPES = {
    "generate": Recipe(
        optimizer="muon", lr=6e-3, momentum=0.9, beta2=0.99, weight_decay=0.0, batch=64, epochs=30, warmup=0.05,
        ema=0.05, clip=1.0, augment="none",
    ),
}  # fmt: skip

FINEST = 16  # pictures are cut into patches until a side has at most so many of them
COARSEST = 8  # the U-Net halves until a side is at most this long; attention stands there
HEAD = 64  # channels of a head of the attention, or more
GROUP = 8  # channels of a group of the normalisation
SLOWEST, FASTEST = 0.5, 16.0  # radians of the waves that stand for the level of noise, for a level of 1


class Block(nn.Module):
    """Two convolutions around a skip connection; the level of noise scales and shifts what is between them."""

    def __init__(self, channels_in: int, channels_out: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(channels_in // GROUP, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.embed = nn.Linear(embedding, 2 * channels_out)
        self.norm2 = nn.GroupNorm(channels_out // GROUP, channels_out)
        self.conv2 = _zero(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, in, H, W) and (B, E) to (B, out, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.embed(embedding)[..., None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        mixed: Tensor = self.skip(x) + h
        return mixed


class Attention(nn.Module):
    """Each place looks at all others, once, around a skip connection."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(channels // GROUP, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        shape = x.shape
        # (B, 3C, H, W) -> three of (B, heads, H W, C / heads)
        q, k, v = self.qkv(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(-1, -2).unbind(1)
        seen = F.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = x + self.out(seen.transpose(-1, -2).reshape(shape))
        return mixed


class UNet(nn.Module):
    """F of the formulations in `tasks/generate/diffusion/objectives.py`.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures.
        classes: Of a conditional model; one more stands for "any". 0 for none.
        width: Channels at the finest level.
        growth: The coarsest level has so many times as many.
        blocks: On each level, down and up.
        patch: Side of the patches in pixels.

    Attributes:
        normalize: Mean and standard deviation of the training pictures, for the task's use.
        shape: (C, H, W) of the pictures.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], classes: int, width: int, growth: int, blocks: int, patch: int
    ) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.shape, self.patch = (channels, *size), patch
        halvings = _halvings(tuple(-(-side // patch) for side in size))
        # Pictures whose sides do not divide are padded, and the result cropped.
        self.multiple = patch * 2**halvings
        embedding = 8 * width
        waves = torch.exp(torch.linspace(math.log(SLOWEST), math.log(FASTEST), width // 2))
        self.register_buffer("waves", waves, persistent=True)
        self.level = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Embedding(classes + 1, embedding) if classes else None
        # Wider at the coarsest level than at the finest: there a channel costs least and says most.
        widths = [GROUP * round(width * growth ** (i / halvings) / GROUP) for i in range(halvings)]
        widths.append(growth * width)
        self.down, self.reduce, self.up, self.enlarge = (nn.ModuleList() for _ in range(4))
        for i, wide in enumerate(widths[:-1]):
            self.down.append(nn.ModuleList(Block(wide, wide, embedding) for _ in range(blocks)))
            self.reduce.append(nn.Conv2d(wide, widths[i + 1], 2, stride=2))
        self.middle = nn.ModuleList(Block(widths[-1], widths[-1], embedding) for _ in range(2 * blocks + 1))
        self.attention = nn.ModuleList(Attention(widths[-1], _heads(widths[-1])) for _ in range(2 * blocks))
        for i, wide in reversed(list(enumerate(widths[:-1]))):
            self.enlarge.append(nn.ConvTranspose2d(widths[i + 1], wide, 2, stride=2))
            self.up.append(nn.ModuleList(Block(wide if n else 2 * wide, wide, embedding) for n in range(blocks)))
        self.stem = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)
        self.norm = nn.GroupNorm(widths[0] // GROUP, widths[0])
        self.out = _zero(nn.Conv2d(widths[0], channels * patch**2, 3, padding=1))

    waves: Tensor

    def embed(self, level: Tensor, label: Tensor | None) -> Tensor:
        """Return the embedding (B, E) of the level of noise (B,) and of the class (B,)."""
        angles = level[:, None] * self.waves
        e: Tensor = self.level(torch.cat([angles.sin(), angles.cos()], 1))
        if self.label is not None:
            # Without a class: the last one, which stands for any.
            any_class = torch.full_like(level, self.label.num_embeddings - 1, dtype=torch.int64)
            e = e + self.label(any_class if label is None else label)
        return F.silu(e)

    def forward(self, x: Tensor, level: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same.

        Args:
            x: A scaled noisy picture.
            level: (B,) how noisy it is, about -2 to 2; zeros by default.
            label: (B,) int64 in [0, classes], where `classes` stands for any; None for any.
        """
        height, width = x.shape[-2:]
        e = self.embed(x.new_zeros(len(x)) if level is None else level, label)
        x = F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        x = self.stem(F.pixel_unshuffle(x, self.patch))  # (B, w, H / p, W / p)
        skips = []
        for blocks, reduce in zip(self.down, self.reduce, strict=True):
            x = _through(blocks, x, e)
            skips.append(x)
            x = reduce(x)  # half as high and wide, with more channels
        x = self.middle[0](x, e)
        for attention, block in zip(self.attention, self.middle[1:], strict=True):
            x = block(attention(x), e)
        for enlarge, blocks in zip(self.enlarge, self.up, strict=True):
            x = _through(blocks, torch.cat([enlarge(x), skips.pop()], 1), e)
        x = F.pixel_shuffle(self.out(F.silu(self.norm(x))), self.patch)
        return x[..., :height, :width]


def _through(blocks: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks.children():
        x = block(x, embedding)
    return x


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Set a layer to zero, so that what stands around it begins as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _heads(channels: int) -> int:
    """Return as many heads as leave each at least 64 channels, and all the same."""
    return max(n for n in range(1, channels + 1) if channels % n == 0 and (n == 1 or channels // n >= HEAD))


def _halvings(size: tuple[int, ...]) -> int:
    return max(0, math.ceil(math.log2(max(size) / COARSEST)))


def build(
    *,
    channels: int,
    size: tuple[int, int],
    classes: int = 0,
    width: int = 32,
    growth: int = 4,
    blocks: int = 1,
    patch: int = 0,
) -> UNet:
    """Build the network for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Classes of a conditional model, 0 for one without.
        width: Channels at the finest level, a multiple of 8.
        growth: The coarsest level has so many times as many.
        blocks: On each level, down and up; in the middle twice as many, and one.
        patch: Side of the patches in pixels, a power of two; 0 takes what leaves at most 16 of them on a side.
    """
    if blocks < 1 or growth < 1:
        raise UsageError(f"blocks is {blocks}, growth {growth}; expected 1 or more")
    if width < GROUP or width % GROUP:
        raise UsageError(f"width is {width}; expected a multiple of {GROUP}")
    if patch < 0 or (patch and patch & (patch - 1)):
        raise UsageError(f"patch is {patch}; expected 0 (by the size), or a power of two")
    fitting = 2 ** max(0, math.ceil(math.log2(max(size) / FINEST)))
    return UNet(channels, size, classes, width, growth, blocks, patch or fitting)
