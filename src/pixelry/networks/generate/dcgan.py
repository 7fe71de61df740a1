"""DCGAN, with what has been learnt since: a generator and a discriminator of strided convolutions.

Against the published network (`dcgan2016`): the discriminator sees how alike the pictures of a batch are, which betrays
a generator that makes the same ones over and over (Karras et al. 2018, section 3); its layers may have a spectral norm
of 1 in place of batch normalisation (Miyato et al. 2018); the weights are averaged. Real and made pictures are shifted
before they are judged (Zhao et al. 2020), and the learning rate falls to zero: on photographs the discriminator would
win the longer game. It is narrower, so that the minutes of a laptop hold more steps. Two learning rates (Heusel et al.
2017) are an option of the task, `generator_rate`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.generate._dcgan import DCGAN, Generator, halvings

SUMMARY = "a generator against a discriminator: one pass a picture, the quickest to draw"
SOURCE = (
    "Radford, Metz and Chintala 2016, Unsupervised Representation Learning with DCGANs; Karras et al. 2018 (minibatch "
    "deviation, averaged weights); Miyato et al. 2018 (spectral normalisation, projection)"
)
FAMILY = "adversarial"
RECIPES = {
    "generate": Recipe(
        lr=2e-4, momentum=0.5, weight_decay=0.0, warmup=0.0, batch=64, epochs=30, ema=0.05, augment="none",
        options={"diff_augment": "shift"},
    ),
}  # fmt: skip

Norm = Literal["batch", "spectral"]


class Discriminator(nn.Module):
    """Strided convolutions that halve the picture, a look at the batch's variety, and one number at the end."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        layers: list[nn.Module] = []
        now, wide, sides = channels, width, size
        for n in range(halvings(size)):
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
    if width < 1 or latent < 1:
        raise UsageError(f"width is {width}, latent {latent}; expected 1 or more")
    generator = Generator(channels, size, classes, width, latent)
    return DCGAN(latent, generator, Discriminator(channels, size, classes, width, norm))
