"""What both DCGANs share: the generator, how weights begin, and how often sides are halved."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

WEIGHTS_STD = 0.02
SMALLEST = 4  # sides are halved until they are at most so long


class DCGAN(nn.Module):
    """The two networks of the game.

    Attributes:
        latent: Numbers from which a picture is made.
        generator: Latent (B, L) and label (B,) to pictures (B, C, H, W) in [-1, 1].
        discriminator: Such pictures and labels to (B,), positive for real.
    """

    def __init__(self, latent: int, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.latent, self.generator, self.discriminator = latent, generator, discriminator
        self.apply(initialise)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Return what the discriminator says of pictures (B, C, H, W) in [-1, 1], (B,)."""
        judged: Tensor = self.discriminator(images, label)
        return judged


class Generator(nn.Module):
    """From a latent to a small, deep picture, which strided convolutions double until it has its size."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, latent: int) -> None:
        super().__init__()
        self.size, count = size, halvings(size)
        start = tuple(-(-side // 2**count) for side in size)
        self.label = nn.Embedding(classes, latent) if classes else None
        wide = width * 2 ** (count - 1)
        inputs = latent * (2 if classes else 1)
        layers: list[nn.Module] = [
            nn.Linear(inputs, wide * math.prod(start), bias=False),
            nn.Unflatten(1, (wide, *start)),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        for _ in range(count - 1):
            layers += [nn.ConvTranspose2d(wide, wide // 2, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(wide // 2), nn.ReLU(inplace=True)]
            wide //= 2
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(wide, channels, 4, stride=2, padding=1), nn.Tanh())

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, L) and (B,) to (B, C, H, W) in [-1, 1]."""
        if self.label is not None:
            latent = torch.cat([latent, self.label(label)], 1)
        pictures: Tensor = self.layers(latent)
        # Sides that do not halve evenly are made larger, and cropped.
        return pictures[..., : self.size[0], : self.size[1]]


def initialise(layer: nn.Module) -> None:
    """Draw the weights as the paper does, section 4; what a spectral norm divides by is its own."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        if not parametrize.is_parametrized(layer):
            nn.init.normal_(layer.weight, 0.0, WEIGHTS_STD)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, WEIGHTS_STD)


def halvings(size: tuple[int, int]) -> int:
    # The discriminator rounds down, so a side must have something left.
    return max(1, min(math.ceil(math.log2(max(size) / SMALLEST)), int(math.log2(min(size)))))
