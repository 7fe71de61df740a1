"""DCGAN, with what has been learnt since: a generator and a discriminator of convolutions.

Against the published network (`dcgan2016`): the discriminator's layers have a spectral norm of 1 in place of batch
normalisation, so that its slope is bounded (Miyato et al. 2018); it sees how alike the pictures of a batch are, which
betrays a generator that makes the same ones over and over (Karras et al. 2018, section 3); the generator enlarges and
then convolves, which leaves no checkerboards (Odena et al. 2016); its weights are averaged; and the two have learning
rates of their own (Heusel et al. 2017).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from pixelry.config import Recipe
from pixelry.networks.blocks import Fitted

SUMMARY = "a generator against a discriminator: one pass a picture, the quickest to draw"
SOURCE = (
    "Radford, Metz and Chintala 2016, Unsupervised Representation Learning with DCGANs; Miyato et al. 2018 (spectral "
    "normalisation); Karras et al. 2018 (minibatch deviation)"
)
FAMILY = "adversarial"
RECIPES = {
    "generate": Recipe(
        lr=4e-4, momentum=0.0, beta2=0.99, weight_decay=0.0, schedule="linear", warmup=0.02, batch=64, epochs=30,
        ema=0.05, augment="none", options={"loss": "hinge", "generator_rate": 0.5},
    ),
}  # fmt: skip

SMALLEST = 7  # sides are halved until they are at most so long


class DCGAN(Fitted):
    """The two networks of the game.

    Attributes:
        latent: Numbers from which a picture is made.
        generator: Latent (B, L) and label (B,) to pictures (B, C, H, W) in [-1, 1].
        discriminator: Such pictures and labels to (B,), positive for real.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.generator = Generator(channels, size, classes, width, latent)
        self.discriminator = Discriminator(channels, size, classes, width)

    def fit(self, images: Tensor) -> None:
        """Nothing is fitted: pictures in [-1, 1] are what both networks are made for."""

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Return what the discriminator says of pictures (B, C, H, W) in [-1, 1], (B,)."""
        judged: Tensor = self.discriminator(images, label)
        return judged


class Generator(nn.Module):
    """From a latent to a small, deep picture, which is doubled and convolved until it has its size."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, latent: int) -> None:
        super().__init__()
        self.size, halvings = size, _halvings(size)
        self.start = tuple(-(-side // 2**halvings) for side in size)
        self.label = nn.Embedding(classes, latent) if classes else None
        inputs = latent * (2 if classes else 1)
        wide = width * 2 ** max(0, halvings - 1)
        self.first = nn.Linear(inputs, 2 * wide * math.prod(self.start), bias=False)
        self.norm = nn.BatchNorm2d(2 * wide)
        stages: list[nn.Module] = []
        now = 2 * wide
        for _ in range(halvings):
            stages += [nn.Upsample(scale_factor=2), nn.Conv2d(now, wide, 3, padding=1, bias=False)]
            stages += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            now, wide = wide, max(width, wide // 2)
        self.stages = nn.Sequential(*stages)
        self.last = nn.Conv2d(now, channels, 3, padding=1)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, L) and (B,) to (B, C, H, W) in [-1, 1]."""
        if self.label is not None:
            latent = torch.cat([latent, self.label(label)], 1)
        x = self.first(latent).unflatten(1, (-1, *self.start))
        x = self.stages(F.relu(self.norm(x)))
        # Sides that do not halve evenly are made larger, and cropped.
        return torch.tanh(self.last(x)[..., : self.size[0], : self.size[1]])


class Discriminator(nn.Module):
    """Convolutions that halve the picture, each of spectral norm 1, and one number at the end."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [spectral_norm(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.1)]
        now = width
        for _ in range(_halvings(size)):
            layers += [spectral_norm(nn.Conv2d(now, 2 * now, 4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
            now *= 2
        self.stages = nn.Sequential(*layers)
        self.mix = spectral_norm(nn.Conv2d(now + 1, now, 3, padding=1))
        self.head = spectral_norm(nn.Linear(now, 1))
        self.label = spectral_norm(nn.Embedding(classes, now)) if classes else None

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, C, H, W) in [-1, 1] and (B,) to (B,), positive for real."""
        x = self.stages(images)
        # How much the batch varies, as one more channel (Karras et al. 2018, section 3).
        variety = x.float().var(0, unbiased=False).add(1e-8).sqrt().mean().to(x.dtype)
        x = torch.cat([x, variety.expand(len(x), 1, *x.shape[2:])], 1)
        x = F.leaky_relu(self.mix(x), 0.1).mean((2, 3))
        judged: Tensor = self.head(x)[:, 0]
        if self.label is not None:
            # Projection (Miyato and Koyama 2018, equation 3).
            judged = judged + (self.label(label) * x).sum(1)
        return judged


def _halvings(size: tuple[int, int]) -> int:
    return max(1, math.ceil(math.log2(max(size) / SMALLEST)))


def build(*, channels: int, size: tuple[int, int], classes: int = 0, width: int = 32, latent: int = 64) -> DCGAN:
    """Build the two networks for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Classes of a conditional model, 0 for one without.
        width: Channels at full size; each halving doubles them.
        latent: Numbers from which a picture is made.
    """
    return DCGAN(channels, size, classes, width, latent)
