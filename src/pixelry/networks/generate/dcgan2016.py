"""DCGAN as published: strided convolutions, batch normalisation, Adam with beta_1 = 0.5.

For pictures of 64x64 these are the layers of the paper; other sizes have fewer or more of them, and sides that do not
halve evenly are made larger and cropped.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.networks.blocks import Fitted

SUMMARY = "the generator and discriminator of the paper of 2016, and its recipe"
SOURCE = "Radford, Metz and Chintala 2016, Unsupervised Representation Learning with DCGANs"
FAMILY = "adversarial"
RECIPES = {
    "generate": Recipe(
        lr=2e-4, momentum=0.5, beta2=0.999, weight_decay=0.0, schedule="constant", warmup=0.0, batch=128, epochs=30,
        augment="none",
    ),
}  # fmt: skip

SMALLEST = 4
WEIGHTS_STD = 0.02


class DCGAN(Fitted):
    """The two networks of the game; attributes as those of `dcgan`."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.generator = Generator(channels, size, classes, width, latent)
        self.discriminator = Discriminator(channels, size, classes, width)
        self.apply(_initialise)

    def fit(self, images: Tensor) -> None:
        """Nothing is fitted: pictures in [-1, 1] are what both networks are made for."""

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Return what the discriminator says of pictures (B, C, H, W) in [-1, 1], (B,)."""
        judged: Tensor = self.discriminator(images, label)
        return judged


class Generator(nn.Module):
    """A latent is projected to a small picture of many channels, and each strided convolution doubles it."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, latent: int) -> None:
        super().__init__()
        self.size, halvings = size, _halvings(size)
        start = tuple(-(-side // 2**halvings) for side in size)
        self.label = nn.Embedding(classes, latent) if classes else None
        wide = width * 2 ** (halvings - 1)
        inputs = latent * (2 if classes else 1)
        layers: list[nn.Module] = [
            nn.Linear(inputs, wide * math.prod(start), bias=False),
            nn.Unflatten(1, (wide, *start)),
        ]
        layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
        for _ in range(halvings - 1):
            layers += [nn.ConvTranspose2d(wide, wide // 2, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(wide // 2), nn.ReLU(inplace=True)]
            wide //= 2
        layers += [nn.ConvTranspose2d(wide, channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, L) and (B,) to (B, C, H, W) in [-1, 1]."""
        if self.label is not None:
            latent = torch.cat([latent, self.label(label)], 1)
        pictures: Tensor = self.layers(latent)
        return pictures[..., : self.size[0], : self.size[1]]


class Discriminator(nn.Module):
    """Strided convolutions with batch normalisation and leaky rectifiers, and one number at the end."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        now, wide, sides = channels, width, size
        for n in range(_halvings(size)):
            layers += [nn.Conv2d(now, wide, 4, stride=2, padding=1, bias=not n)]
            layers += [nn.BatchNorm2d(wide)] if n else []
            layers += [nn.LeakyReLU(0.2)]
            now, wide, sides = wide, 2 * wide, (sides[0] // 2, sides[1] // 2)
        self.stages = nn.Sequential(*layers, nn.Flatten())
        inputs = now * math.prod(sides)
        self.head = nn.Linear(inputs, 1)
        self.label = nn.Embedding(classes, inputs) if classes else None

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, C, H, W) in [-1, 1] and (B,) to (B,), positive for real."""
        features = self.stages(images)
        judged: Tensor = self.head(features)[:, 0]
        return judged if self.label is None else judged + (self.label(label) * features).sum(1)


def _initialise(layer: nn.Module) -> None:
    """Draw the weights as the paper does, section 4."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(layer.weight, 0.0, WEIGHTS_STD)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, WEIGHTS_STD)


def _halvings(size: tuple[int, int]) -> int:
    # The discriminator rounds down, so a side must have something left.
    return max(1, min(math.ceil(math.log2(max(size) / SMALLEST)), int(math.log2(min(size)))))


def build(*, channels: int, size: tuple[int, int], classes: int = 0, width: int = 64, latent: int = 100) -> DCGAN:
    """Build the two networks for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Classes of a conditional model, 0 for one without.
        width: Channels after the first convolution of the discriminator; each further one doubles them.
        latent: Numbers from which a picture is made.
    """
    return DCGAN(channels, size, classes, width, latent)
