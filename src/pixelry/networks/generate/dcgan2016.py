"""DCGAN as first published: strided convolutions, batch normalisation, Adam with beta_1 = 0.5.

For pictures of 64x64 these are the layers of the PyTorch example, whose generator has half of the paper's channels and
draws its latents from a normal distribution; other sizes have fewer or more of them, and sides that do not
halve evenly are made larger and cropped.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.generate._dcgan import DCGAN, Generator, halvings

SUMMARY = "the plain generator and discriminator of 2016 with their recipe, to compare with"
SOURCE = "Radford, Metz and Chintala 2016, Unsupervised Representation Learning with DCGANs"
FAMILY = "adversarial"
RECIPES = {
    "generate": Recipe(
        lr=2e-4, momentum=0.5, beta2=0.999, weight_decay=0.0, schedule="constant", warmup=0.0, batch=128, epochs=30,
        augment="none",
    ),
}  # fmt: skip


class Discriminator(nn.Module):
    """Strided convolutions with batch normalisation and leaky rectifiers, and one number at the end."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        now, wide, sides = channels, width, size
        for n in range(halvings(size)):
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


def build(*, channels: int, size: tuple[int, int], classes: int = 0, width: int = 64, latent: int = 100) -> DCGAN:
    """Build the two networks for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Classes of a conditional model, 0 for one without.
        width: Channels after the first convolution of the discriminator; each further one doubles them.
        latent: Numbers from which a picture is made.
    """
    if width < 1 or latent < 1:
        raise UsageError(f"width is {width}, latent {latent}; expected 1 or more")
    generator = Generator(channels, size, classes, width, latent)
    return DCGAN(latent, generator, Discriminator(channels, size, classes, width))
