"""A network for small pictures that was tuned for one thing: the most accuracy a minute of training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.networks.blocks import Fitted, Halve, Normalize

SUMMARY = "six wide convolutions behind a whitening layer: strong on 32x32 pictures in a quarter of an hour"
SOURCE = "Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU (airbench94), without its flipping scheme"
RECIPES = {
    "classify": Recipe(
        optimizer="sgd",
        lr=0.75,
        momentum=0.85,
        weight_decay=1.33e-3,
        schedule="linear",
        warmup=0.2,
        batch=512,
        epochs=20,
        options={"label_smoothing": 0.2},
    ),
}


class Whiten(Fitted):
    """A 2x2 convolution whose outputs are uncorrelated and of like variance over the training pictures.

    The filters are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue, and the
    same with the other sign; they are fitted once and never trained, the biases are (Page 2018; Jordan 2024, section
    3.2).
    """

    SIDE = 2
    SOFTENING = 5e-4  # added to the eigenvalues: directions without variance are noise, which must not be blown up

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = channels * self.SIDE**2
        eye = torch.eye(size).view(size, channels, self.SIDE, self.SIDE)
        self.register_buffer("weight", torch.cat([eye, -eye]))
        self.bias = nn.Parameter(torch.zeros(2 * size))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 8C, H - 1, W - 1); a side of 1 stays 1."""
        x = F.pad(x, (0, int(x.shape[-1] < self.SIDE), 0, int(x.shape[-2] < self.SIDE)))
        return F.conv2d(x, self.weight, self.bias)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Take the filters from standardised images (N, C, H, W)."""
        if min(images.shape[-2:]) < self.SIDE:
            return
        patches = F.unfold(images, self.SIDE).movedim(1, -1).flatten(0, -2).double()  # (N * places, 4C)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        filters = (vectors / (values + self.SOFTENING).sqrt()).T.flip(0)
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))


class Stage(nn.Sequential):
    """Two 3x3 convolutions, the first of which halves: (B, in, H, W) to (B, out, H // 2, W // 2)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            Halve(),
            _norm(channels_out),
            nn.GELU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            _norm(channels_out),
            nn.GELU(),
        )


def _norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation whose scale is not trained and whose statistics follow quickly: runs are short."""
    layer = nn.BatchNorm2d(channels, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


class Airbench(nn.Module):
    """Whitening, three stages, a global maximum and one linear map.

    Args:
        channels: 1 or 3.
        classes: Outputs.
        width: Channels of the first stage; the others have four times as many.
    """

    # The global maximum of features of unit variance is large; the factor starts the logits near zero.
    SCALE = 1 / 9

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.whiten = Whiten(channels)
        self.stages = nn.Sequential(Stage(8 * channels, width), Stage(width, 4 * width), Stage(4 * width, 4 * width))
        self.head = nn.Linear(4 * width, classes, bias=False)
        for layer in self.stages.modules():
            if isinstance(layer, nn.Conv2d):
                # What passes unchanged is learnt from first: the first filters begin as the identity.
                nn.init.dirac_(layer.weight.data[: layer.in_channels])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) in [0, 1] to logits (B, classes)."""
        x = F.gelu(self.whiten(self.normalize(x)))
        features = self.stages(x).amax((2, 3))  # (B, 4w)
        logits: Tensor = self.head(features) * self.SCALE
        return logits


def build(*, channels: int, size: tuple[int, int], classes: int, width: int = 64) -> Airbench:
    """Build the network; any size of picture passes.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        classes: Outputs.
        width: Channels of the first stage; the work grows with its square.
    """
    return Airbench(channels, classes, width)
