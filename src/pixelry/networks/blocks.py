"""Blocks that networks share. Networks import nothing else of Pixelry but `config`, which holds their recipes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Stem = Literal["auto", "imagenet", "small"]

# Below this height or width the classic stem (stride 4 before the first block) leaves too little of the picture.
SMALL_IMAGE = 64


class Fitted(nn.Module):
    """A layer at the input that is fitted to the training pictures before training begins, and not trained by it."""

    def fit(self, images: Tensor) -> None:
        """Fit to float images (N, C, H, W), as the fitted layers before this one leave them."""
        raise TypeError(f"{type(self).__name__} does not say how it is fitted")


class Normalize(Fitted):
    """Subtract a mean and divide by a standard deviation, one of each a channel: [0, 1] in, about N(0, 1) out.

    The figures are buffers, so that a model file carries them. Training fits them to the data once, unless they
    came with pretrained weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((channels, 1, 1), 0.5))
        self.register_buffer("std", torch.full((channels, 1, 1), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Take mean and standard deviation from float images (N, C, H, W) in [0, 1]."""
        self.mean.copy_(images.mean((0, 2, 3)).view_as(self.mean))
        # A channel that is constant has no scale; 1/255 keeps the quotient finite.
        self.std.copy_(images.std((0, 2, 3)).clamp_min(1 / 255).view_as(self.std))


class Halve(nn.Module):
    """The maximum of each 2x2 pixels; a side of 1 stays 1, so that pictures of any size pass."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H // 2, W // 2)."""
        return F.max_pool2d(x, (min(2, x.shape[-2]), min(2, x.shape[-1])))


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch normalisation, activation: (B, in, H, W) to (B, out, H, W), or half if `pool`."""

    def __init__(self, channels_in: int, channels_out: int, *, pool: bool = False) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)]
        if pool:
            layers.append(Halve())
        super().__init__(*layers, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class Conv(nn.Sequential):
    """Convolution, batch normalisation, SiLU: (B, in, H, W) to (B, out, H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.SiLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions whose result is added to their input; at first it is nothing: (B, C, H, W) to the same.

    Without normalisation (Lim et al. 2017).

    Args:
        width: C.
        bias: Whether the convolutions have biases.
    """

    def __init__(self, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=bias) for _ in range(2))
        zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input and what is added to it."""
        changed: Tensor = self.second(F.relu(self.first(x)))
        return x + changed


def zero(layer: nn.Module) -> None:
    """Make a layer answer with zeros, until it has learnt something."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Chain(nn.Module):
    """One half of the channels passes through a chain of blocks; both halves and all that lies between are mixed.

    Cross-stage chains (CSP, Wang et al. 2020; ELAN, Wang et al. 2022).

    Args:
        channels_in: Of the input.
        channels_out: Of the output.
        depth: Blocks of two 3x3 convolutions.
        residual: Whether a block adds to its input.
    """

    def __init__(self, channels_in: int, channels_out: int, depth: int, *, residual: bool) -> None:
        super().__init__()
        half = channels_out // 2
        self.enter = Conv(channels_in, 2 * half, 1)
        self.blocks = nn.ModuleList(nn.Sequential(Conv(half, half), Conv(half, half)) for _ in range(depth))
        self.mix = Conv((2 + depth) * half, channels_out, 1)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        parts = list(self.enter(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]) + parts[-1] if self.residual else block(parts[-1]))
        mixed: Tensor = self.mix(torch.cat(parts, 1))
        return mixed


class Pyramid(nn.Module):
    """The largest value within 5, 9 and 13 places, beside the place itself: what is around it, at several widths.

    He et al. 2015, Spatial Pyramid Pooling.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = Conv(channels, channels // 2, 1)
        self.mix = Conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, stride=1, padding=2))
        mixed: Tensor = self.mix(torch.cat(parts, 1))
        return mixed


class Adapted(nn.Module):
    """A torchvision classifier behind our input: [0, 1] in, logits out; its head is reached as `head`.

    Attributes:
        normalize: Input standardisation.
        body: The torchvision network, whose parameter names stay its own, so that its weights load by name.
        head_name: The submodule of `body` that makes the logits; everything else is the backbone.
    """

    def __init__(self, body: nn.Module, head_name: str, channels: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.body = body
        self.head_name = head_name

    @property
    def head(self) -> nn.Module:
        """The layer that makes the logits."""
        return self.body.get_submodule(self.head_name)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1] to logits (B, classes)."""
        logits: Tensor = self.body(self.normalize(x))
        return logits


def is_small(stem: Stem, size: tuple[int, int]) -> bool:
    """Return whether the small-image stem is meant: asked for, or "auto" and a side below 64 pixels."""
    return stem == "small" or (stem == "auto" and min(size) < SMALL_IMAGE)


def resnet(body: nn.Module, *, channels: int, size: tuple[int, int], stem: Stem) -> Adapted:
    """Fit a torchvision ResNet to the input.

    Small pictures get the stem of He et al. 2016 section 4.2 (CIFAR-10): one 3x3 convolution of stride 1 and no
    max-pooling, since the ImageNet stem would leave 8x8 of a 32x32 picture before the first block.
    """
    if is_small(stem, size):
        body.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        body.maxpool = nn.Identity()
    elif channels != 3:
        body.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return Adapted(body, "fc", channels)


def to_multiple(x: Tensor, multiple: int, *, mirrored: bool = False) -> Tensor:
    """Continue images (B, C, H, W) to the right and below until the sides are multiples.

    Args:
        x: The images.
        multiple: In pixels.
        mirrored: By their mirror image, where they are large enough for that; else by their last pixels.
    """
    right, below = -x.shape[-1] % multiple, -x.shape[-2] % multiple
    enough = right < x.shape[-1] and below < x.shape[-2]
    mode = "reflect" if mirrored and enough else "replicate"
    return F.pad(x, [0, right, 0, below], mode=mode) if right or below else x
