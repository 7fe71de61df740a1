"""DCGAN, with what has been learnt since: a generator and a discriminator of strided convolutions.

Against the published network (`dcgan2016`): the discriminator sees how alike the pictures of a batch are, which betrays
a generator that makes the same ones over and over (Karras et al. 2018, section 3); classes enter it by projection
(Miyato and Koyama 2018); its layers may have a spectral norm of 1 in place of batch normalisation (Miyato et al. 2018);
the weights are averaged, and the two networks have learning rates of their own (Heusel et al. 2017). It is narrower, so
that the minutes of a laptop hold more steps.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from pixelry.config import Recipe
from pixelry.networks.blocks import Fitted

SUMMARY = "a generator against a discriminator: one pass a picture, the quickest to draw"
SOURCE = (
    "Radford, Metz and Chintala 2016, Unsupervised Representation Learning with DCGANs; Karras et al. 2018 (minibatch "
    "deviation, averaged weights); Miyato et al. 2018 (spectral normalisation, projection)"
)
FAMILY = "adversarial"
RECIPES = {
    "generate": Recipe(
        lr=2e-4, momentum=0.5, weight_decay=0.0, schedule="constant", warmup=0.0, batch=64, epochs=30, ema=0.05,
        augment="none",
    ),
}  # fmt: skip

Norm = Literal["batch", "spectral"]

WEIGHTS_STD = 0.02
SMALLEST = 4  # sides are halved until they are at most so long


class DCGAN(Fitted):
    """The two networks of the game.

    Attributes:
        latent: Numbers from which a picture is made.
        generator: Latent (B, L) and label (B,) to pictures (B, C, H, W) in [-1, 1].
        discriminator: Such pictures and labels to (B,), positive for real.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, latent: int, norm: Norm) -> None:
        super().__init__()
        self.latent = latent
        self.generator = Generator(channels, size, classes, width, latent)
        self.discriminator = Discriminator(channels, size, classes, width, norm)
        self.apply(_initialise)

    def fit(self, images: Tensor) -> None:
        """Nothing is fitted: pictures in [-1, 1] are what both networks are made for."""

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Return what the discriminator says of pictures (B, C, H, W) in [-1, 1], (B,)."""
        judged: Tensor = self.discriminator(images, label)
        return judged


class Generator(nn.Module):
    """From a latent to a small, deep picture, which strided convolutions double until it has its size."""

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
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        for _ in range(halvings - 1):
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


class Discriminator(nn.Module):
    """Strided convolutions that halve the picture, a look at the batch's variety, and one number at the end."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        layers: list[nn.Module] = []
        now, wide, sides = channels, width, size
        for n in range(_halvings(size)):
            layers += [*self._layer(nn.Conv2d(now, wide, 4, stride=2, padding=1), first=not n), nn.LeakyReLU(0.2)]
            now, wide, sides = wide, 2 * wide, (sides[0] // 2, sides[1] // 2)
        self.stages = nn.Sequential(*layers, nn.Flatten())
        inputs = now * math.prod(sides)
        head = nn.Linear(inputs + 1, 1)
        self.head: nn.Module = spectral_norm(head) if norm == "spectral" else head
        self.label = nn.Embedding(classes, inputs) if classes else None

    def _layer(self, layer: nn.Conv2d, *, first: bool = False) -> list[nn.Module]:
        if self.norm == "spectral":
            return [spectral_norm(layer)]
        return [layer] if first else [layer, nn.BatchNorm2d(layer.out_channels)]

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, C, H, W) in [-1, 1] and (B,) to (B,), positive for real."""
        features = self.stages(images)
        # How much the batch varies, as one more feature (Karras et al. 2018, section 3).
        variety = features.float().var(0, unbiased=False).add(1e-8).sqrt().mean().to(features.dtype)
        judged: Tensor = self.head(torch.cat([features, variety.expand(len(features), 1)], 1))[:, 0]
        if self.label is None:
            return judged
        # Projection (Miyato and Koyama 2018, equation 3).
        return judged + (self.label(label) * features).sum(1)


def _initialise(layer: nn.Module) -> None:
    """Draw the weights as the paper does, section 4; what a spectral norm divides by is its own."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        if not parametrize.is_parametrized(layer):
            nn.init.normal_(layer.weight, 0.0, WEIGHTS_STD)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, WEIGHTS_STD)


def _halvings(size: tuple[int, int]) -> int:
    # The discriminator rounds down, so a side must have something left.
    return max(1, min(math.ceil(math.log2(max(size) / SMALLEST)), int(math.log2(min(size)))))


def build(
    *,
    channels: int,
    size: tuple[int, int],
    classes: int = 0,
    width: int = 32,
    latent: int = 100,
    norm: Norm = "batch",
) -> DCGAN:
    """Build the two networks for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Classes of a conditional model, 0 for one without.
        width: Channels after the first convolution of the discriminator; each further one doubles them.
        latent: Numbers from which a picture is made.
        norm: Of the discriminator: "batch", or "spectral", which is steadier in long runs and slower to start.
    """
    return DCGAN(channels, size, classes, width, latent, norm)
